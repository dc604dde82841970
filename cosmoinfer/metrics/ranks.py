"""Ranks of the truth among the draws, uniform on 0..1 for a correct posterior: by value, distance and density.

All are randomised, (r + u) / (S + 1) with u ~ U(0, 1) and S the number of draws, so that they are exactly uniform
for any S; draws that tie with the truth are ranked at random. The rank of what is not finite is NaN.
"""

import numpy as np

from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import DrawArray, row_slices

DENSITY_TOLERANCE_NATS = (
    1e-5  # densities nearer than this are the same density: two batches of one network differ by rounding
)


def sbc_ranks(samples: DrawArray, truth: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Simulation-based calibration: rank of the truth among the draws, (n, S, P) and (n, P) -> (n, P).

    Talts et al. 2018, arXiv:1804.06788.
    """
    below, equal = np.zeros(truth.shape), np.zeros(truth.shape)
    finite = np.isfinite(truth)
    for rows in row_slices(samples):
        draws = samples[rows]
        below[rows] = (draws < truth[rows, None]).sum(axis=1)
        equal[rows] = (draws == truth[rows, None]).sum(axis=1)
        finite[rows] &= np.isfinite(draws).all(axis=1)
    return _randomised(below, equal, finite, samples.shape[1], stream)


def tarp_ranks(
    parameters: Parameters,
    samples: DrawArray,
    truth: np.ndarray,
    reference: np.ndarray,
    stream: np.random.Generator,
) -> np.ndarray:
    """TARP: rank of the truth by distance from a reference point, in prior-CDF units: (n,).

    samples: (n, S, P or more), of which the first P columns are used. truth: (n, P). reference: (n, P), points in
    prior-CDF units: any function of the observation and of independent noise.
    Lemos et al. 2023, arXiv:2302.03026.
    """
    below, equal, finite = np.zeros(len(truth)), np.zeros(len(truth)), np.ones(len(truth), dtype=bool)
    to_truth = np.linalg.norm(parameters.cdf(truth) - reference, axis=-1)
    for rows in row_slices(samples):
        draws = samples[rows][..., : len(parameters)]
        to_draws = np.linalg.norm(parameters.cdf(draws) - reference[rows, None], axis=-1)  # (rows, S)
        below[rows] = (to_draws < to_truth[rows, None]).sum(axis=1)
        equal[rows] = (to_draws == to_truth[rows, None]).sum(axis=1)
        finite[rows] = np.isfinite(to_draws).all(axis=1)
    return _randomised(below, equal, finite & np.isfinite(to_truth), samples.shape[1], stream)


def hpd_ranks(log_prob: DrawArray, log_prob_truth: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Highest posterior density: the fraction of denser draws, (n, S) and (n,) -> (n,).

    Hermans et al. 2021, arXiv:2110.06581; Deistler et al. 2022, arXiv:2210.04815.
    """
    denser, equal = np.zeros(len(log_prob_truth)), np.zeros(len(log_prob_truth))
    finite = ~np.isnan(log_prob_truth)  # a truth of zero density has rank 1
    for rows in row_slices(log_prob):
        of_draws = log_prob[rows]
        with np.errstate(invalid="ignore"):
            above = of_draws - log_prob_truth[rows, None]
        denser[rows], equal[rows] = (
            (above > DENSITY_TOLERANCE_NATS).sum(axis=1),
            (np.abs(above) <= DENSITY_TOLERANCE_NATS).sum(axis=1),
        )
        finite[rows] &= np.isfinite(of_draws).all(axis=1)
    return _randomised(denser, equal, finite, log_prob.shape[1], stream)


def _randomised(
    below: np.ndarray, equal: np.ndarray, finite: np.ndarray, draws: int, stream: np.random.Generator
) -> np.ndarray:
    return np.where(finite, (below + stream.random(below.shape) * (equal + 1)) / (draws + 1), np.nan)
