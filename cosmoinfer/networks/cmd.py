"""The convolutional network published with the CAMELS Multifield Dataset, for square periodic maps."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.networks.convolution import BatchNorm, Convolution
from cosmoinfer.networks.layers import Dropout, Generators, Linear, fold_members, unfold_members
from cosmoinfer.settings import setting

STAGES_BY_SIDE = {4 * 2**stages: stages for stages in range(1, 7)}  # pixels per side -> stages down to 4 pixels


@dataclass(frozen=True)
class CMD:
    """Six stages for 256 pixels, each two periodic 3x3 convolutions and a 2x2 of stride 2; a 4x4; two dense layers.

    hidden: h; the stages have 2h, 4h, ..., 64h channels, then 128h.
    dropout: the rate before each dense layer.

    Batch normalisation after every convolution but the first,
    leaky ReLU of slope 0.2 (Villaescusa-Navarro+ arXiv:2109.10915, arXiv:2109.09747). Fewer stages for smaller maps.
    """

    hidden: int = setting(6, minimum=1, maximum=1024)
    dropout: float = setting(0.2, minimum=0, below=1)
    positive_map: ClassVar[str] = "square"

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """A module from (M, B, C, H, H) to (M, B, outputs).

        Raises UserError unless ``shape`` (C, H, H) is a square map with a side in ``STAGES_BY_SIDE``.
        """
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in STAGES_BY_SIDE:
            sides = ", ".join(map(str, STAGES_BY_SIDE))
            raise UserError(f"cmd needs square maps of {sides} pixels a side; these data have shape {shape} (use cnn)")
        return _BenchmarkNetwork(self, shape, outputs, generators)


class _BenchmarkNetwork(nn.Module):
    def __init__(self, recipe: CMD, shape: tuple[int, ...], outputs: int, generators: Generators) -> None:
        super().__init__()
        self.members, h = len(generators), recipe.hidden
        channels = [shape[0], *(2**stage * h for stage in range(1, STAGES_BY_SIDE[shape[1]] + 1))]
        convolutions = []
        for in_channels, out_channels in itertools.pairwise(channels):
            convolutions.append(Convolution(generators, in_channels, out_channels, 2, 3, periodic=True))
            convolutions.append(Convolution(generators, out_channels, out_channels, 2, 3, periodic=True))
            convolutions.append(Convolution(generators, out_channels, out_channels, 2, 2, stride=2, padding=0))
        convolutions.append(Convolution(generators, channels[-1], 128 * h, 2, 4, padding=0))
        self.convolutions = nn.ModuleList(convolutions)
        widths = [layer.weight.shape[1] for layer in convolutions]
        self.norms = nn.ModuleList([nn.Identity(), *(BatchNorm(self.members, width) for width in widths[1:])])
        self.dropout = Dropout(generators, recipe.dropout)
        self.dense = Linear(generators, 128 * h, 64 * h)
        self.last = Linear(generators, 64 * h, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fold_members(x)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.leaky_relu(norm(convolution(x)), 0.2)
        features = unfold_members(x.flatten(1), self.members)  # (M, B, 128h): a map of one pixel
        return self.last(self.dropout(functional.leaky_relu(self.dense(self.dropout(features)), 0.2)))
