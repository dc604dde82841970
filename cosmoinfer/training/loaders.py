"""Training and validation rows as the loop takes them: in memory, or from their files, block by block.

Blocks of a file come in random order and are shuffled in a window of rows, each member's in an order of its own; the
next window is read while the last one trains. The same seed gives the same rows in the same order.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.memory import slices
from cosmoinfer.training.settings import Rows, TrainingContext

WINDOWS_IN_MEMORY = (
    8  # would fill the memory that data may take: some are held at once, scaled, shuffled and on their way
)


ReadRows = Callable[[np.ndarray], tuple[np.ndarray, ...]]  # rows (by position) -> what a network sees of them


Item = TypeVar("Item")


class DataLoader(ABC):
    """N rows for a training, wherever they are."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def numbers_per_row(self) -> int:
        """Of one row."""

    @abstractmethod
    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        """N // size batches (M, size, ...), each member in an order of its own; the few left over differ."""

    @abstractmethod
    def chunks(self, size: int) -> Iterator[Rows]:
        """All rows in their order, at most so many at once."""


@dataclass(frozen=True)
class InMemoryLoader(DataLoader):
    """Rows in memory."""

    rows: Rows

    def __len__(self) -> int:
        return len(self.rows[0])

    @property
    def numbers_per_row(self) -> int:
        return sum(field[0].numel() for field in self.rows)

    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        order = torch.stack([torch.randperm(len(self), generator=generator) for generator in generators])  # (M, N)
        order = order.to(self.rows[0].device)
        for batch in slices(len(self) // size * size, size):
            chosen = order[:, batch].flatten()  # of all members; a selection is four times as fast as indexing
            yield tuple(field.index_select(0, chosen).unflatten(0, (len(order), size)) for field in self.rows)

    def chunks(self, size: int) -> Iterator[Rows]:
        for chunk in slices(len(self), size):
            yield tuple(field[chunk] for field in self.rows)


@dataclass(frozen=True)
class StreamingLoader(DataLoader):
    """Rows on disk.

    leading: what comes before the data in a batch, (n, ...) each, in memory.
    data: positions (k,) of rows -> what a network sees of them, (k, ...) an observable.
    rows: (n,), by position in the catalog.
    blocks: of each block of the file, the places of its rows among ``rows``.
    window: so many rows are shuffled at once.
    """

    leading: tuple[np.ndarray, ...]
    data: ReadRows
    rows: np.ndarray
    blocks: list[np.ndarray]
    window: int
    context: TrainingContext

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def numbers_per_row(self) -> int:
        return sum(field[0].size for field in self._read(np.arange(1)))

    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        order = seeding.generator(self.context.seed, "blocks", epoch).permutation(len(self.blocks))
        window_rows = max(1, self.window // size) * size
        for window in _prefetch(self._windows(order, window_rows)):
            yield from InMemoryLoader(self.context.tensors(*window)).batches(epoch, size, generators)

    def chunks(self, size: int) -> Iterator[Rows]:
        for chunk in slices(len(self.rows), min(size, self.window)):
            yield self.context.tensors(*self._read(np.arange(chunk.start, chunk.stop)))

    def _windows(self, order: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, ...]]:
        """So many rows at a time, the last ones fewer; what a block has too many waits for the next."""
        pending: list[tuple[np.ndarray, ...]] = []
        for number in order:
            pending.append(self._read(self.blocks[number]))
            if sum(len(block[0]) for block in pending) >= size:
                joined = _concatenate(pending)
                whole = len(joined[0]) // size * size
                yield from (tuple(field[window] for field in joined) for window in slices(whole, size))
                pending = [tuple(field[whole:].copy() for field in joined)]
        if any(len(block[0]) for block in pending):
            yield _concatenate(pending)

    def _read(self, places: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*(field[places] for field in self.leading), *self.data(self.rows[places]))


def make_loader(
    catalog: Catalog, rows: np.ndarray, leading: Sequence[np.ndarray], data: ReadRows, context: TrainingContext
) -> DataLoader:
    """The rows (n,) of a catalog, by position: in memory, or streamed where they are more than it may take.

    leading: what comes before the data in a batch, one array (n, ...) each.
    """
    if not catalog.is_streamed:
        return InMemoryLoader(context.tensors(*leading, *data(rows)))
    # the observable with the largest rows decides how rows are grouped
    values = max((observable.values for observable in catalog.observables), key=lambda values: values.size)
    assert isinstance(values, LazyArray)
    size = sum(array.nbytes for array in data(rows[:1]))
    window = max(1, catalog.memory_limit // (WINDOWS_IN_MEMORY * size))
    if len(rows) <= window:
        return InMemoryLoader(context.tensors(*leading, *data(rows)))
    return StreamingLoader(tuple(leading), data, rows, values.group_by_block(rows), window, context)


def _concatenate(batches: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(field) for field in zip(*batches, strict=True))


def _prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Each is made by a thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
