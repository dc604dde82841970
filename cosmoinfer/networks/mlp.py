"""Dense feed-forward networks: the linear one and the multi-layer perceptron."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import nn

from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Dropout, Generators, Linear
from cosmoinfer.settings import setting


@dataclass(frozen=True)
class LinearNetwork:
    """One affine map of the flattened data."""

    positive_map: ClassVar[str] = "softplus"

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """A module from (M, B, *shape) to (M, B, outputs)."""
        return nn.Sequential(nn.Flatten(2), Linear(generators, prod(shape), outputs))


@dataclass(frozen=True)
class MLP:
    """A multi-layer perceptron.

    hidden: neurons per hidden layer.
    layers: number of hidden layers; with 0 it is affine.
    activation: a name in ``ACTIVATIONS``.
    dropout: the rate after each activation.
    """

    positive_map: ClassVar[str] = "softplus"

    hidden: int = setting(128, minimum=1, maximum=8192)
    layers: int = setting(2, minimum=0, maximum=100)
    activation: str = setting("silu", choices=ACTIVATIONS)
    dropout: float = setting(0.0, minimum=0, below=1)

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """A module from (M, B, *shape) to (M, B, outputs)."""
        modules: list[nn.Module] = [nn.Flatten(2)]
        width = prod(shape)
        for _ in range(self.layers):
            layer = Activated(self.activation)
            modules += [Linear(generators, width, layer.pieces * self.hidden), layer, Dropout(generators, self.dropout)]
            width = self.hidden
        return nn.Sequential(*modules, Linear(generators, width, outputs))


class Activated(nn.Module):
    """An activation function as a layer: (M, B, pieces * C) -> (M, B, C)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activation, self.pieces = ACTIVATIONS[name], ACTIVATIONS[name].pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(x)
