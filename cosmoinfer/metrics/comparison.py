"""A posterior against another one of the same observations: a moment network's, another flow's, or the exact one.

Signs: of this posterior less the other. Units of the catalog, natural logarithms.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import weighted_median
from cosmoinfer.metrics.evaluation_data import Evidence
from cosmoinfer.metrics.metric import JOINT, Mean, Metric, Statistic, there


def shift(evidence: Evidence) -> np.ndarray:
    """(mu - mu_other) / sigma_other a row, (n, P)."""
    assert evidence.mean is not None
    return (evidence.mean - there(evidence.other_mean)) / there(evidence.other_std)


def width_ratio(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """Median over rows of sigma / sigma_other: (B, P)."""
    assert evidence.std is not None
    ratio = evidence.std / there(evidence.other_std)
    return np.stack([weighted_median(column, weights) for column in ratio.T], axis=-1)


def log_ratio(evidence: Evidence) -> np.ndarray:
    """log q(t|x) - log q_other(t|x) a row, (n,): plus where this posterior gives the truth the higher density."""
    assert evidence.log_prob_truth is not None
    return evidence.log_prob_truth - there(evidence.other_log_prob_truth)


def accuracy(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """C2ST, the mean over the few observations on which it is measured: (B,)."""
    assert evidence.c2st is not None
    rows, accuracies = evidence.c2st
    return weights[:, rows] @ accuracies / weights[:, rows].sum(axis=1)


def fisher_loss(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
    """Median over rows of 1/2 ln det(Cov_q F), (B,): nats by which q is wider than F, the information, allows.

    Zero for a posterior as narrow as the Cramer-Rao bound; below where the prior adds information of its own, and of
    no meaning where its box cuts the posterior.
    """
    assert evidence.covariance is not None
    (sign, log_volume), (definite, information) = (
        np.linalg.slogdet(matrix) for matrix in (evidence.covariance, there(evidence.other_fisher))
    )
    loss = np.where((sign > 0) & (definite > 0), (log_volume + information) / 2, np.nan)
    return weighted_median(loss, weights)


_SHIFT = ("mean", "other_mean", "other_std")
_DENSITIES = ("log_prob_truth", "other_log_prob_truth")
_NO_DENSITY = "one of the two has no density at the truth"
_ZERO_WIDTH = "a standard deviation of the other is zero"
_NOT_FINITE = "draws are not finite, or lie on a line"

AGAINST: dict[str, Metric] = {
    "mean_shift": Mean(terms=shift, needs=_SHIFT, why=_ZERO_WIDTH),
    "mean_shift_rms": Mean(terms=lambda e: shift(e) ** 2, finish=np.sqrt, needs=_SHIFT, why=_ZERO_WIDTH),
    "width_ratio": Statistic(compute=width_ratio, needs=("std", "other_std"), why=_ZERO_WIDTH),
    "log_prob_difference": Mean(terms=log_ratio, scope=JOINT, needs=_DENSITIES, why=_NO_DENSITY),
    "expected_kl": Mean(terms=lambda e: -log_ratio(e), scope=JOINT, needs=(*_DENSITIES, "exact"), why=_NO_DENSITY),
    "c2st": Statistic(compute=accuracy, scope=JOINT, needs=("c2st",), why=_NOT_FINITE),
    "fisher_loss": Statistic(compute=fisher_loss, scope=JOINT, needs=("covariance", "other_fisher"), why=_NOT_FINITE),
}
