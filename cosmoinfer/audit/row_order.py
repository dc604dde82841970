"""Orders in which parameters come to lie beside data of other simulations, and what mends each of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """M things in a row. numbers: (M,) what they are called by, other than their place. each: of one simulation."""

    numbers: np.ndarray
    each: int = 1

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class Reordering:
    """orders: of a line, permutations p (M,): theta[p] beside the data would be right. what, mend: in words."""

    orders: Callable[[Line], list[np.ndarray]]
    what: str
    mend: str


def by_name(line: Line) -> list[np.ndarray]:
    """As a listing of files sorts them: numbered from 0, from 1 or by their ids; followed by a dot, or by a word."""
    places = np.arange(len(line))
    return [
        np.argsort(np.array([f"{one}{end}" for one in numbers.tolist()]), kind="stable")
        for numbers in (places, places + 1, line.numbers)
        for end in (".", "_")
    ]


def shifted(line: Line) -> list[np.ndarray]:
    places = np.arange(len(line))
    return [np.roll(places, -1), np.roll(places, 1)]


def interleaved(line: Line) -> list[np.ndarray]:
    """Rows that go through all simulations once for each of their maps, and parameters that do not; or the inverse."""
    if line.each < 2 or len(line) % line.each:
        return []
    order = np.arange(len(line)).reshape(-1, line.each).T.ravel()
    return [order, np.argsort(order)]


BY_NUMBER = "sort files by number, not by name, when the catalog is made"
REORDERINGS = {
    "data-by-name": Reordering(
        by_name, "the data are sorted by name (0, 1, 10, 100, ...) beside parameters sorted by number", BY_NUMBER
    ),
    "parameters-by-name": Reordering(
        lambda line: [np.argsort(order) for order in by_name(line)],
        "the parameters are sorted by name (0, 1, 10, 100, ...) beside data sorted by number",
        BY_NUMBER,
    ),
    "shifted": Reordering(
        shifted,
        "one of the two is shifted by one",
        "look for a header that was read as a row, or a first file left out",
    ),
    "reversed": Reordering(
        lambda line: [np.arange(len(line))[::-1]], "one of the two is in reversed order", "turn it round"
    ),
    "interleaved": Reordering(
        interleaved,
        "the one goes through all simulations again and again, the other through all rows of each",
        "repeat the parameters in the order of the data (np.tile, not np.repeat, or the inverse)",
    ),
}
