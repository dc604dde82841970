"""From the data of a row, one summary or several, to one vector."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import nn

from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.networks.stacked import Generators

EMBEDDINGS = ("auto", "none", "mlp", "cnn")


class Embedding(nn.Module):
    """Each summary through a network of its own, the results side by side: (M*B, ``size``)."""

    def __init__(self, parts: Sequence[nn.Module], size: int) -> None:
        super().__init__()
        self.parts, self.size = nn.ModuleList(parts), size

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(one) for part, one in zip(self.parts, data, strict=True)], dim=1)


def build_embedding(
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    periodic: Sequence[bool],
    features: int,
    mlp: MLP,
    cnn: CNN,
    generators: Generators,
) -> Embedding:
    """One name a summary: none passes it as it is, mlp and cnn make ``features`` numbers of it."""
    parts: list[nn.Module] = []
    size = 0
    for name, shape, wraps in zip(names, shapes, periodic, strict=True):
        if name == "none":
            parts.append(nn.Flatten())
            size += prod(shape)
        else:
            recipe = mlp if name == "mlp" else replace(cnn, periodic=wraps)
            parts.append(recipe.build(shape, features, generators))
            size += features
    return Embedding(parts, size)
