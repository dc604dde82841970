"""Of the numbers of a summary that are there, feature by feature: how many, from where to where."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Observable


@dataclass(frozen=True)
class Span:
    """low, high: (K,), inf and -inf where a feature has no number at all; count: (K,) of finite numbers, of ``rows``.

    zeros: exact ones; positive: the smallest positive number, inf if none.
    """

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    rows: int
    zeros: int
    positive: float

    @property
    def spread(self) -> np.ndarray:
        """(K,); -inf where there is no number."""
        return self.high - self.low


def span(summary: Observable) -> Span:
    """In one walk over the rows."""
    size = int(np.prod(summary.row_shape))
    low, high, count = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size, dtype=int)
    zeros, positive = 0, np.inf
    for block in summary.blocks(np.arange(len(summary.array))):
        values = block.reshape(len(block), -1)
        there = np.isfinite(values)
        low = np.minimum(low, np.where(there, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(there, values, -np.inf).max(axis=0))
        count += there.sum(axis=0)
        zeros += int(np.count_nonzero(values == 0))
        positive = min(positive, float(np.where(there & (values > 0), values, np.inf).min()))
    return Span(low, high, count, len(summary.array), zeros, positive)
