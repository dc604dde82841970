"""Expected coverage as curves, for figures: the fraction of truths within each level, with confidence bands."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, Clusters, uniformity_band
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.posterior import Posterior

ALPHA = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Curve:
    """Empirical distribution function of fractions that are uniform for a correct posterior.

    fractions: (n,), in 0..1.
    alpha: (A,), a grid of 0..1.
    coverage: (A,), ECP(alpha) = mean [f < alpha]; the diagonal if calibrated.
    low, high: (A,), pointwise 68.3 % interval of ``coverage``, clustered by simulation.
    band: half-width of the simultaneous 95 % band around the diagonal (Säilynoja et al. 2021, arXiv:2103.10522, with
    the Kolmogorov-Smirnov distance); NaN with too few simulations.
    """

    fractions: np.ndarray
    alpha: np.ndarray
    coverage: np.ndarray
    low: np.ndarray
    high: np.ndarray
    band: float


@dataclass(frozen=True)
class Curves:
    """Empty or None where the posterior does not hold what a curve needs, where fractions are not finite, or where the
    true parameters were not drawn from the prior.

    sbc: by parameter, of the ranks of the truth. central: by parameter, of central intervals.
    tarp, tarp_x, hpd: joint, of regions by distance from a reference point, and by density.
    """

    sbc: dict[str, Curve]
    central: dict[str, Curve]
    tarp: Curve | None
    tarp_x: Curve | None
    hpd: Curve | None


def curves(posterior: Posterior, seed: int = 0) -> Curves:
    """Coverage curves, with the same random numbers as ``evaluate`` with this seed.

    Raises UserError if the posterior has no truths or no rows.
    """
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


def _named(names: tuple[str, ...], columns: list[Curve | None]) -> dict[str, Curve]:
    return {name: curve for name, curve in zip(names, columns, strict=False) if curve is not None}


def _curve(fractions: np.ndarray | None, clusters: Clusters) -> Curve | None:
    if fractions is None or not np.isfinite(fractions).all():
        return None
    below = (fractions[:, None] < ALPHA).astype(np.float64)  # (n, A)
    resampled = clusters.resampled(lambda weights: weights @ below)  # (B, A)
    low, high = np.quantile(resampled, [0.5 - INTERVAL_LEVEL / 2, 0.5 + INTERVAL_LEVEL / 2], axis=0)
    return Curve(fractions, ALPHA, below.mean(axis=0), low, high, uniformity_band(fractions, clusters))
