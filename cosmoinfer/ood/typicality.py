"""How odd a number of a row is, its log density say: too low or too high beside those of rows held out of the training.

The density alone is one-sided: maps of too low an amplitude are denser than any that was trained on, and no less odd
(Nalisnick+ arXiv:1906.02994).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Typicality:
    """What value is to be expected at theta, a quadratic fitted to the validation rows, and how they scatter about it.

    coefficients: (1,) for p(x), else (1 + P + P (P + 1) / 2,) of the scaled theta. residuals: (n,), sorted.
    """

    coefficients: np.ndarray
    residuals: np.ndarray

    def expected(self, contexts: np.ndarray | None, count: int) -> np.ndarray:
        """(n,) value that rows at these scaled theta (n, P) have on average."""
        return _quadratic_terms(contexts, count, len(self.coefficients)) @ self.coefficients

    def z_score(self, values: np.ndarray, contexts: np.ndarray | None) -> np.ndarray:
        """(n,) how far above (+) or below (-) the median validation row, in their standard deviations."""
        residual = values - self.expected(contexts, len(values))
        return (residual - np.median(self.residuals)) / self.residuals.std()

    def percentile(self, z_score: np.ndarray) -> np.ndarray:
        """(n,) per cent of the validation rows that lie nearer to the median, on either side: 100 is the oddest."""
        scores = np.sort(np.abs(self.residuals - np.median(self.residuals)) / self.residuals.std())
        return 100 * np.searchsorted(scores, np.abs(z_score)) / len(scores)

    def p_value(self, z_score: np.ndarray) -> np.ndarray:
        """(n,) (1 + validation rows that are at least as odd) / (1 + validation rows): how rare by chance."""
        scores = np.sort(np.abs(self.residuals - np.median(self.residuals)) / self.residuals.std())
        return (1 + len(scores) - np.searchsorted(scores, np.abs(z_score))) / (1 + len(scores))


def fit_typicality(values: np.ndarray, contexts: np.ndarray | None) -> Typicality:
    """From validation rows, (n,) and (n, P); few of them fix a mean only."""
    count = len(values)
    size = 0 if contexts is None else contexts.shape[1]
    full = 1 + size + size * (size + 1) // 2
    terms = _quadratic_terms(contexts, count, full if count >= 10 * full else 1)
    coefficients = np.linalg.lstsq(terms, values, rcond=None)[0]
    return Typicality(coefficients, np.sort(values - terms @ coefficients))


def _quadratic_terms(contexts: np.ndarray | None, count: int, n_terms: int) -> np.ndarray:
    """1, theta_i, theta_i theta_j: (n, wanted)."""
    constant = np.ones((count, 1))
    if contexts is None or n_terms == 1:
        return constant
    rows, columns = np.triu_indices(contexts.shape[1])
    return np.concatenate([constant, contexts, contexts[:, rows] * contexts[:, columns]], axis=1).astype(np.float64)
