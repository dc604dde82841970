"""A ridge estimate of theta from x, kept in every model: reference points for TARP, and the line to beat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer.multiscale_power import summary_features
from cosmoinfer.ridge_regression import fit_by_leave_one_out

MAX_FEATURES = 1000
Data = Iterable[Sequence[np.ndarray]]  # of some rows after the other, one array (n, ...) a summary


@dataclass(frozen=True)
class Ridge:
    """theta = features @ weights + offset: weights (F, P), offset (P,), in catalog units."""

    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, data: Data) -> np.ndarray:
        return np.concatenate([_features(chunk) for chunk in data]) @ self.weights + self.offset


def fit_ridge(data: Data, theta: np.ndarray) -> Ridge:
    """From the data of training rows, chunks of (n, ...) an observable, and theta (N, P); penalty by leave-one-out."""
    return Ridge(*fit_by_leave_one_out(np.concatenate([_features(chunk) for chunk in data]), theta))


def _features(data: Sequence[np.ndarray]) -> np.ndarray:
    """Of all summaries together, (n, F)."""
    return np.concatenate([summary_features(array) for array in data], axis=1)[:, :MAX_FEATURES]
