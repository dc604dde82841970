"""Local C2ST: is the posterior correct at one observation? (Linhart, Gramfort & Rodrigues 2023, arXiv:2306.03580)

An observation is represented by its ridge estimate of theta, /ridge_estimate of the posterior file. So the test is of
the posteriors of all observations with this ridge estimate, on average.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import LOCAL, Metric, PermutationTest

RECOMMENDED_SIMULATIONS = (
    300  # simulations: they show a bias of a quarter of the width; a width off by a quarter half the time only
)


def p_values(data: EvaluationData) -> np.ndarray:
    """Of each row of ``local``, (L,)."""
    assert data.lc2st is not None
    return data.lc2st[1]


_WHY = f"fewer than {MIN_SIMULATIONS} other simulations to train on, or draws that are not finite"

LOCAL_TESTS: dict[str, Metric] = {
    "lc2st_p": PermutationTest(
        p_values=p_values, scope=LOCAL, needs=("lc2st",), needs_prior_truths=True, explanation=_WHY
    ),
    "lc2st_p_holm": PermutationTest(
        p_values=p_values, scope=LOCAL, needs=("multiple_lc2st",), needs_prior_truths=True, holm=True, explanation=_WHY
    ),
}
