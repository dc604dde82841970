"""The convolutional network with which the CAMELS Multifield Dataset was published, for square periodic maps."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.networks.convolution import Convolution
from cosmoinfer.networks.dense import Dropout, Linear
from cosmoinfer.networks.members import Generators, apart, fold_members
from cosmoinfer.networks.normalisation import BatchNorm

SIZES = {4 * 2**stages: stages for stages in range(1, 7)}  # pixels on a side: stages that leave 4


@dataclass(frozen=True)
class CMD:
    """Six stages for 256 pixels, two 3x3 round the box and a 2x2 of stride 2 each; 4x4; two dense layers.

    ``hidden`` is h: channels 2h, 4h, ..., 64h, then 128h. Batch normalisation after every convolution but the first,
    leaky ReLU of slope 0.2 (Villaescusa-Navarro+ arXiv:2109.10915, arXiv:2109.09747). Fewer stages for smaller maps.
    """

    hidden: int = 6
    dropout: float = 0.2
    widths: ClassVar[str] = "square"

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """(M*B, C, H, H) -> (M*B, outputs)."""
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in SIZES:
            sides = ", ".join(map(str, SIZES))
            raise UserError(f"cmd needs square maps of {sides} pixels a side; these data have shape {shape} (use cnn)")
        return _BenchmarkNetwork(self, shape, outputs, generators)


class _BenchmarkNetwork(nn.Module):
    def __init__(self, recipe: CMD, shape: tuple[int, ...], outputs: int, generators: Generators) -> None:
        super().__init__()
        self.members, h = len(generators), recipe.hidden
        channels = [shape[0], *(2**stage * h for stage in range(1, SIZES[shape[1]] + 1))]
        convolutions = []
        for before, after in itertools.pairwise(channels):
            convolutions.append(Convolution(generators, before, after, 2, 3, periodic=True))
            convolutions.append(Convolution(generators, after, after, 2, 3, periodic=True))
            convolutions.append(Convolution(generators, after, after, 2, 2, stride=2, padding=0))
        convolutions.append(Convolution(generators, channels[-1], 128 * h, 2, 4, padding=0))
        self.convolutions = nn.ModuleList(convolutions)
        sizes = [layer.weight.shape[1] for layer in convolutions]
        self.norms = nn.ModuleList([nn.Identity(), *(BatchNorm(self.members, size) for size in sizes[1:])])
        self.dropout = Dropout(generators, recipe.dropout)
        self.dense = Linear(generators, 128 * h, 64 * h)
        self.last = Linear(generators, 64 * h, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fold_members(x, self.members)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.leaky_relu(norm(convolution(x)), 0.2)
        features = apart(x.flatten(1), self.members)  # (M*B, 128h): a map of one pixel
        return self.last(self.dropout(functional.leaky_relu(self.dense(self.dropout(features)), 0.2)))
