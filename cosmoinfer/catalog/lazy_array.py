"""Rows that stay in their files until somebody asks for them, whole blocks at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cosmoinfer.storage import Stored

BLOCK_BYTES = 8 << 20  # that are read at once, about: whole chunks of the file


@dataclass(frozen=True)
class Streamed:
    """Stands where an array of all rows would: (N, ...). parts: datasets, one after the other, in as many files.

    channel: whether an axis of one channel is put after the rows. keep: of the last axis, what scale cuts leave.
    chosen: (N,) which rows of all parts these are; None for all of them.
    """

    parts: tuple[Stored, ...]
    channel: bool = False
    keep: np.ndarray | None = None
    chosen: np.ndarray | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self.chosen is None else len(self.chosen)

    @property
    def shape(self) -> tuple[int, ...]:
        row = ((1,) if self.channel else ()) + self.parts[0].shape[1:]
        return (len(self), *(row if self.keep is None else (*row[:-1], len(self.keep))))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.result_type(*(one.dtype for one in self.parts))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """These rows, in this order: a block of the file is read once, from the first to the last row that counts."""
        rows = np.asarray(rows) if self.chosen is None else self.chosen[rows]
        found = np.empty((len(rows), *self.parts[0].shape[1:]), self.dtype)
        if len(rows):
            blocks = self._block_of(rows)
            order = np.lexsort((rows, blocks))
            for some in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
                self._fill(found, some, rows[some])
        found = found if self.keep is None else found[..., self.keep]
        return found[:, None] if self.channel else found

    def take(self, rows: np.ndarray) -> "Streamed":
        """These rows, still in their files."""
        return replace(self, chosen=np.asarray(rows) if self.chosen is None else self.chosen[rows])

    def cut(self, keep: np.ndarray) -> "Streamed":
        """These places of the last axis, still in their files."""
        return replace(self, keep=keep if self.keep is None else self.keep[keep])

    def with_channel(self) -> "Streamed":
        return replace(self, channel=True)

    def blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        """Positions (n,) among ``rows``, split by the block of the file in which the row lies."""
        numbers = self._block_of(np.asarray(rows) if self.chosen is None else self.chosen[rows])
        order = np.argsort(numbers, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)

    def _fill(self, found: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
        part = int(np.searchsorted(self._ends, rows[0], side="right"))
        first, last = int(rows[0] - self._starts[part]), int(rows[-1] - self._starts[part])
        if _in_a_row(rows) and _in_a_row(places):
            self.parts[part].read_into(found[places[0] : places[-1] + 1], first, last + 1)
            return
        slab = self.parts[part].read(first, last + 1)
        found[places] = slab[rows - rows[0]].reshape(len(rows), *found.shape[1:])

    def _block_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the block in which each row lies, (n,), counted over all parts."""
        part = np.searchsorted(self._ends, rows, side="right")
        steps, before = self._steps
        return before[part] + (rows - self._starts[part]) // steps[part]

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each part: rows a block, and blocks before it."""
        steps = [one.whole_chunks(BLOCK_BYTES) for one in self.parts]
        blocks = [-(-len(one) // step) for one, step in zip(self.parts, steps, strict=True)]
        return np.array(steps), np.cumsum([0, *blocks])

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([len(one) for one in self.parts])

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.array([0, *self._ends[:-1]])


def _in_a_row(numbers: np.ndarray) -> bool:
    """Whether each is the one before and one more."""
    return bool(numbers[-1] - numbers[0] + 1 == len(numbers) and (np.diff(numbers) == 1).all())


def joined(parts: Sequence[Streamed]) -> Streamed:
    """One after the other."""
    chosen, start = [], 0
    for one in parts:
        held = int(one._ends[-1])
        chosen.append(start + (np.arange(held) if one.chosen is None else one.chosen))
        start += held
    whole = all(one.chosen is None for one in parts)
    return replace(
        parts[0], parts=sum((one.parts for one in parts), ()), chosen=None if whole else np.concatenate(chosen)
    )
