"""Calibration: coverage of intervals and uniformity of ranks, per parameter (SBC) and jointly (TARP, HPD).

A posterior equal to the prior passes everything but ``tarp_x_p``: read contraction and r2 beside it. All of it requires
true parameters drawn from the prior (``prior_truths``): where all are equal (a fiducial cosmology), or lie on a grid, a
correct posterior is shifted towards the middle of the prior, its ranks are not uniform, and these metrics are null.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import JOINT, Mean, Metric, Uniformity, required


def covered(level: float) -> Callable[[EvaluationData], np.ndarray]:
    """Whether the truth lies in the central interval of this level (0..1) of the draws: EvaluationData -> (n, P).

    From the randomised rank among S + 1 places, which has the nominal coverage for any number of draws S.
    """

    def terms(data: EvaluationData) -> np.ndarray:
        sbc = required(data.sbc_ranks)
        return np.where(np.isnan(sbc), np.nan, np.abs(sbc - 0.5) <= level / 2)

    return terms


def atc(fractions: np.ndarray) -> np.ndarray:
    """Area to the curve (Lemos et al. 2023, arXiv:2302.03026), (n,) -> (n,), whose mean over rows is ATC.

    ATC is the integral over 0.5..1 of ECP(alpha) - alpha, ECP(alpha) = mean [f < alpha]: negative for over-confident
    posteriors, positive for conservative ones. In closed form, a row adds 1 - max(f, 1/2) - 3/8.
    """
    return 5 / 8 - np.maximum(fractions, 0.5)


_NOT_FINITE = "draws, truth or densities are not finite"
_coverage = partial(Mean, is_fraction=True, needs=("sbc_ranks",), needs_prior_truths=True, explanation=_NOT_FINITE)
_sbc_test = partial(
    Uniformity,
    fractions=lambda data: required(data.sbc_ranks),
    needs=("sbc_ranks",),
    needs_prior_truths=True,
    explanation=_NOT_FINITE,
)
_joint_test = partial(Uniformity, scope=JOINT, needs_prior_truths=True, explanation=_NOT_FINITE)
_joint_area = partial(Mean, scope=JOINT, needs_prior=True, needs_prior_truths=True, explanation=_NOT_FINITE)

CALIBRATION: dict[str, Metric] = {
    "coverage_68": _coverage(terms=covered(0.68)),
    "coverage_95": _coverage(terms=covered(0.95)),
    "sbc_p": _sbc_test(),
    "sbc_p_holm": _sbc_test(holm=True),
    "tarp_p": _joint_test(fractions=lambda data: required(data.tarp_ranks), needs=("tarp_ranks",), needs_prior=True),
    "tarp_atc": _joint_area(terms=lambda data: atc(required(data.tarp_ranks)), needs=("tarp_ranks",)),
    "tarp_x_p": _joint_test(
        fractions=lambda data: required(data.tarp_x_ranks), needs=("tarp_x_ranks",), needs_prior=True
    ),
    "tarp_x_atc": _joint_area(terms=lambda data: atc(required(data.tarp_x_ranks)), needs=("tarp_x_ranks",)),
    "hpd_p": _joint_test(fractions=lambda data: required(data.hpd_ranks), needs=("hpd_ranks",)),
}
