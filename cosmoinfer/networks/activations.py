"""Activation functions, by name."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "elu": functional.elu,
    "silu": functional.silu,
    "gelu": functional.gelu,
}
