"""M members of one architecture, trained side by side, as they lie in a file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.history import History

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Stack(Generic[Network]):
    """config: JSON from which ``network`` can be built anew; members: M."""

    config: dict[str, Any]
    members: int
    network: Network
    history: History

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Configuration, weights (M, ...) and history, by path."""
        weights = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        history = self.history
        return {
            f"{prefix}/config": np.array(json.dumps(self.config, sort_keys=True)),
            f"{prefix}/members": np.array(self.members),
            **{f"{prefix}/weights/{name}": value for name, value in weights.items()},
            f"{prefix}/history/train": history.train,
            f"{prefix}/history/validation": history.validation,
            f"{prefix}/history/learning_rate": history.learning_rate,
            f"{prefix}/history/best": history.best,
        }


def read_stack(
    prefix: str,
    arrays: dict[str, np.ndarray],
    build: Callable[[dict[str, Any], list[torch.Generator]], Network],
) -> Stack[Network]:
    """Rebuild from config, then fill strictly: every weight there, none left over, shapes and dtypes as stored."""
    config, members = json.loads(str(arrays[f"{prefix}/config"])), int(arrays[f"{prefix}/members"])
    network = build(config, generators(0, "rebuild", members))
    start = f"{prefix}/weights/"
    weights = {name[len(start) :]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith(start)}
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise UserError(f"the weights of /{prefix} do not fit its configuration: {error}") from error
    curves = {name: arrays[f"{prefix}/history/{name}"] for name in ("train", "validation", "learning_rate", "best")}
    return Stack(config, members, network.eval(), History(**curves))


def read_stacks(
    arrays: dict[str, np.ndarray], build: Callable[[dict[str, Any], list[torch.Generator]], Network]
) -> tuple[Stack[Network], ...]:
    """/stacks/0, /stacks/1, ... as many as there are."""
    stacks: list[Stack[Network]] = []
    while f"stacks/{len(stacks)}/config" in arrays:
        stacks.append(read_stack(f"stacks/{len(stacks)}", arrays, build))
    return tuple(stacks)


def generators(seed: int, purpose: str, members: int) -> list[torch.Generator]:
    """One a member, by its number: member 3 of 5 draws what member 3 of 10 draws."""
    return [torch.Generator().manual_seed(seeding.number(seed, purpose, member)) for member in range(members)]
