"""What a kind of file holds: every dataset by its path, with axes, type and meaning. Reading compares with it.

The guide quotes it. A new kind of file is one ``Schema`` beside the code that writes and reads it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cosmoinfer.errors import UserError

TYPES = {"number": "fiub", "whole": "iu", "text": "U", "any": "fiubU"}  # kinds of numpy's types
WORDS = {"number": "numbers", "whole": "whole numbers", "text": "text", "any": "numbers or text"}


class Array(Protocol):
    """In memory or in its file."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


@dataclass(frozen=True)
class Dataset:
    """axes: as ``(n, S, P)``, ``...`` for further ones; axes of one name are equally long. Other text is for the guide
    alone. meaning: for the guide. type: of TYPES. required: whether every file of the kind has it."""

    axes: str
    meaning: str
    type: str = "number"
    required: bool = False

    @property
    def names(self) -> list[str] | None:
        """Of its axes; None for any."""
        names = [name.strip() for name in self.axes.strip("()").split(",") if name.strip()]
        return names if all(re.fullmatch(r"[A-Za-z]+|\d+|\.\.\.", name) for name in names) else None


@dataclass(frozen=True)
class Schema:
    """kind: of the file. commands: that write it. datasets: by regular expression of the path. nested: groups that hold
    a file of the same kind each."""

    kind: str
    commands: str
    datasets: Mapping[str, Dataset]
    nested: tuple[str, ...] = ()

    def check(self, path: Path, arrays: Mapping[str, Array]) -> None:
        """Raises UserError where a dataset is missing, unknown, or of another type or shape than it should be."""
        lengths: dict[tuple[str, str], tuple[int, str]] = {}  # of axes so far, and the dataset that told
        for name, dataset in self.datasets.items():
            if dataset.required and name not in arrays:
                raise UserError(f"{path}: has no dataset /{name}, as every {self.kind} file has")
        for name, array in sorted(arrays.items()):
            scope, inner = self._split_nested(name)
            pattern = next((pattern for pattern in self.datasets if re.fullmatch(pattern, inner)), None)
            if pattern is None:
                raise UserError(f"{path}: has a dataset /{name}, as no {self.kind} file has")
            dataset = self.datasets[pattern]
            if array.dtype.kind not in TYPES[dataset.type] and 0 not in array.shape:  # of no values numpy has no type
                raise UserError(f"{path}: /{name}: expected {WORDS[dataset.type]}, found {array.dtype}")
            if dataset.names is None:
                continue
            scope += "/".join(re.findall(r"(?<=/)\d+(?=/)", inner))  # as of a stack
            for axis, length in _pair_axes(path, name, dataset.names, array.shape):
                expected, source = lengths.setdefault((scope, axis), (length, name))
                if length != expected:
                    origin = f"expected {axis} = {expected}, as of /{source}"
                    raise UserError(f"{path}: /{name}: {origin}, found shape {array.shape}")

    def _split_nested(self, name: str) -> tuple[str, str]:
        """The groups that hold files of the same kind, and the path within the last one."""
        match = re.match(f"(?:(?:{'|'.join(self.nested)})/)*" if self.nested else "", name)
        scope = match.group() if match else ""
        return scope, name[len(scope) :]


def _pair_axes(path: Path, name: str, axes: list[str], shape: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    """Names and lengths of axes. Raises UserError where there are more or fewer, or one has a fixed length."""
    is_open = axes[-1:] == ["..."]
    named = axes[:-1] if is_open else axes
    if len(shape) < len(named) or (len(shape) > len(named) and not is_open):
        raise UserError(f"{path}: /{name}: expected axes ({', '.join(axes)}), found shape {shape}")
    for axis, length in zip(named, shape, strict=False):
        if not axis.isdigit():
            yield axis, length
        elif length != int(axis):
            raise UserError(f"{path}: /{name}: expected axes ({', '.join(axes)}), found shape {shape}")


@contextmanager
def interpreted(path: Path | str, contents: str) -> Iterator[None]:
    """Where what was read from a file becomes objects. contents: what is expected, in words.

    Raises UserError where it is something else, which only another tool or version can have written.
    """
    try:
        yield
    except UserError as error:
        raise error if str(path) in error.message else UserError(f"{path}: {error.message}") from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: does not hold {contents} of this version ({reason})") from error
