"""R2, the coefficient of determination: the fraction of the truths' variance that an estimate explains."""

import numpy as np

UNCONSTRAINED_R2 = 0.05  # at most this: the data say next to nothing of a parameter


def r2_score(truth: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """1 - sum (t - e)^2 / sum (t - mean t)^2 of n rows, (n, P) -> (P,): 1 is perfect, 0 the mean of the truths."""
    with np.errstate(over="ignore", invalid="ignore"):
        missed, varied = ((truth - centre) ** 2 for centre in (estimate, truth.mean(axis=0)))
        return 1 - missed.sum(axis=0) / np.maximum(varied.sum(axis=0), 1e-300)
