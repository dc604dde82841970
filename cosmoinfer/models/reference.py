"""A ridge estimate of theta from x, kept in every model: reference points for TARP, and the line to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = np.logspace(-3, 5, 17)
MOST_FEATURES = 1000


@dataclass(frozen=True)
class Ridge:
    """theta = features @ weights + offset: weights (F, P), offset (P,), in catalog units."""

    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, data: Sequence[np.ndarray]) -> np.ndarray:
        return _features(data) @ self.weights + self.offset


def fit_ridge(data: Sequence[np.ndarray], theta: np.ndarray) -> Ridge:
    """Ridge regression (Hoerl & Kennard 1970), the penalty by leave-one-out on the training rows themselves."""
    features = _features(data)
    centre, offset = features.mean(axis=0), theta.mean(axis=0)
    left, values, right = np.linalg.svd(features - centre, full_matrices=False)
    target = left.T @ (theta - offset)
    errors = []
    for penalty in PENALTIES:
        shrink = values**2 / (values**2 + penalty)
        leverage = 1 / len(theta) + (left**2 * shrink).sum(axis=1)
        residual = (theta - offset) - left @ (shrink[:, None] * target)
        errors.append(((residual / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).mean(axis=0))
    best = PENALTIES[np.argmin(errors, axis=0)]  # (P,)
    shrunk = values[:, None] / (values[:, None] ** 2 + best) * target
    weights = right.T @ shrunk
    return Ridge(weights, offset - centre @ weights)


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
