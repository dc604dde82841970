"""M members of one architecture, trained side by side, as they lie in a file."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from cosmoinfer.errors import UserError, listed
from cosmoinfer.networks.members import expand_members
from cosmoinfer.training.context import generators
from cosmoinfer.training.history import History

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Stack(Generic[Network]):
    """config: JSON from which ``network`` can be built anew; members: M."""

    config: dict[str, Any]
    members: int
    network: Network
    history: History

    @property
    def device(self) -> torch.device:
        return next(chain(self.network.parameters(), self.network.buffers())).device

    def first(self, members: int) -> dict[str, torch.Tensor]:
        """The weights of the first members."""
        return {name: value[:members] for name, value in self.network.state_dict().items()}

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
    expected = {name: value.shape for name, value in network.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise UserError(
            f"the weights of /{prefix} do not fit its configuration ({listed(odd)}): another version wrote the file, "
            "or it was changed"
        )
    network.load_state_dict(weights, strict=True)
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


@torch.no_grad()
def outputs(stacks: Sequence[Stack[Network]], data: Sequence[np.ndarray]) -> np.ndarray:
    """Of every member of every stack, for the same rows: (M, n, O) float64."""
    found = []
    for stack in stacks:
        raw = stack.network(*(expand_members(torch.from_numpy(part).to(stack.device), stack.members) for part in data))
        found.append(raw.double().cpu().numpy())
    return np.concatenate(found)
