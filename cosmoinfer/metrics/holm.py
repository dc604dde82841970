"""Multiple testing: Holm's step-down correction, which keeps one error rate for all tests together."""

import numpy as np


def holm_adjusted(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of m tests, (m,): the chance that any is below alpha is at most alpha.

    The k-th smallest p, k = 0..m-1, times m - k, and at least the adjusted value of any smaller p. NaN is no test and
    stays. Holm 1979 (Scandinavian Journal of Statistics 6, 65).
    """
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    corrected = np.array(p, dtype=np.float64)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return corrected
