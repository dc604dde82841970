"""The power of profiles, maps and grids on successive scales: a few features a channel.

A ridge regression finds parameters in them, which it does not in pixels.
"""

import numpy as np


def summary_features(data: np.ndarray) -> np.ndarray:
    """Features of one observable: a vector as it is, else its ``power_by_scale``; (n, ...) -> (n, F) float64."""
    return np.asarray(data if data.ndim == 2 else power_by_scale(data), np.float64)


def power_by_scale(data: np.ndarray) -> np.ndarray:
    """Mean and log variance a channel, at the full resolution and after each pooling by two: (n, C, ...) -> (n, F)."""
    features = [data.reshape(*data.shape[:2], -1).mean(axis=2)]
    while min(data.shape[2:]) >= 4:
        features.append(np.log(data.reshape(*data.shape[:2], -1).var(axis=2) + 1e-12))
        for axis in range(2, data.ndim):
            even = data.shape[axis] // 2 * 2
            pairs = np.take(data, np.arange(0, even, 2), axis) + np.take(data, np.arange(1, even, 2), axis)
            data = pairs / 2
    return np.concatenate(features, axis=1)
