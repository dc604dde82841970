"""A ridge estimate of theta from x, kept in every model: reference points for TARP, and the line to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer.networks.baselines import solve_ridge

MOST_FEATURES = 1000


@dataclass(frozen=True)
class Ridge:
    """theta = features @ weights + offset: weights (F, P), offset (P,), in catalog units."""

    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, data: Sequence[np.ndarray]) -> np.ndarray:
        return _features(data) @ self.weights + self.offset


def fit_ridge(data: Sequence[np.ndarray], theta: np.ndarray) -> Ridge:
    """The penalty by leave-one-out on the training rows themselves."""
    return Ridge(*solve_ridge(_features(data), theta))


def _features(data: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors as they are; what has axes by its power on successive scales: (n, F) float64."""
    return np.concatenate([one if one.ndim == 2 else _scales(one) for one in data], axis=1)[:, :MOST_FEATURES].astype(
        np.float64
    )


def _scales(data: np.ndarray) -> np.ndarray:
    """Mean and log variance a channel, at the full resolution and after each pooling by two."""
    found = [data.reshape(*data.shape[:2], -1).mean(axis=2)]
    while min(data.shape[2:]) >= 4:
        found.append(np.log(data.reshape(*data.shape[:2], -1).var(axis=2) + 1e-12))
        for axis in range(2, data.ndim):
            even = data.shape[axis] // 2 * 2
            pairs = np.take(data, np.arange(0, even, 2), axis) + np.take(data, np.arange(1, even, 2), axis)
            data = pairs / 2
    return np.concatenate(found, axis=1)
