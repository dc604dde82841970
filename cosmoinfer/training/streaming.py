"""Training and validation rows as the loop wants them: in memory, or from their files, block by block.

Blocks come in random order and are shuffled in a window of rows, each member's in an order of its own; the next window
is read while the last one trains. The same seed gives the same rows in the same order.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.catalog.lazy_array import Streamed
from cosmoinfer.training.context import Bench
from cosmoinfer.training.loop import Feed, Held, Rows

WINDOWS = 8  # would fill the memory that data may take: some are held at once, scaled, shuffled and on their way
Data = Callable[[np.ndarray], tuple[np.ndarray, ...]]  # rows (by position) -> what a network sees of them
Item = TypeVar("Item")


def feed(catalog: Catalog, rows: np.ndarray, known: Sequence[np.ndarray], data: Data, bench: Bench) -> Feed:
    """known: what comes before the data in a batch, one array (n, ...) each."""
    if not catalog.streamed:
        return Held(bench.tensors(*known, *data(rows)))
    values = max((one.values for one in catalog.summaries), key=lambda one: one.size)  # whose rows are the largest
    assert isinstance(values, Streamed)
    size = sum(one.nbytes for one in data(rows[:1]))
    window = max(1, catalog.memory // (WINDOWS * size))
    if len(rows) <= window:
        return Held(bench.tensors(*known, *data(rows)))
    return Stream(tuple(known), data, rows, values.blocks(rows), window, bench)


@dataclass(frozen=True)
class Stream(Feed):
    """rows: (n,), by position; blocks: places among them, a block of the file each; window: rows shuffled at once."""

    known: tuple[np.ndarray, ...]
    data: Data
    rows: np.ndarray
    blocks: list[np.ndarray]
    window: int
    bench: Bench

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def numbers(self) -> int:
        return sum(part[0].size for part in self._read(np.arange(1)))

    def batches(self, epoch: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Rows]:
        order = seeding.generator(self.bench.seed, "blocks", epoch).permutation(len(self.blocks))
        whole = max(1, self.window // size) * size
        for window in _ahead(self._windows(order, whole)):
            yield from Held(self.bench.tensors(*window)).batches(epoch, size, generators)

    def chunks(self, size: int) -> Iterator[Rows]:
        size = min(size, self.window)
        for start in range(0, len(self.rows), size):
            yield self.bench.tensors(*self._read(np.arange(start, min(start + size, len(self.rows)))))

    def _windows(self, order: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, ...]]:
        """So many rows at a time, the last ones fewer; what a block has too many waits for the next."""
        waiting: list[tuple[np.ndarray, ...]] = []
        for number in order:
            waiting.append(self._read(self.blocks[number]))
            if sum(len(found[0]) for found in waiting) >= size:
                whole = _joined(waiting)
                cuts = range(0, len(whole[0]) // size * size, size)
                yield from (tuple(part[start : start + size] for part in whole) for start in cuts)
                waiting = [tuple(part[len(cuts) * size :].copy() for part in whole)]
        if any(len(found[0]) for found in waiting):
            yield _joined(waiting)

    def _read(self, places: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*(part[places] for part in self.known), *self.data(self.rows[places]))


def _joined(found: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Each is made by a thread while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
