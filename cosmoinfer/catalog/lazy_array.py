"""Arrays whose rows stay in their files until they are indexed, then read in whole blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cosmoinfer.catalog.kinds import AxisMeaning, arrange_axes, arranged_shape
from cosmoinfer.storage import StoredRows

BLOCK_BYTES = 8 << 20  # read at once, about: whole chunks of the file


@dataclass(frozen=True)
class LazyArray:
    """An array (N, ...) in one or several files, indexed by row numbers (n,).

    datasets: concatenated along the rows.
    meaning: what the axes of a row mean, which come with the channels first; None where they are as in the files.
    features: numbers of the entries of the last axis that scale cuts keep; None for all.
    rows: (N,) numbers of these rows among those of all datasets; None for all.
    """

    datasets: tuple[StoredRows, ...]
    meaning: AxisMeaning | None = None
    features: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        row_shape = self.datasets[0].shape[1:]
        row_shape = row_shape if self.meaning is None else arranged_shape(row_shape, self.meaning)
        return (len(self), *(row_shape if self.features is None else (*row_shape[:-1], len(self.features))))

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(dataset.dtype for dataset in self.datasets))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """These rows (n,), in this order. A block is read once, from its first to its last row that is asked for."""
        rows = np.asarray(rows) if self.rows is None else self.rows[rows]
        values = np.empty((len(rows), *self.datasets[0].shape[1:]), self.dtype)
        if len(rows):
            blocks = self._block_of(rows)
            order = np.lexsort((rows, blocks))
            for positions in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
                self._read_block(values, positions, rows[positions])
        values = values if self.meaning is None else arrange_axes(values, self.meaning)
        return values if self.features is None else values[..., self.features]

    def select(self, rows: np.ndarray) -> "LazyArray":
        """These rows (n,), still in their files."""
        return replace(self, rows=np.asarray(rows) if self.rows is None else self.rows[rows])

    def select_features(self, features: np.ndarray) -> "LazyArray":
        """These entries (K,) of the last axis, still in their files."""
        return replace(self, features=features if self.features is None else self.features[features])

    def with_axes(self, meaning: AxisMeaning) -> "LazyArray":
        """With the axes of a row arranged by what they mean, still in its files."""
        return replace(self, meaning=meaning)

    def group_by_block(self, rows: np.ndarray) -> list[np.ndarray]:
        """Positions among ``rows`` (n,), grouped by the block of the file that holds the row."""
        blocks = self._block_of(np.asarray(rows) if self.rows is None else self.rows[rows])
        order = np.argsort(blocks, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1)

    def _read_block(self, values: np.ndarray, positions: np.ndarray, rows: np.ndarray) -> None:
        """Ascending rows of one block, into these positions of ``values``."""
        number = int(np.searchsorted(self._ends, rows[0], side="right"))
        first, last = int(rows[0] - self._starts[number]), int(rows[-1] - self._starts[number])
        if _is_consecutive(rows) and _is_consecutive(positions):
            self.datasets[number].read_into(values[positions[0] : positions[-1] + 1], first, last + 1)
            return
        slab = self.datasets[number].read(first, last + 1)
        values[positions] = slab[rows - rows[0]].reshape(len(rows), *values.shape[1:])

    def _block_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the block that holds each row, (n,), counted over all datasets."""
        number = np.searchsorted(self._ends, rows, side="right")
        rows_per_block, first_block = self._blocks
        return first_block[number] + (rows - self._starts[number]) // rows_per_block[number]

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each dataset: rows per block, and the number of its first block."""
        rows_per_block = [dataset.rows_per_block(BLOCK_BYTES) for dataset in self.datasets]
        counts = [-(-len(dataset) // rows) for dataset, rows in zip(self.datasets, rows_per_block, strict=True)]
        return np.array(rows_per_block), np.cumsum([0, *counts])

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(dataset) for dataset in self.datasets])

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.array([0, *self._ends[:-1]])


def _is_consecutive(numbers: np.ndarray) -> bool:
    """Whether each number is the one before it plus 1."""
    return bool(numbers[-1] - numbers[0] + 1 == len(numbers) and (np.diff(numbers) == 1).all())


def concatenate(arrays: Sequence[LazyArray]) -> LazyArray:
    """Arrays of the same row shape and selection, one after the other along the rows."""
    rows, start = [], 0
    for array in arrays:
        count = int(array._ends[-1])
        rows.append(start + (np.arange(count) if array.rows is None else array.rows))
        start += count
    complete = all(array.rows is None for array in arrays)
    return replace(
        arrays[0],
        datasets=sum((array.datasets for array in arrays), ()),
        rows=None if complete else np.concatenate(rows),
    )
