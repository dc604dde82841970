"""Comparison with a reference posterior of the same observations: another model's, or the exact one.

Signs: of this posterior minus the reference. Units of the catalog, natural logarithms. weights: (B, n), sets of row
weights that each add to one.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import weighted_median
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import JOINT, Mean, Metric, Statistic, required


def shift(data: EvaluationData) -> np.ndarray:
    """(mu - mu_ref) / sigma_ref of each row, (n, P)."""
    assert data.mean is not None
    return (data.mean - required(data.reference_mean)) / required(data.reference_std)


def width_ratio(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Median over rows of sigma / sigma_ref: (B, P)."""
    assert data.std is not None
    ratio = data.std / required(data.reference_std)
    return np.stack([weighted_median(column, weights) for column in ratio.T], axis=-1)


def log_ratio(data: EvaluationData) -> np.ndarray:
    """log q(t|x) - log q_ref(t|x) of each row, (n,), in nats: positive where this posterior has the higher density."""
    assert data.log_prob_truth is not None
    return data.log_prob_truth - required(data.reference_log_prob_truth)


def mean_c2st(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """C2ST, the mean over the observations on which it is computed: (B,). Lopez-Paz & Oquab 2016, arXiv:1610.06545."""
    assert data.c2st is not None
    rows, accuracies = data.c2st
    return weights[:, rows] @ accuracies / weights[:, rows].sum(axis=1)


def fisher_loss(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Median over rows of 1/2 ln det(Cov_q F), (B,), in nats: log volume above that of the Fisher information F.

    Zero for a posterior at the Cramer-Rao bound; negative where the prior adds information; not meaningful where the
    prior box truncates the posterior.
    """
    assert data.covariance is not None
    (sign, log_volume), (definite, information) = (
        np.linalg.slogdet(matrix) for matrix in (data.covariance, required(data.reference_fisher))
    )
    loss = np.where((sign > 0) & (definite > 0), (log_volume + information) / 2, np.nan)
    return weighted_median(loss, weights)


_SHIFT = ("mean", "reference_mean", "reference_std")
_DENSITIES = ("log_prob_truth", "reference_log_prob_truth")
_NO_DENSITY = "one of the two has no density at the truth"
_ZERO_WIDTH = "a standard deviation of the reference is zero"
_NOT_FINITE = "draws are not finite, or lie on a line"

COMPARISON: dict[str, Metric] = {
    "mean_shift": Mean(terms=shift, needs=_SHIFT, explanation=_ZERO_WIDTH),
    "mean_shift_rms": Mean(terms=lambda e: shift(e) ** 2, finish=np.sqrt, needs=_SHIFT, explanation=_ZERO_WIDTH),
    "width_ratio": Statistic(compute=width_ratio, needs=("std", "reference_std"), explanation=_ZERO_WIDTH),
    "log_prob_difference": Mean(terms=log_ratio, scope=JOINT, needs=_DENSITIES, explanation=_NO_DENSITY),
    "expected_kl": Mean(
        terms=lambda e: -log_ratio(e), scope=JOINT, needs=(*_DENSITIES, "exact_reference"), explanation=_NO_DENSITY
    ),
    "c2st": Statistic(compute=mean_c2st, scope=JOINT, needs=("c2st",), explanation=_NOT_FINITE),
    "fisher_loss": Statistic(
        compute=fisher_loss, scope=JOINT, needs=("covariance", "reference_fisher"), explanation=_NOT_FINITE
    ),
}
