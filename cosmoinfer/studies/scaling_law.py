"""A power law of the number of simulations, L(N) = L_inf - c N^-alpha: its posterior from a few measured points.

Four points constrain three unknowns poorly, so that prior knowledge is used:

- alpha ~ N(0.8, 0.25) on 0.3..1.5. A regular model of p parameters falls short by p / 2N (alpha = 1, Akaike 1974);
  networks converge more slowly (Hestness+ arXiv:1712.00409);
- the shortfall c N^-alpha at the largest size is uniform in its logarithm, L_inf is uniform: the data constrain both;
- a training scatters about the law by a normal fraction of its shortfall (one draw of N simulations, one draw of the
  initial weights). The fraction is log-normal about 10 %, by a factor of two, and independent from size to size.
  (Measured on power spectra: 10 to 15 % from one draw of 500 or 1,000 simulations to another. A regular model of p
  parameters scatters by sqrt(2 / p): 10 % are 200 parameters.)

The held-out rows are the same for all sizes: their sampling error moves all points together, is absorbed by L_inf, and
cancels from every difference. The covariance used is that of the differences, which is far smaller.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.metrics.bootstrap import Clusters

POSTERIOR_DRAWS = 4000
ALPHA_MEAN, ALPHA_STD, ALPHA_RANGE = 0.8, 0.25, (0.3, 1.5)
SCATTER_MEDIAN, SCATTER_FACTOR = 0.10, 2.0
SHORTFALL_RANGE = (1e-4, 1e2)  # nat, at the largest size
MIN_ERROR_NATS = 1e-4  # at least, of a mean log density
GRID_NODES = (21, 100, 7)  # of alpha, shortfall and scatter
NEGLIGIBLE_DENSITY = 1e-4  # of the maximum on the first grid: below it, nodes are left out of the second


@dataclass(frozen=True)
class ScalingLaw:
    """D draws of the posterior of the law L(N) = L_inf - c N^-alpha, in nats.

    largest: the largest measured size.
    asymptote: (D,), L_inf.
    alpha: (D,), the exponent.
    shortfall: (D,), c N^-alpha at the largest size.
    scatter: (D,), standard deviation of a training about the law, as a fraction of its shortfall.
    standard_deviate: (D,), standard normal: the deviation of a future training.
    """

    largest: float
    asymptote: np.ndarray
    alpha: np.ndarray
    shortfall: np.ndarray
    scatter: np.ndarray
    standard_deviate: np.ndarray

    def log_prob_at(self, size: float) -> np.ndarray:
        """L(size), (D,)."""
        return self.asymptote - self._shortfall_at(size)

    def training_at(self, size: float) -> np.ndarray:
        """The mean log density of one training with so many simulations, (D,), with its scatter about the law."""
        return self.log_prob_at(size) + self.standard_deviate * self.scatter * self._shortfall_at(size)

    def gain(self, size: float) -> np.ndarray:
        """L(size) - L(largest), (D,)."""
        return self.shortfall - self._shortfall_at(size)

    def _shortfall_at(self, size: float) -> np.ndarray:
        return self.shortfall * (size / self.largest) ** -self.alpha


def fit_scaling_law(sizes: np.ndarray, log_probs: np.ndarray, covariance: np.ndarray, seed: int = 0) -> ScalingLaw:
    """Posterior of the law from mean log densities at K sizes.

    sizes: (K,), growing. log_probs: (K,), in nats. covariance: (K, K), of their differences from the last, from
    ``covariance_of_differences``. On a grid of alpha, shortfall and scatter, with L_inf integrated out; then on a finer
    one where the density is not negligible.
    """
    spread = 2 * np.log(SCATTER_FACTOR)
    ranges = [
        ALPHA_RANGE,
        tuple(np.log(SHORTFALL_RANGE)),
        (np.log(SCATTER_MEDIAN) - spread, np.log(SCATTER_MEDIAN) + spread),
    ]
    for _ in range(2):
        axes = [np.linspace(low, high, count) for (low, high), count in zip(ranges, GRID_NODES, strict=True)]
        grid = _evaluate_grid(axes, np.asarray(sizes, dtype=np.float64), np.asarray(log_probs), covariance)
        likely = np.nonzero(grid.log_density > grid.log_density.max() + np.log(NEGLIGIBLE_DENSITY))
        ranges = [_refined_range(axis, where) for axis, where in zip(axes, likely, strict=True)]
    stream = seeding.generator(seed, "scaling law")
    weights = special.softmax(grid.log_density.ravel())
    node = np.unravel_index(stream.choice(len(weights), POSTERIOR_DRAWS, p=weights), grid.log_density.shape)
    alpha, shortfall, scatter = (axis[index] for axis, index in zip(axes, node, strict=True))
    limit = grid.limit[node] + np.sqrt(grid.variance[node]) * stream.standard_normal(POSTERIOR_DRAWS)
    chance = stream.standard_normal(POSTERIOR_DRAWS)
    return ScalingLaw(float(sizes[-1]), limit, alpha, np.exp(shortfall), np.exp(scatter), chance)


def covariance_of_differences(log_probs: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Covariance (K, K) of mean log densities of rows (K, n), each minus the last, clustered by simulation."""
    differences = log_probs - log_probs[-1]
    centred = differences - differences.mean(axis=1, keepdims=True)
    sums = np.stack(
        [np.bincount(clusters.simulation_of_row, row, minlength=clusters.count) for row in centred]
    )  # (K, G)
    return clusters.count / (clusters.count - 1) * sums @ sums.T / len(clusters) ** 2


class _Grid(NamedTuple):
    """log_density: of the node, up to a constant; limit, variance: L_inf given the node. All (A, S, F)."""

    log_density: np.ndarray
    limit: np.ndarray
    variance: np.ndarray


def _evaluate_grid(axes: list[np.ndarray], sizes: np.ndarray, log_probs: np.ndarray, covariance: np.ndarray) -> _Grid:
    alpha, log_shortfall, log_scatter = (axis[..., None] for axis in np.meshgrid(*axes, indexing="ij"))
    short = np.exp(log_shortfall) * (sizes / sizes[-1]) ** -alpha  # (A, S, F, K)
    training_variance = (np.exp(log_scatter) * short) ** 2 + MIN_ERROR_NATS**2
    precision = np.linalg.inv(covariance + training_variance[..., None] * np.eye(len(sizes)))  # (A, S, F, K, K)
    at_infinity = log_probs + short
    variance = 1 / precision.sum(axis=(-2, -1))
    limit = variance * np.einsum("...kl,...l->...", precision, at_infinity)
    residual = at_infinity - limit[..., None]
    chi2 = np.einsum("...k,...kl,...l->...", residual, precision, residual)
    prior = ((alpha - ALPHA_MEAN) / ALPHA_STD) ** 2 + (
        (log_scatter - np.log(SCATTER_MEDIAN)) / np.log(SCATTER_FACTOR)
    ) ** 2
    log_density = 0.5 * (np.linalg.slogdet(precision)[1] + np.log(variance) - chi2 - prior[..., 0])
    return _Grid(log_density, limit, variance)


def _refined_range(axis: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """From one node before the first that is not negligible to one after the last."""
    return float(axis[max(where.min() - 1, 0)]), float(axis[min(where.max() + 1, len(axis) - 1)])
