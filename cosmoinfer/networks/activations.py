"""Activation functions by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """An activation function.

    function: elementwise, of as many tensors as there are pieces.
    pieces: inputs per unit; the layer before it is this many times as wide.
    Pieces of a unit are neighbours, so that members side by side in the axis of the channels are not mixed.
    """

    function: Callable[..., Tensor]
    pieces: int = 1

    def __call__(self, x: Tensor, axis: int = -1) -> Tensor:
        """x: C * ``pieces`` channels along ``axis`` -> C channels."""
        if self.pieces == 1:
            return self.function(x)
        before = (slice(None),) * (axis % x.dim())
        return self.function(*(x[(*before, slice(piece, None, self.pieces))] for piece in range(self.pieces)))


def leaky_relu(x: Tensor) -> Tensor:
    """x where x > 0, x / 10 elsewhere; of any shape."""
    return functional.leaky_relu(x, 0.1)


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid),
    "tanh": Activation(torch.tanh),
    "relu": Activation(functional.relu),
    "leaky-relu": Activation(leaky_relu),
    "elu": Activation(functional.elu),
    "maxout": Activation(torch.maximum, pieces=2),  # the larger of two (Goodfellow+ arXiv:1302.4389)
    "silu": Activation(functional.silu),
    "gelu": Activation(functional.gelu),
}
