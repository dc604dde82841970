"""The range of each feature of an observable, over its finite values."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Observable


@dataclass(frozen=True)
class FeatureRange:
    """Ranges and counts of the K features of an observable.

    low, high: (K,) the extremes; inf and -inf where a feature has no finite value.
    n_finite: (K,) the number of rows with a finite value.
    n_rows: the number of rows.
    n_zeros: the number of exact zeros, over all features.
    smallest_positive: over all features; inf if no value is positive.
    """

    low: np.ndarray
    high: np.ndarray
    n_finite: np.ndarray
    n_rows: int
    n_zeros: int
    smallest_positive: float

    @property
    def spread(self) -> np.ndarray:
        """(K,) high - low; -inf where a feature has no finite value."""
        return self.high - self.low


def feature_range(observable: Observable) -> FeatureRange:
    """The ranges of the features of an observable, in one pass over its rows."""
    size = int(np.prod(observable.row_shape))
    low, high, n_finite = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size, dtype=int)
    n_zeros, smallest_positive = 0, np.inf
    for block in observable.blocks(np.arange(len(observable.array))):
        values = block.reshape(len(block), -1)
        is_finite = np.isfinite(values)
        low = np.minimum(low, np.where(is_finite, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(is_finite, values, -np.inf).max(axis=0))
        n_finite += is_finite.sum(axis=0)
        n_zeros += int(np.count_nonzero(values == 0))
        positive = np.where(is_finite & (values > 0), values, np.inf)
        smallest_positive = min(smallest_positive, float(positive.min()))
    return FeatureRange(low, high, n_finite, len(observable.array), n_zeros, smallest_positive)
