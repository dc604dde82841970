"""M members of one architecture, trained side by side, as they lie in a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from cosmoinfer.networks.layers import expand_members
from cosmoinfer.storage import JSONObject
from cosmoinfer.training.loop import History
from cosmoinfer.training.settings import generators

Network = TypeVar("Network", bound=nn.Module)


def architecture_name(flow: str, settings: Mapping[str, Any], embedding: Sequence[tuple[str, Any]]) -> str:
    """``nsf hidden=32 dropout=0.2``, ``nsf hidden=64 behind mlp``: what tells a flow from others in a mixture."""
    sizes = "".join(f" {name}={settings[name]:g}" for name in ("hidden", "dropout") if settings.get(name))
    networks = dict.fromkeys(name for name, _ in embedding if name != "none")
    return f"{flow}{sizes}" + (f" behind {', '.join(networks)}" if networks else "")


@dataclass(frozen=True)
class Stack(Generic[Network]):
    """config: JSON from which ``network`` can be built anew; members: M."""

    config: JSONObject
    members: int
    network: Network = field(metadata={"path": "weights"})
    history: History

    @property
    def device(self) -> torch.device:
        return next(chain(self.network.parameters(), self.network.buffers())).device

    @property
    def architecture(self) -> str:
        """Its name in a report: a flow with its size and embedding, or the networks of a regressor."""
        if "flow" not in self.config:
            return ", ".join(name for name, _ in self.config["networks"])
        return architecture_name(self.config["flow"], self.config["recipe"], self.config.get("embedding", ()))

    def first(self, members: int) -> dict[str, torch.Tensor]:
        """The weights of the first members."""
        return {name: value[:members] for name, value in self.network.state_dict().items()}

    def member(self, number: int) -> Network:
        """A network of this one member alone, with copies of its weights, on the same device."""
        weights = {name: value[number : number + 1] for name, value in self.network.state_dict().items()}
        network: Network = type(self.network).from_config(self.config, generators(0, "rebuild", 1))  # type: ignore[attr-defined]
        network.load_state_dict(weights, strict=True)
        return network.to(self.device).eval()

    @staticmethod
    def build_network(network: Any, built: Mapping[str, Any]) -> nn.Module:
        """A network of this class, from the fields that are read already; its weights are filled in afterwards."""
        return network.from_config(built["config"], generators(0, "rebuild", built["members"]))


@torch.no_grad()
def outputs(stacks: Sequence[Stack[Network]], data: Sequence[np.ndarray]) -> np.ndarray:
    """Of every member of every stack, for the same rows: (M, n, O) float64."""
    by_stack = []
    for stack in stacks:
        raw = stack.network(
            *(expand_members(torch.from_numpy(array).to(stack.device), stack.members) for array in data)
        )
        by_stack.append(raw.double().cpu().numpy())
    return np.concatenate(by_stack)
