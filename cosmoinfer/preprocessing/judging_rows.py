"""Validation rows by which epochs, members and temperatures are chosen: not those that lie beyond what scalings take.

A flow is sure of nonsense where its data are a thousand times beyond all that it has learned from: one such row among
forty would choose the epoch alone.
"""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.preprocessing.state import Preprocessing


def select_judging_rows(preprocessing: Preprocessing, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """Of validation rows (n,), by position, those of simulations without a clipped number; all, if none is left."""
    simulation = catalog.simulation[rows]
    kept = ~np.isin(simulation, simulation[_is_clipped(preprocessing, catalog, rows)])
    return rows[kept] if kept.any() else rows


def _is_clipped(preprocessing: Preprocessing, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """(n,) bool: which rows hold a number that its scaling clips."""
    clipped = np.zeros(len(rows), dtype=bool)
    for summary, observable in zip(preprocessing.inputs, catalog.observables, strict=True):
        clip = summary.standardizer.clip.astype(np.float32)
        blocks = [np.zeros(0, dtype=bool)]
        for values in observable.blocks(rows):
            beyond = (np.abs(summary.standardizer(values)) >= clip) & (clip > 0)
            blocks.append(beyond.reshape(len(values), -1).any(axis=1))
        clipped |= np.concatenate(blocks)
    return clipped
