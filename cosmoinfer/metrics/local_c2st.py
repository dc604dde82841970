"""Whether the posterior is right at one observation: local C2ST, at the rows that were asked for.

An observation is known here by a summary of it that the posterior file keeps: /ridge_estimate, that of theta.
So the question is whether the posterior is right for observations with this ridge estimate; an error that comes and
goes between observations of one estimate is seen as their average.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import LOCAL, Metric, PermutationTest

RECOMMENDED_SIMULATIONS = (
    300  # simulations: they show a bias of a quarter of the width; a width off by a quarter half the time only
)


def p_values(data: EvaluationData) -> np.ndarray:
    """One a row that was asked for, (L,)."""
    assert data.lc2st is not None
    return data.lc2st[1]


_WHY = f"fewer than {MIN_SIMULATIONS} other simulations to learn from, or draws that are not finite"

LOCAL_TESTS: dict[str, Metric] = {
    "lc2st_p": PermutationTest(
        p_values=p_values, scope=LOCAL, needs=("lc2st",), needs_prior_truths=True, explanation=_WHY
    ),
    "lc2st_p_holm": PermutationTest(
        p_values=p_values, scope=LOCAL, needs=("multiple_lc2st",), needs_prior_truths=True, holm=True, explanation=_WHY
    ),
}
