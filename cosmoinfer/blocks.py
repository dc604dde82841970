"""Blocks of one shape, in which a row always has the same place: what is computed of it does not depend on other rows.

A product of matrices rounds by how many rows it has, and by where among them a row is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Block:
    """rows: (size,), filled up with one of them. positions: (k,) of those that count, among the rows that were asked
    for; places: (k,) theirs in the block."""

    rows: np.ndarray
    positions: np.ndarray
    places: np.ndarray


def aligned_blocks(rows: np.ndarray, size: int) -> Iterator[Block]:
    """Row numbers (n,) in blocks of ``size``, each at the place of its number modulo ``size``.

    An odd size is filled best by numbers that are evenly spaced.
    """
    places = rows % size
    by_place, counts = np.argsort(places, kind="stable"), np.bincount(places, minlength=size)
    number = np.empty(len(rows), dtype=np.int64)  # of the block: how many rows before this one have its place
    number[by_place] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    for positions in np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1]):
        if len(positions):
            filled = np.full(size, rows[positions[0]])
            filled[places[positions]] = rows[positions]
            yield Block(filled, positions, places[positions])
