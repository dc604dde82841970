"""Ridge regression: linear weights under a penalty on their squares (Hoerl & Kennard 1970), which the rows choose.

Two ridge regressions live elsewhere: that of ``flows.linear_start`` has one penalty for all targets and runs in torch,
whose eigenvectors of nearly singular features differ from numpy's in the last bits, and with them the trained weights;
that of ``audit.ridge_probe`` factorises the features once and gives R2 alone, of thousands of shuffled targets.
"""

import numpy as np

PENALTIES = np.logspace(-3, 5, 17)  # of squared singular values


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
