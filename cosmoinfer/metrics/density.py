"""Information in the posterior: log density at the truth, gain over the prior, contraction, figure of merit."""

import numpy as np

from cosmoinfer.metrics.bootstrap import weighted_median
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import JOINT, PAIRS, Mean, Metric, Statistic


def gain(data: EvaluationData) -> np.ndarray:
    """log q(t|x) - log p(t) of each row, (n,), in nats, jointly over the parameters."""
    base = data.independent_parameters
    return _log_prob(data) - base.log_prior(data.truth[:, : len(base)])


def variance_left(data: EvaluationData) -> np.ndarray:
    """var_q / var_prior of each row, (n, P); one minus its mean is the contraction."""
    assert data.std is not None
    return (data.std / data.parameters.prior_std()) ** 2


def fom(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Figure of merit: median over rows of 1 / sqrt(det Cov(a, b)), (B, pairs), in inverse units of both parameters."""
    assert data.covariance is not None
    blocks = [data.covariance[:, np.array(pair)[:, None], pair] for pair in data.pairs]  # (n, 2, 2) each
    return np.stack([weighted_median(np.linalg.det(block) ** -0.5, weights) for block in blocks], axis=-1)


def _log_prob(data: EvaluationData) -> np.ndarray:
    assert data.log_prob_truth is not None
    return data.log_prob_truth


_NO_DENSITY = "no density at the truth; does it lie outside the prior box or region?"

DENSITY: dict[str, Metric] = {
    "log_prob": Mean(terms=_log_prob, scope=JOINT, needs=("log_prob_truth",), explanation=_NO_DENSITY),
    "log_prob_gain": Mean(
        terms=gain,
        scope=JOINT,
        needs=("log_prob_truth",),
        needs_prior=True,
        needs_bounded_density=True,
        explanation=_NO_DENSITY,
    ),
    "contraction": Mean(terms=variance_left, finish=lambda mean: 1 - mean, needs=("std",), needs_prior=True),
    "fom": Statistic(compute=fom, scope=PAIRS, needs=("covariance",), explanation="the draws of a row lie on a line"),
}
