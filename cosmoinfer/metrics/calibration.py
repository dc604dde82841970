"""Calibration: coverage of intervals and uniformity of ranks, per parameter (SBC) and jointly (TARP, HPD).

A posterior equal to the prior passes everything but ``tarp_x_p``: read contraction and r2 beside it. All of it requires
true parameters drawn from the prior: where all are equal (a fiducial cosmology), a correct posterior is shifted towards
the middle of the prior, its ranks are not uniform, and these metrics are null.
"""

from collections.abc import Callable
from typing import Any

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


def _sbc(data: EvaluationData) -> np.ndarray:
    return required(data.sbc_ranks)


_BAD_DRAWS = "draws, truth or densities are not finite"
_RANKED: dict[str, Any] = {"needs": ("sbc_ranks",), "needs_prior_truths": True, "explanation": _BAD_DRAWS}
_DISTANCES: dict[str, Any] = {
    "scope": JOINT,
    "needs_prior": True,
    "needs_prior_truths": True,
    "explanation": _BAD_DRAWS,
}

CALIBRATION: dict[str, Metric] = {
    "coverage_68": Mean(terms=covered(0.68), is_fraction=True, **_RANKED),
    "coverage_95": Mean(terms=covered(0.95), is_fraction=True, **_RANKED),
    "sbc_p": Uniformity(fractions=_sbc, **_RANKED),
    "sbc_p_holm": Uniformity(fractions=_sbc, holm=True, **_RANKED),
    "tarp_p": Uniformity(fractions=lambda e: required(e.tarp_ranks), needs=("tarp_ranks",), **_DISTANCES),
    "tarp_atc": Mean(terms=lambda e: atc(required(e.tarp_ranks)), needs=("tarp_ranks",), **_DISTANCES),
    "tarp_x_p": Uniformity(fractions=lambda e: required(e.tarp_x_ranks), needs=("tarp_x_ranks",), **_DISTANCES),
    "tarp_x_atc": Mean(terms=lambda e: atc(required(e.tarp_x_ranks)), needs=("tarp_x_ranks",), **_DISTANCES),
    "hpd_p": Uniformity(
        fractions=lambda e: required(e.hpd_ranks),
        scope=JOINT,
        needs=("hpd_ranks",),
        needs_prior_truths=True,
        explanation=_BAD_DRAWS,
    ),
}
