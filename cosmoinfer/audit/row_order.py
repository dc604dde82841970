"""Mistakes in the order of rows, by which parameters are paired with the data of other simulations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RowOrder:
    """The order of M rows, or simulations, of a catalog.

    file_numbers: (M,) the numbers in the names of their files.
    rows_per_simulation: how many rows of one simulation follow each other.
    """

    file_numbers: np.ndarray
    rows_per_simulation: int = 1

    def __len__(self) -> int:
        return len(self.file_numbers)


@dataclass(frozen=True)
class Reordering:
    """A mistake in the order of rows.

    permutations: of a row order, index arrays p (M,): theta[p] would be paired with the right data.
    description: what went wrong, as a clause.
    remedy: how to correct it.
    """

    permutations: Callable[[RowOrder], list[np.ndarray]]
    description: str
    remedy: str


def sorted_by_name(row_order: RowOrder) -> list[np.ndarray]:
    """The order of a listing of files: numbered from 0, from 1 or by file number, followed by a dot or a word."""
    positions = np.arange(len(row_order))
    return [
        np.argsort(np.array([f"{number}{end}" for number in numbers.tolist()]), kind="stable")
        for numbers in (positions, positions + 1, row_order.file_numbers)
        for end in (".", "_")
    ]


def shifted(row_order: RowOrder) -> list[np.ndarray]:
    """Shifts by one row, both ways."""
    positions = np.arange(len(row_order))
    return [np.roll(positions, -1), np.roll(positions, 1)]


def interleaved(row_order: RowOrder) -> list[np.ndarray]:
    """Rows that cycle through all simulations, against rows that are ordered by simulation; and the inverse."""
    size = row_order.rows_per_simulation
    if size < 2 or len(row_order) % size:
        return []
    order = np.arange(len(row_order)).reshape(-1, size).T.ravel()
    return [order, np.argsort(order)]


SORT_BY_NUMBER = "sort files by number, not by name, when the catalog is made"
REORDERINGS = {
    "data-by-name": Reordering(
        sorted_by_name, "the data are sorted by name (0, 1, 10, 100, ...), the parameters by number", SORT_BY_NUMBER
    ),
    "parameters-by-name": Reordering(
        lambda row_order: [np.argsort(order) for order in sorted_by_name(row_order)],
        "the parameters are sorted by name (0, 1, 10, 100, ...), the data by number",
        SORT_BY_NUMBER,
    ),
    "shifted": Reordering(
        shifted,
        "one of the two is shifted by one row",
        "look for a header that was read as a row, or a first file that is missing",
    ),
    "reversed": Reordering(
        lambda row_order: [np.arange(len(row_order))[::-1]], "one of the two is in reversed order", "reverse it"
    ),
    "interleaved": Reordering(
        interleaved,
        "one of the two cycles through all simulations, the other is ordered by simulation",
        "repeat the parameters in the order of the data (np.tile, not np.repeat, or the inverse)",
    ),
}
