"""From the data of a row, one summary or several, to one vector."""

from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.members import Generators

EMBEDDINGS = ("auto", "none", *NETWORKS)
MIXED_PRECISION_DEVICES = ("cuda",)  # where bfloat16 is faster
Named = tuple[str, dict[str, Any]]  # a network and its settings


class Embedding(nn.Module):
    """Each summary through a network of its own, the results side by side: (M*B, ``size``).

    ``mixed_precision``: whether its products and convolutions are in bfloat16 while it trains; its output is float32.
    """

    def __init__(self, parts: Sequence[nn.Module], size: int) -> None:
        super().__init__()
        self.parts, self.size, self.mixed_precision = nn.ModuleList(parts), size, False

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        if self.mixed_precision and self.training:
            with torch.autocast(data[0].device.type, torch.bfloat16):
                return self._side_by_side(data).float()
        return self._side_by_side(data)

    def _side_by_side(self, data: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([part(one) for part, one in zip(self.parts, data, strict=True)], dim=1)


class SetEmbedding(nn.Module):
    """The mean over a set of rows of what an embedding makes of each: the same in whatever order they stand.

    Of each summary (M*B, R, ...). Zaheer et al. 2017, arXiv:1703.06114.
    """

    def __init__(self, each: Embedding) -> None:
        super().__init__()
        self.each, self.size = each, each.size

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        count = data[0].shape[1]
        rows = self.each(*(one.flatten(0, 1) for one in data))  # (M*B*R, F), member by member as before
        return rows.reshape(-1, count, self.size).mean(dim=1)


def use_mixed_precision(network: nn.Module, device: torch.device) -> None:
    """Train the embeddings of a network in bfloat16, where that is faster: a density needs all digits of its own.

    Raises UserError (``mixed_precision``) on devices where it is slower.
    """
    if device.type not in MIXED_PRECISION_DEVICES:
        devices = ", ".join(MIXED_PRECISION_DEVICES)
        raise UserError(f"--mixed-precision: is for {devices}; bfloat16 is slower on a {device.type}")
    for layer in network.modules():
        if isinstance(layer, Embedding):
            layer.mixed_precision = True


def named(networks: Sequence[tuple[str, Any]], periodic: Sequence[bool]) -> list[list[Any]]:
    """[name, settings] a summary, as JSON holds it; what convolves is told whether its box wraps round."""
    found: list[list[Any]] = []
    for (name, recipe), wraps in zip(networks, periodic, strict=True):
        settings = {} if recipe is None else asdict(recipe)
        found.append([name, settings | {"periodic": wraps} if "periodic" in settings else settings])
    return found


def build_embedding(
    networks: Sequence[Named], shapes: Sequence[tuple[int, ...]], features: int, generators: Generators
) -> Embedding:
    """One network a summary, each of which makes ``features`` numbers of it; ``none`` passes it as it is."""
    parts: list[nn.Module] = []
    size = 0
    for (name, settings), shape in zip(networks, shapes, strict=True):
        if name == "none":
            parts.append(nn.Flatten())
            size += prod(shape)
        else:
            parts.append(NETWORKS[name](**settings).build(shape, features, generators))
            size += features
    return Embedding(parts, size)
