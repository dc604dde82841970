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


class AllocationLimit(TorchFunctionMode):
    """While it is entered, tensors of no more numbers are made than a file with so many weights accounts for.

    Where arguments are so large that a result may be too, it is found on the meta device first, where tensors have a
    shape and no numbers.
    """

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.remaining = MAX_NUMBERS_PER_WEIGHT * weights + FREE_NUMBERS

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The function's result. Raises UserError where it would allocate too much."""
        kwargs = kwargs or {}
        if _upper_bound([*args, *kwargs.values()]) > self.remaining:
            self._check(_count_on_meta(func, args, kwargs))
        result = func(*args, **kwargs)
        numbers = _count_numbers(result, args)
        self._check(numbers)
        self.remaining -= numbers
        return result

    def _check(self, numbers: int) -> None:
        if numbers > self.remaining:
            raise UserError("its configuration asks for a larger network than its weights are of")


def _upper_bound(argument: Any) -> float:
    """More than the numbers of any tensor that arguments ask for, were they sizes, or parts to combine or to join."""
    if isinstance(argument, torch.Tensor):
        return 1 + argument.numel()
    if isinstance(argument, int | float):
        return 1 + abs(argument) + (1 / abs(argument) if argument else 0)  # a step may be small
    return prod(map(_upper_bound, argument)) if isinstance(argument, list | tuple) else 1


def _count_numbers(result: Any, args: Sequence[Any]) -> int:
    """For which a result has memory of its own: none where it is an argument, or a view of one."""
    if not isinstance(result, torch.Tensor):
        return 0
    owner = _owner(result)
    return 0 if any(isinstance(arg, torch.Tensor) and _owner(arg) is owner for arg in args) else owner.numel()


def _owner(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor._base is None else tensor._base


def _count_on_meta(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """``_count_numbers`` of a result before it is made; 0 where it depends on the numbers in others."""
    without_numbers = [*map(_on_meta, args)]
    try:
        with torch.device("meta"):
            result = func(*without_numbers, **{name: _on_meta(kwargs[name]) for name in kwargs if name != "device"})
    except (IndexError, RuntimeError, TypeError, ValueError):
        return 0
    return _count_numbers(result, without_numbers)


def _on_meta(argument: Any) -> Any:
    """A tensor, or those in a list, without their numbers; there is no generator there."""
    if isinstance(argument, torch.Tensor):
        return argument.to("meta")
    if isinstance(argument, list | tuple):
        return type(argument)(map(_on_meta, argument))
    return None if isinstance(argument, torch.Generator) else argument
