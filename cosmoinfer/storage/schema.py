"""What a kind of file holds: every dataset by its path, with axes, type, attributes and meaning. Reading compares.

The guide quotes it. A new kind of file is one ``Schema`` beside the code that writes and reads it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.storage.attributes import Attributes

TYPES = {"number": "fiub", "whole": "iu", "hash": "u", "truth": "b", "text": "U", "any": "fiubU"}  # kinds of numpy's
WORDS = {
    "number": "numbers",
    "whole": "whole numbers",
    "hash": "whole numbers without a sign",
    "truth": "true or false",
    "text": "text",
    "any": "numbers or text",
}


class Array(Protocol):
    """In memory or in its file."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


VALUES: dict[str, Callable[[Any], bool]] = {
    "any": lambda array: True,
    "defined": lambda array: not np.isnan(array).any(),  # infinite ones are thresholds of trees
    "finite": lambda array: bool(np.isfinite(array).all()),
    "positive": lambda array: bool((np.isfinite(array) & (array > 0)).all()),
}  # what holds for all numbers of a dataset


@dataclass(frozen=True)
class Attribute:
    """axes: as of a dataset, whose axes of the same name are as long; without any it is one value. type: of TYPES."""

    axes: str = "()"
    type: str = "number"
    required: bool = False


@dataclass(frozen=True)
class Dataset:
    """axes: as ``(n, S, P)``, ``...`` for further ones, or several such; axes of one name are equally long. Other text
    is for the guide alone. meaning: for the guide. type: of TYPES. required: whether every file of the kind has it.
    filled: whether it holds one value at least. values: of VALUES. attributes: those that are read, by name; others are
    let be."""

    axes: str
    meaning: str
    type: str = "number"
    required: bool = False
    filled: bool = False
    values: str = "any"
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True)
class Schema:
    """kind: of the file. commands: that write it. datasets: by regular expression of the path. nested: groups that hold
    a file of the same kind each."""

    kind: str
    commands: str
    datasets: Mapping[str, Dataset]
    nested: tuple[str, ...] = ()

    def check(self, path: Path, arrays: Mapping[str, Array], attributes: Mapping[str, Attributes]) -> None:
        """Raises UserError where a dataset or attribute is missing, or of another type or shape than it should be, and
        where a dataset is unknown."""
        axes = _Axes()
        for name, dataset in self.datasets.items():
            if dataset.required and name not in arrays:
                raise UserError(f"{path}: has no dataset /{name}, as every {self.kind} file has")
        for name, array in sorted(arrays.items()):
            scope, inner = self._split_nested(name)
            pattern = next((pattern for pattern in self.datasets if re.fullmatch(pattern, inner)), None)
            if pattern is None:
                raise UserError(f"{path}: has a dataset /{name}, as no {self.kind} file has")
            dataset, place = self.datasets[pattern], f"{path}: /{name}"
            numbered = re.match(r".*/\d+(?=/)", inner)  # as a stack, whose axes are its own
            scope += numbered.group() if numbered else ""
            _check_type(place, array, dataset.type)
            if array.dtype.kind in TYPES["number"] and not VALUES[dataset.values](array):
                raise UserError(f"{place}: expected {dataset.values} numbers, found others")
            if dataset.filled and 0 in array.shape:
                raise UserError(f"{place}: expected values, found shape {array.shape}")
            axes.check(place, scope, dataset.axes, array.shape)
            stored = attributes.get(name, {})
            for key, attribute in dataset.attributes.items():
                if key in stored:
                    value = np.asarray(stored[key])
                    _check_type(f"{place}, attribute {key}", value, attribute.type)
                    axes.check(f"{place}, attribute {key}", scope, attribute.axes, value.shape)
                elif attribute.required:
                    raise UserError(f"{place}: has no attribute {key}, as in every {self.kind} file")

    def _split_nested(self, name: str) -> tuple[str, str]:
        """The groups that hold files of the same kind, and the path within the last one."""
        match = re.match(f"(?:(?:{'|'.join(self.nested)})/)*" if self.nested else "", name)
        scope = match.group() if match else ""
        return scope, name[len(scope) :]


def _check_type(place: str, array: Array, expected: str) -> None:
    """Raises UserError where values are not of a type of TYPES."""
    if array.dtype.kind not in TYPES[expected] and 0 not in array.shape:  # of no values numpy has no type
        raise UserError(f"{place}: expected {WORDS[expected]}, found {array.dtype}")


class _Axes:
    """The lengths of axes so far, by scope and name, with the place that they are of."""

    def __init__(self) -> None:
        self.lengths: dict[tuple[str, str], tuple[int, str]] = {}

    def check(self, place: str, scope: str, axes: str, shape: tuple[int, ...]) -> None:
        """Raises UserError where a shape is not of these axes, or an axis is longer or shorter than elsewhere."""
        alternatives = [_axis_names(text) for text in axes.split(" or ")]
        if None in alternatives:
            return
        pairs = next((pairs for names in alternatives if (pairs := _pair_axes(names or [], shape)) is not None), None)
        if pairs is None:
            raise UserError(f"{place}: expected axes {axes}, found shape {shape}")
        for axis, length in pairs:
            expected, source = self.lengths.setdefault((scope, axis), (length, place))
            if length != expected:
                source = source.rpartition(": ")[2]
                raise UserError(f"{place}: expected {axis} = {expected}, as of {source}, found shape {shape}")


def _axis_names(axes: str) -> list[str] | None:
    """``n``, ``S`` and ``P`` of ``(n, S, P)``; None where a text says something else."""
    names = [name.strip() for name in axes.strip("()").split(",") if name.strip()]
    return names if all(re.fullmatch(r"[A-Za-z]+|\d+|\.\.\.", name) for name in names) else None


def _pair_axes(names: list[str], shape: tuple[int, ...]) -> list[tuple[str, int]] | None:
    """Names and lengths of axes; None where there are more or fewer, or one has another length than a fixed one."""
    is_open = names[-1:] == ["..."]
    named = names[:-1] if is_open else names
    if len(shape) < len(named) or (len(shape) > len(named) and not is_open):
        return None
    pairs = list(zip(named, shape, strict=False))
    fixed = [length == int(axis) for axis, length in pairs if axis.isdigit()]
    return [(axis, length) for axis, length in pairs if not axis.isdigit()] if all(fixed) else None


@contextmanager
def interpreted(path: Path | str, contents: str) -> Iterator[None]:
    """Where what was read from a file becomes objects. contents: what is expected, in words.

    Raises UserError where it is something else, which only another tool or version can have written.
    """
    try:
        yield
    except UserError as error:
        raise error if str(path) in error.message else UserError(f"{path}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: does not hold {contents} of this version ({reason})") from error
