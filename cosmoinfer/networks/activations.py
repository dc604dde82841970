"""Activation functions by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """An activation function.

    function: (N, pieces * C, ...) -> (N, C, ...).
    pieces: inputs per unit; the layer before it is this many times as wide.
    """

    function: Callable[[Tensor], Tensor]
    pieces: int = 1


def leaky_relu(x: Tensor) -> Tensor:
    """x where x > 0, x / 10 elsewhere; of any shape."""
    return functional.leaky_relu(x, 0.1)


def maxout(x: Tensor) -> Tensor:
    """The larger of two pieces (Goodfellow+ arXiv:1302.4389): (N, 2C, ...) -> (N, C, ...).

    The pieces of a unit are neighbours, so that members side by side in one axis are not mixed.
    """
    return torch.maximum(x[:, 0::2], x[:, 1::2])


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid),
    "tanh": Activation(torch.tanh),
    "relu": Activation(functional.relu),
    "leaky-relu": Activation(leaky_relu),
    "elu": Activation(functional.elu),
    "maxout": Activation(maxout, pieces=2),
    "silu": Activation(functional.silu),
    "gelu": Activation(functional.gelu),
}
