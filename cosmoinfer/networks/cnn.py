"""Convolutional networks in one, two or three dimensions, told by the shape of the data."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.stacked import BatchNorm, Convolution, Dropout, Generators, Linear


@dataclass(frozen=True)
class CNN:
    """Stages of convolution, batch normalisation and average pooling by two, channels doubling; then a dense head.

    ``layers`` stages, as many as bring the smallest axis to 4 when 0; ``hidden`` channels in the first, 8 times that
    at most. The mean over what is left of the box feeds the head: the answer does not depend on where things are.
    """

    hidden: int = 16
    layers: int = 0
    kernel: int = 3
    activation: str = "silu"
    dropout: float = 0.0
    periodic: bool = True

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """(M*B, C, L), (M*B, C, H, W) or (M*B, C, D, H, W) -> (M*B, outputs)."""
        if not 2 <= len(shape) <= 4:
            raise UserError(f"a cnn needs profiles, maps or grids; these data have shape {shape} a row (use mlp)")
        return _ConvolutionalNetwork(self, shape, outputs, generators)


class _ConvolutionalNetwork(nn.Module):
    def __init__(self, recipe: CNN, shape: tuple[int, ...], outputs: int, generators: Generators) -> None:
        super().__init__()
        stages = recipe.layers or max(1, int(math.log2(min(shape[1:]) / 4)) if min(shape[1:]) >= 8 else 1)
        if min(shape[1:]) < 2**stages:
            raise UserError(f"--layers {stages}: pooling by two as often leaves nothing of data of shape {shape}")
        if recipe.kernel // 2 > min(shape[1:]) // 2**stages:
            raise UserError(
                f"--kernel {recipe.kernel}: wider than what {stages} poolings leave of data of shape {shape}"
            )
        self.members, self.dimensions = len(generators), len(shape) - 1
        self.activation = ACTIVATIONS[recipe.activation]
        channels = [shape[0], *(recipe.hidden * min(8, 2**stage) for stage in range(stages + 1))]
        pairs = list(itertools.pairwise(channels))
        self.convolutions = nn.ModuleList(
            Convolution(generators, before, after, self.dimensions, recipe.kernel, 1, recipe.periodic)
            for before, after in pairs
        )
        self.norms = nn.ModuleList(BatchNorm(self.members, after) for _, after in pairs)
        width = 2 * channels[-1]
        self.hidden = Linear(generators, channels[-1], width)
        self.dropout = Dropout(generators, recipe.dropout)
        self.last = Linear(generators, width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[self.dimensions - 1]
        rows, members = len(x) // self.members, self.members
        x = x.reshape(members, rows, *x.shape[1:]).transpose(0, 1).flatten(1, 2)  # (B, M*C, ...)
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = pool(x, 2) if number else x
            x = self.activation(norm(convolution(x)))
        means = x.flatten(2).mean(-1).reshape(rows, members, -1)
        features = means.transpose(0, 1).flatten(0, 1)  # (M*B, channels)
        return self.last(self.dropout(self.activation(self.hidden(features))))
