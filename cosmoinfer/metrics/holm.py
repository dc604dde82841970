"""Many tests at once: Holm's step-down, which keeps one error rate for all of them together."""

import numpy as np


def holm_adjusted(p: np.ndarray) -> np.ndarray:
    """p-values of m tests as if each had been the only one, (m,): below alpha in any with a chance of alpha at most.

    The k-th smallest, k = 0..m-1, times m - k; never less than a smaller one's. What is no number was no test, and
    stays. Holm 1979 (Scandinavian Journal of Statistics 6, 65).
    """
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    found = np.array(p, dtype=np.float64)
    found[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return found
