"""Accuracy of the posterior mean mu (and width sigma) against the truth t, per parameter, in the units of the catalog.

The CAMELS papers call three different numbers "accuracy": rel_err_mean, rel_err_rms and precision.
weights: (B, n), sets of row weights that each add to one.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import weighted_median
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import EQUAL_TRUTHS, Mean, Metric, Statistic


def nrmse(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """rmse over the range of the prior box; over the truths' standard deviation where there is no box: (B, P)."""
    width = data.parameters.high - data.parameters.low
    scale = np.where(np.isfinite(width), width, np.sqrt(_variance(data.truth, weights)))
    return np.sqrt(weights @ data.error**2) / scale


def r2(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """1 - sum (t - mu)^2 / sum (t - mean t)^2: (B, P). One is perfect, zero is the prior mean.

    It compares with the spread of the truths, so that these have to be of the prior.
    """
    return 1 - weights @ data.error**2 / _variance(data.truth, weights)


def chi2_median(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Median of (t - mu)^2 / sigma^2: (B, P); 0.455 for correct normal posteriors, and robust against outliers."""
    return np.stack([weighted_median(column, weights) for column in data.pull.T**2], axis=-1)


def z_std(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Standard deviation of z = (mu - t) / sigma: (B, P); one for correct widths, whatever the bias."""
    return np.sqrt(_variance(data.pull, weights))


def std_ratio(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """std(mu) / std(t): (B, P); near zero where the model returns the prior."""
    return np.sqrt(_variance(_mean(data), weights) / _variance(data.truth, weights))


def corr(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of mu and t: (B, P)."""
    mean, truth = _centred(_mean(data)), _centred(data.truth)
    covariance = weights @ (mean * truth) - (weights @ mean) * (weights @ truth)
    return covariance / np.sqrt(_variance(mean, weights) * _variance(truth, weights))


def _mean(data: EvaluationData) -> np.ndarray:
    assert data.mean is not None
    return data.mean


def _relative(data: EvaluationData) -> np.ndarray:
    return np.abs(data.error) / np.abs(data.truth)


def _relative_width(data: EvaluationData) -> np.ndarray:
    assert data.std is not None
    return data.std / np.abs(_mean(data))


def _centred(values: np.ndarray) -> np.ndarray:
    """Values (n, P) about their mean, against cancellation in variances; exactly zero if all are equal."""
    return np.where(np.ptp(values, axis=0) == 0, 0.0, values - values.mean(axis=0))


def _variance(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    centred = _centred(values)
    return np.maximum(weights @ centred**2 - (weights @ centred) ** 2, 0.0)


_ZERO_TRUTH = "a true value is zero"
_ZERO_WIDTH = "a standard deviation is zero"

ACCURACY: dict[str, Metric] = {
    "rmse": Mean(terms=lambda e: e.error**2, finish=np.sqrt),
    "nrmse": Statistic(compute=nrmse, explanation=EQUAL_TRUTHS),
    "bias": Mean(terms=lambda e: e.error),
    "r2": Statistic(compute=r2, needs_prior_spread=True, explanation=EQUAL_TRUTHS),
    "rel_err_mean": Mean(terms=_relative, explanation=_ZERO_TRUTH),
    "rel_err_rms": Mean(terms=lambda e: _relative(e) ** 2, finish=np.sqrt, explanation=_ZERO_TRUTH),
    "precision": Mean(terms=_relative_width, needs=("mean", "std"), explanation="a mean is zero"),
    "chi2": Mean(terms=lambda e: e.pull**2, needs=("mean", "std"), explanation=_ZERO_WIDTH),
    "chi2_median": Statistic(compute=chi2_median, needs=("mean", "std"), explanation=_ZERO_WIDTH),
    "pulls_beyond_5": Mean(
        terms=lambda e: np.where(np.isnan(e.pull), np.nan, np.abs(e.pull) > 5),
        needs=("mean", "std"),
        is_fraction=True,
        explanation=_ZERO_WIDTH,
    ),
    "z_mean": Mean(terms=lambda e: e.pull, needs=("mean", "std"), explanation=_ZERO_WIDTH),
    "z_std": Statistic(compute=z_std, needs=("mean", "std"), explanation=_ZERO_WIDTH),
    "std_ratio": Statistic(compute=std_ratio, explanation=EQUAL_TRUTHS),
    "corr": Statistic(compute=corr, explanation="all true values, or all posterior means, are equal"),
}
