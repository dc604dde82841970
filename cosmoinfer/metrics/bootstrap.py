"""Resampling by simulation: intervals and p-values for rows that are not independent.

Rows of one simulation share its parameters and its initial conditions: simulations are resampled, never rows. Metrics
are computed from row weights, one set for each resample.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from cosmoinfer import seeding
from cosmoinfer.memory import slices

RESAMPLES = 1000  # the smallest p-value of a clustered test is 1 / (RESAMPLES + 1)
INTERVAL_LEVEL = 0.683  # of all intervals: one standard deviation of a normal distribution
MIN_SIMULATIONS = 10  # below, there is no clustered p-value
MAX_WEIGHTS = 2_000_000  # in memory at once


@dataclass(frozen=True)
class Clusters:
    """The simulation of each of n rows.

    simulation_of_row: (n,), 0..G-1. count: G, the number of simulations. seed: of the resampling.
    """

    simulation_of_row: np.ndarray
    count: int
    seed: int = 0

    @classmethod
    def from_ids(cls, simulation: np.ndarray, seed: int = 0) -> "Clusters":
        """From identifiers of simulations, (n,), integers or strings."""
        ids, simulation_of_row = np.unique(simulation, return_inverse=True)
        return cls(simulation_of_row, len(ids), seed)

    def __len__(self) -> int:
        return len(self.simulation_of_row)

    @property
    def one_row_each(self) -> bool:
        """Every row is a simulation of its own."""
        return self.count == len(self)

    @property
    def equal_weights(self) -> np.ndarray:
        """The weights that the value of a metric is computed with, (1, n)."""
        return np.full((1, len(self)), 1 / len(self))

    @cached_property
    def _counts(self) -> np.ndarray:
        stream = seeding.generator(self.seed, "evaluate", "bootstrap")
        share = np.full(self.count, 1 / self.count)
        counts = np.empty((RESAMPLES, self.count), np.uint16)  # (B, G)
        for resample in counts:  # in turn: drawn at once they would take four times the memory
            resample[:] = stream.multinomial(self.count, share)
        return counts

    def resamples(self) -> Iterator[np.ndarray]:
        """Row weights of the resamples, (b, n) at a time, each adding to one; the same ones for every metric."""
        for resamples in slices(RESAMPLES, MAX_WEIGHTS // len(self)):
            weights = self._counts[resamples][:, self.simulation_of_row].astype(np.float64)
            yield weights / weights.sum(axis=1, keepdims=True)

    def resampled(self, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """A statistic of the row weights, (b, n) -> (b, ...), over all resamples: (B, ...)."""
        return np.concatenate([statistic(weights) for weights in self.resamples()])

    def mean(self, values: np.ndarray) -> tuple[float, float]:
        """Mean over rows of (n,) and its standard error, from the spread of the simulations' sums."""
        mean = values.mean()
        sums = np.bincount(self.simulation_of_row, values - mean, minlength=self.count)
        return float(mean), float(np.sqrt(self.count / (self.count - 1) * (sums**2).sum()) / len(self))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n,) and weights (B, n), each set adding to one -> (B,): halfway between two rows where half ends on a row.

    NaN where any value is.
    """
    if np.isnan(values).any():
        return np.full(len(weights), np.nan)
    order = np.argsort(values)
    reached = weights[:, order].cumsum(axis=1)
    lower, upper = (reached >= 0.5 - 1e-9).argmax(axis=1), (reached > 0.5 + 1e-9).argmax(axis=1)
    return (values[order][lower] + values[order][upper]) / 2


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """The central 68.3 % of the resampled values, (B,).

    A few resamples may have no value (all truths equal, say) and are left out; above one in a hundred: NaN.
    """
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < 0.99 * len(resampled):
        return np.nan, np.nan
    low, high = np.quantile(finite, [0.5 - INTERVAL_LEVEL / 2, 0.5 + INTERVAL_LEVEL / 2])
    return float(low), float(high)


def uniformity_p_value(values: np.ndarray, clusters: Clusters) -> float:
    """p-value of (n,) numbers being uniform on 0..1: the one-sample Kolmogorov-Smirnov distance D = sup |F - u|.

    Exact where every row is a simulation of its own. Else D is compared with D* = sup |F* - F| over resampled
    simulations, p = (1 + #{D* >= D}) / (B + 1); NaN with fewer than 10 simulations.
    """
    if clusters.one_row_each:
        return float(stats.kstest(values, "uniform").pvalue)
    if clusters.count < MIN_SIMULATIONS:
        return np.nan
    distance = stats.kstest(values, "uniform").statistic
    return float((1 + (resampled_ks_distances(values, clusters) >= distance).sum()) / (RESAMPLES + 1))


def uniformity_band(values: np.ndarray, clusters: Clusters, level: float = 0.95) -> float:
    """Half-width of the simultaneous band around the diagonal for values (n,) that should be uniform.

    An ECDF leaves it when ``uniform_p`` < 1 - level.
    """
    if clusters.one_row_each:
        return float(stats.kstwo.ppf(level, len(values)))
    if clusters.count < MIN_SIMULATIONS:
        return np.nan
    return float(np.quantile(resampled_ks_distances(values, clusters), level))


def resampled_ks_distances(values: np.ndarray, clusters: Clusters) -> np.ndarray:
    """sup |F* - F| over resampled simulations, (B,), F the empirical distribution function of (n,)."""
    order = np.argsort(values)
    steps = np.arange(1, len(values) + 1) / len(values)
    return clusters.resampled(lambda weights: np.abs(weights[:, order].cumsum(axis=1) - steps).max(axis=1))
