"""Expected coverage as curves, for figures: how often truths lie within each level, with their bands."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, Clusters, uniformity_band
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.posterior import Posterior

ALPHA = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Curve:
    """Fractions (n,) that a right posterior makes uniform, and their distribution function on a grid of [0, 1].

    alpha, coverage, low, high: (A,), ECP(alpha) = mean [f < alpha] with its pointwise 68.3 % interval, clustered by
    simulation; it should be the diagonal. band: half-width of the simultaneous 95 % band around the diagonal
    (Säilynoja et al. 2021, arXiv:2103.10522, with the Kolmogorov-Smirnov distance).
    """

    fractions: np.ndarray
    alpha: np.ndarray
    coverage: np.ndarray
    low: np.ndarray
    high: np.ndarray
    band: float


@dataclass(frozen=True)
class Curves:
    """sbc: ranks by parameter; central: coverage of central intervals by parameter; tarp, tarp_x, hpd: joint.

    Empty or None where the posterior does not hold what a curve needs, where its fractions are not all finite, or where
    the truths do not come from the prior (all of them equal, say): then a right posterior has no such curves.
    """

    sbc: dict[str, Curve]
    central: dict[str, Curve]
    tarp: Curve | None
    tarp_x: Curve | None
    hpd: Curve | None


def curves(posterior: Posterior, seed: int = 0) -> Curves:
    """With the same random numbers as ``evaluate`` with this seed."""
    data = EvaluationData(posterior, seed)
    if data.prior_mismatch:
        return Curves({}, {}, None, None, None)
    names, clusters = posterior.parameters.names, data.clusters
    ranks = () if data.sbc_ranks is None else tuple(data.sbc_ranks.T)
    return Curves(
        _named(names, [_curve(column, clusters) for column in ranks]),
        _named(names, [_curve(np.abs(2 * column - 1), clusters) for column in ranks]),
        _curve(data.tarp_ranks, clusters),
        _curve(data.tarp_x_ranks, clusters),
        _curve(data.hpd_ranks, clusters),
    )


def _named(names: tuple[str, ...], found: list[Curve | None]) -> dict[str, Curve]:
    return {name: curve for name, curve in zip(names, found, strict=False) if curve is not None}


def _curve(fractions: np.ndarray | None, clusters: Clusters) -> Curve | None:
    if fractions is None or not np.isfinite(fractions).all():
        return None
    below = (fractions[:, None] < ALPHA).astype(np.float64)  # (n, A)
    low, high = _pointwise(below, clusters)
    return Curve(fractions, ALPHA, below.mean(axis=0), low, high, uniformity_band(fractions, clusters))


def _pointwise(below: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, np.ndarray]:
    resampled = clusters.resampled(lambda weights: weights @ below)  # (B, A)
    low, high = np.quantile(resampled, [0.5 - INTERVAL_LEVEL / 2, 0.5 + INTERVAL_LEVEL / 2], axis=0)
    return low, high
