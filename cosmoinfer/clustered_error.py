"""Errors of means over rows of which several share a simulation."""

import numpy as np


def clustered_error(values: np.ndarray, simulation: np.ndarray) -> float:
    """Standard error of the mean of values (n,) when rows of one simulation move together."""
    _, cluster = np.unique(simulation, return_inverse=True)
    sums = np.bincount(cluster, weights=values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)) / len(values))
