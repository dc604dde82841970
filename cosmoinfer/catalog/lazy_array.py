"""Rows that stay in their files until somebody asks for them, whole blocks at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cosmoinfer.storage import DatasetHandle

BLOCK_BYTES = 8 << 20  # that are read at once, about: whole chunks of the file


@dataclass(frozen=True)
class LazyArray:
    """Stands where an array of all rows would: (N, ...). parts: datasets, one after the other, in as many files.

    channel: whether an axis of one channel is put after the rows. keep: of the last axis, what scale cuts leave.
    chosen: (N,) which rows of all parts these are; None for all of them.
    """

    datasets: tuple[DatasetHandle, ...]
    has_channel_axis: bool = False
    features: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        row = ((1,) if self.has_channel_axis else ()) + self.datasets[0].shape[1:]
        return (len(self), *(row if self.features is None else (*row[:-1], len(self.features))))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(one.dtype for one in self.datasets))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """These rows, in this order: a block of the file is read once, from the first to the last row that counts."""
        rows = np.asarray(rows) if self.rows is None else self.rows[rows]
        found = np.empty((len(rows), *self.datasets[0].shape[1:]), self.dtype)
        if len(rows):
            blocks = self._block_of(rows)
            order = np.lexsort((rows, blocks))
            for some in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
                self._fill(found, some, rows[some])
        found = found if self.features is None else found[..., self.features]
        return found[:, None] if self.has_channel_axis else found

    def take(self, rows: np.ndarray) -> "LazyArray":
        """These rows, still in their files."""
        return replace(self, rows=np.asarray(rows) if self.rows is None else self.rows[rows])

    def select_features(self, features: np.ndarray) -> "LazyArray":
        """These places of the last axis, still in their files."""
        return replace(self, features=features if self.features is None else self.features[features])

    def with_channel_axis(self) -> "LazyArray":
        return replace(self, has_channel_axis=True)

    def group_by_block(self, rows: np.ndarray) -> list[np.ndarray]:
        """Positions (n,) among ``rows``, split by the block of the file in which the row lies."""
        numbers = self._block_of(np.asarray(rows) if self.rows is None else self.rows[rows])
        order = np.argsort(numbers, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)

    def _fill(self, found: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
        part = int(np.searchsorted(self._ends, rows[0], side="right"))
        first, last = int(rows[0] - self._starts[part]), int(rows[-1] - self._starts[part])
        if _in_a_row(rows) and _in_a_row(places):
            self.datasets[part].read_into(found[places[0] : places[-1] + 1], first, last + 1)
            return
        slab = self.datasets[part].read(first, last + 1)
        found[places] = slab[rows - rows[0]].reshape(len(rows), *found.shape[1:])

    def _block_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the block in which each row lies, (n,), counted over all parts."""
        part = np.searchsorted(self._ends, rows, side="right")
        steps, before = self._steps
        return before[part] + (rows - self._starts[part]) // steps[part]

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each part: rows a block, and blocks before it."""
        steps = [one.rows_per_block(BLOCK_BYTES) for one in self.datasets]
        blocks = [-(-len(one) // step) for one, step in zip(self.datasets, steps, strict=True)]
        return np.array(steps), np.cumsum([0, *blocks])

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(one) for one in self.datasets])

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.array([0, *self._ends[:-1]])


def _in_a_row(numbers: np.ndarray) -> bool:
    """Whether each is the one before and one more."""
    return bool(numbers[-1] - numbers[0] + 1 == len(numbers) and (np.diff(numbers) == 1).all())


def concatenate(parts: Sequence[LazyArray]) -> LazyArray:
    """One after the other."""
    chosen, start = [], 0
    for one in parts:
        held = int(one._ends[-1])
        chosen.append(start + (np.arange(held) if one.rows is None else one.rows))
        start += held
    whole = all(one.rows is None for one in parts)
    return replace(
        parts[0], datasets=sum((one.datasets for one in parts), ()), rows=None if whole else np.concatenate(chosen)
    )
