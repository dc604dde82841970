"""Ridge regression of the parameters on features of the data: the numbers of a vector, the power by scale of fields.

Linear weights under a penalty on their squares (Hoerl & Kennard 1970), which the rows choose. It is kept in every
model: reference points for TARP, and the line to beat.

Two ridge regressions live elsewhere: that of ``flows.linear`` has one penalty for all targets and runs in torch, whose
eigenvectors of nearly singular features differ from numpy's in the last bits, and with them the trained weights; that
of ``audit.association`` factorises the features once and gives R2 alone, of thousands of shuffled targets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError

MAX_FEATURES = 1000
Data = Iterable[Sequence[np.ndarray]]  # of some rows after the other, one array (n, ...) a summary
PENALTIES = np.logspace(-3, 5, 17)  # of squared singular values


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


@dataclass(frozen=True)
class Ridge:
    """theta = features @ weights + offset: weights (F, P), offset (P,), in catalog units."""

    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, data: Data) -> np.ndarray:
        """(n, P). Raises UserError where the data have more or fewer features."""
        features = np.concatenate([_features(chunk) for chunk in data])
        if features.shape[1] != len(self.weights):
            raise UserError(
                f"the linear estimate takes {len(self.weights)} features, the data have {features.shape[1]}"
            )
        return features @ self.weights + self.offset


def fit_ridge(data: Data, theta: np.ndarray) -> Ridge:
    """From the data of training rows, chunks of (n, ...) an observable, and theta (N, P); penalty by leave-one-out."""
    return Ridge(*fit_by_leave_one_out(np.concatenate([_features(chunk) for chunk in data]), theta))


def _features(data: Sequence[np.ndarray]) -> np.ndarray:
    """Of all summaries together, (n, F)."""
    return np.concatenate([summary_features(array) for array in data], axis=1)[:, :MAX_FEATURES]


def fit_by_leave_one_out(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """weights (F, Q) and offset (Q,) of y (N, Q) ~ x (N, F) @ weights + offset, one penalty a target.

    The leave-one-out error of each penalty is known without leaving any row out: residual / (1 - leverage) (Allen 1974,
    Technometrics 16, 125).
    """
    x = x.astype(np.float64)
    centre, offset = x.mean(axis=0), y.mean(axis=0)
    left_vectors, values, right_vectors = np.linalg.svd(x - centre, full_matrices=False)
    projections = left_vectors.T @ (y - offset)
    errors = []
    for penalty in PENALTIES:
        shrinkage = values**2 / (values**2 + penalty)
        leverage = 1 / len(y) + (left_vectors**2 * shrinkage).sum(axis=1)
        residual = (y - offset) - left_vectors @ (shrinkage[:, None] * projections)
        errors.append(((residual / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).mean(axis=0))
    best = PENALTIES[np.argmin(errors, axis=0)]  # (Q,)
    weights = right_vectors.T @ (values[:, None] / (values[:, None] ** 2 + best) * projections)
    return weights, offset - centre @ weights
