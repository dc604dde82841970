"""How near the posterior mean mu lies to the truth t, per parameter; units of the catalog. Mean, width, no draws.

The CAMELS papers print three different numbers as "accuracy": rel_err_mean, rel_err_rms and precision. All are here.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import weighted_median
from cosmoinfer.metrics.evaluation_data import Evidence
from cosmoinfer.metrics.metric import EQUAL_TRUTHS, Mean, Metric, Statistic


def nrmse(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """rmse over the range of the prior box; over the truths' standard deviation where there is no box: (B, P)."""
    width = evidence.parameters.high - evidence.parameters.low
    scale = np.where(np.isfinite(width), width, np.sqrt(_variance(evidence.truth, weights)))
    return np.sqrt(weights @ evidence.error**2) / scale


def r2(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """1 - sum (t - mu)^2 / sum (t - mean t)^2: (B, P). One is perfect, zero is the prior mean."""
    return 1 - weights @ evidence.error**2 / _variance(evidence.truth, weights)


def chi2_median(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """Median of (t - mu)^2 / sigma^2: (B, P); 0.455 for right normal posteriors, and blind to a few wild rows."""
    return np.stack([weighted_median(column, weights) for column in evidence.pull.T**2], axis=-1)


def z_std(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """Standard deviation of z = (mu - t) / sigma: (B, P); one for right widths, whatever the bias."""
    return np.sqrt(_variance(evidence.pull, weights))


def collapse(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """std(mu) / std(t): (B, P); towards zero when the model returns the prior."""
    return np.sqrt(_variance(_mean(evidence), weights) / _variance(evidence.truth, weights))


def corr(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of mu and t: (B, P)."""
    mean, truth = _centred(_mean(evidence)), _centred(evidence.truth)
    covariance = weights @ (mean * truth) - (weights @ mean) * (weights @ truth)
    return covariance / np.sqrt(_variance(mean, weights) * _variance(truth, weights))


def _mean(evidence: Evidence) -> np.ndarray:
    assert evidence.mean is not None
    return evidence.mean


def _relative(evidence: Evidence) -> np.ndarray:
    return np.abs(evidence.error) / np.abs(evidence.truth)


def _relative_width(evidence: Evidence) -> np.ndarray:
    assert evidence.std is not None
    return evidence.std / np.abs(_mean(evidence))


def _centred(values: np.ndarray) -> np.ndarray:
    """About the mean of all rows, so that a variance is no small difference of large numbers; equal rows are zero."""
    return np.where(np.ptp(values, axis=0) == 0, 0.0, values - values.mean(axis=0))


def _variance(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    centred = _centred(values)
    return np.maximum(weights @ centred**2 - (weights @ centred) ** 2, 0.0)


_ZERO_TRUTH = "a true value is zero"
_ZERO_WIDTH = "a standard deviation is zero"

ACCURACY: dict[str, Metric] = {
    "rmse": Mean(terms=lambda e: e.error**2, finish=np.sqrt),
    "nrmse": Statistic(compute=nrmse, why=EQUAL_TRUTHS),
    "bias": Mean(terms=lambda e: e.error),
    "r2": Statistic(compute=r2, why=EQUAL_TRUTHS),
    "rel_err_mean": Mean(terms=_relative, why=_ZERO_TRUTH),
    "rel_err_rms": Mean(terms=lambda e: _relative(e) ** 2, finish=np.sqrt, why=_ZERO_TRUTH),
    "precision": Mean(terms=_relative_width, needs=("mean", "std"), why="a mean is zero"),
    "chi2": Mean(terms=lambda e: e.pull**2, needs=("mean", "std"), why=_ZERO_WIDTH),
    "chi2_median": Statistic(compute=chi2_median, needs=("mean", "std"), why=_ZERO_WIDTH),
    "pulls_beyond_5": Mean(
        terms=lambda e: np.where(np.isnan(e.pull), np.nan, np.abs(e.pull) > 5),
        needs=("mean", "std"),
        share=True,
        why=_ZERO_WIDTH,
    ),
    "z_mean": Mean(terms=lambda e: e.pull, needs=("mean", "std"), why=_ZERO_WIDTH),
    "z_std": Statistic(compute=z_std, needs=("mean", "std"), why=_ZERO_WIDTH),
    "collapse": Statistic(compute=collapse, why=EQUAL_TRUTHS),
    "corr": Statistic(compute=corr, why="all true values, or all posterior means, are equal"),
}
