"""Whether true parameters may have been drawn from the prior, as calibration and R2 require.

Sets that vary one parameter at a time (CAMELS 1P), grids, a corner of the box, or a fiducial cosmology are not. A
correct posterior is drawn to where the prior expects the truth: beside other truths its ranks are not uniform, and the
spread of the truths is not that which R2 compares with.
"""

from itertools import combinations

import numpy as np
from scipy import stats

from cosmoinfer.metrics.holm import holm_adjusted
from cosmoinfer.parameters import Parameters

MAX_P_VALUE = 1e-3  # of all tests together (Holm): below, the truths contradict the prior
MAX_EQUAL_FRACTION = 0.1  # of the simulations that have one and the same value of a parameter
MIN_EQUAL = 5  # simulations, below which equal values may be rounding
MIN_SIMULATIONS = 10  # to test anything


def contradictions(parameters: Parameters, truth: np.ndarray) -> dict[str, str]:
    """Names of the parameters whose true values contradict their prior, each with the reason; empty if none do.

    truth: (G, P), one row a simulation. Three signs: a value that many simulations share, which a continuous prior does
    not give; values that do not follow the prior (Kolmogorov & Smirnov, one-sample); two parameters that depend on each
    other (Spearman) where the prior does not tie them. Parameters whose prior is not known are not tested.
    """
    columns = np.flatnonzero(parameters.has_prior).tolist()
    if not columns or len(truth) < MIN_SIMULATIONS:
        return {}
    counts = {parameters.names[column]: _most_equal(truth[:, column]) for column in columns}
    shared = {
        name: f"{count} of {len(truth)} simulations share one value of {name}"
        for name, count in counts.items()
        if count >= max(MIN_EQUAL, MAX_EQUAL_FRACTION * len(truth))
    }
    u = parameters.joint_prior.marginal_cdf(truth)
    tests: dict[tuple[int, ...], float] = {
        (column,): float(stats.kstest(u[:, column], "uniform").pvalue) for column in columns
    }
    tied = [set(component) for component in parameters.joint_prior.components]
    pairs = [pair for pair in combinations(columns, 2) if all(np.ptp(u[:, column]) > 0 for column in pair)]
    pairs = [pair for pair in pairs if not any(component.issuperset(pair) for component in tied)]
    tests |= {pair: float(stats.spearmanr(u[:, pair[0]], u[:, pair[1]]).pvalue) for pair in pairs}
    reasons: dict[str, str] = {}
    for tested, p_value in zip(tests, holm_adjusted(np.array(list(tests.values()))), strict=True):
        if p_value < MAX_P_VALUE:
            names = [parameters.names[column] for column in tested]
            follow = "do not follow the prior" if len(names) == 1 else "depend on each other, which the prior excludes"
            text = f"the true values of {' and '.join(names)} {follow} (p = {p_value:.1g})"
            reasons |= {name: reasons.get(name, text) for name in names}
    return reasons | shared


def _most_equal(values: np.ndarray) -> int:
    """How many of values (G,) are equal to the most frequent one."""
    return int(np.unique(values, return_counts=True)[1].max())
