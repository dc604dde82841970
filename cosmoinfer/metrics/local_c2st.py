"""Whether the posterior is right at one observation: local C2ST, at the rows that were asked for.

An observation is known here by a summary of it that the posterior file keeps: /ridge_estimate, that of theta.
So the question is whether the posterior is right for observations with this ridge estimate; an error that comes and
goes between observations of one estimate is seen as their average.
"""

import numpy as np

from cosmoinfer.metrics.bootstrap import FEWEST
from cosmoinfer.metrics.evaluation_data import Evidence
from cosmoinfer.metrics.metric import LOCAL, Metric, Permuted

FEW = 300  # simulations: they show a bias of a quarter of the width; a width off by a quarter half the time only


def p_values(evidence: Evidence) -> np.ndarray:
    """One a row that was asked for, (L,)."""
    assert evidence.lc2st is not None
    return evidence.lc2st[1]


_WHY = f"fewer than {FEWEST} other simulations to learn from, or draws that are not finite"

LOCAL_TESTS: dict[str, Metric] = {
    "lc2st_p": Permuted(p_values=p_values, scope=LOCAL, needs=("lc2st",), drawn=True, why=_WHY),
    "lc2st_p_holm": Permuted(
        p_values=p_values, scope=LOCAL, needs=("several_lc2st",), drawn=True, corrected=True, why=_WHY
    ),
}
