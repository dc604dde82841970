"""How much a network may allocate while it is built: what the weights in its file can fill, many times over.

The configuration of a file from a stranger may ask for a network without end. It is refused before it is made.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from cosmoinfer.errors import UserError

MAX_NUMBERS_PER_WEIGHT = 32  # of masks, draws and copies while a network is built
FREE_NUMBERS = 1 << 22  # that any network may allocate
FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full, torch.eye, torch.arange)


class AllocationLimit(TorchFunctionMode):
    """While it is entered, tensors of no more numbers are made than a file with so many weights accounts for."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.remaining = MAX_NUMBERS_PER_WEIGHT * weights + FREE_NUMBERS

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The function's result. Raises UserError where it would allocate too much."""
        if func in FACTORIES:
            self.remaining -= _count_numbers(func, args, kwargs or {})
            if self.remaining < 0:
                raise UserError("its configuration asks for a larger network than its weights are of")
        return func(*args, **(kwargs or {}))


def _count_numbers(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Of the tensor that a factory makes."""
    size = args[0] if args else kwargs.get("size", kwargs.get("n", kwargs.get("end", 0)))
    if not isinstance(size, int):
        return prod(size) if isinstance(size, Sequence) else 0
    sizes = [number for number in args if isinstance(number, int)]
    if func is torch.arange:
        return abs(max(sizes))
    return size**2 if func is torch.eye and len(sizes) == 1 else prod(sizes)
