"""Parameters with which a joint density has no bound: discrete ones, wholly or in part, and functions of the others.

Draws of theta then lie on a set of no volume. A flow that follows it more and more closely raises its density without
end, so that log densities and information gains say how long it was trained, and nothing about the data.
"""

from collections.abc import Collection, Sequence
from itertools import combinations_with_replacement

import numpy as np

from cosmoinfer.errors import join_first

MAX_VALUES = 100  # of a discrete parameter; a table of more, with few digits, is finer than a flow resolves
MIN_PER_VALUE = 5  # simulations of each value of a discrete parameter, on average
MIN_EQUAL, MIN_EQUAL_FRACTION = 10, 0.1  # simulations with one value of a parameter that is continuous otherwise
MIN_SIMULATIONS = 20
MIN_PER_TERM = 3  # simulations for each term of a polynomial
MAX_SIMULATIONS = 2000  # of those that are looked at
MAX_DEGREE = 3
MAX_RESIDUAL_VARIANCE = {1: 1e-10, 2: 1e-6, 3: 1e-6}  # of a standardised function where it was not fitted, by degree
MAX_DECIMALS = 6  # of a table whose rounding is recognised
MIN_SQUARED = 1e-150  # smaller numbers have no finite inverse square
MAX_ROUNDING_RATIO = 3.0  # of the residual variance to that which rounding leaves


def reasons_without_bound(names: Sequence[str], theta: np.ndarray) -> dict[str, str]:
    """Names of the parameters that are discrete or functions of others, each with what it is.

    names: (P,). theta: (G, P), one row a simulation, each parameter with more than one value.
    """
    discrete = describe_discrete(names, theta)
    return discrete | describe_functions(names, theta, discrete)


def describe_discrete(names: Sequence[str], theta: np.ndarray) -> dict[str, str]:
    """Those of (G, P) that take at most ``MAX_VALUES`` values, each ``MIN_PER_VALUE`` times on average, or one value in
    ``MIN_EQUAL_FRACTION`` of the simulations."""
    n_simulations = len(theta)
    if n_simulations < MIN_SIMULATIONS:
        return {}
    reasons = {}
    for name, column in zip(names, theta.T, strict=True):
        values, counts = np.unique(column, return_counts=True)
        if len(values) <= min(MAX_VALUES, n_simulations // MIN_PER_VALUE):
            reasons[name] = f"{name} takes {len(values)} values only"
        elif counts.max() >= max(MIN_EQUAL, MIN_EQUAL_FRACTION * n_simulations):
            value = values[counts.argmax()]
            reasons[name] = f"{name} is {value:g} in {counts.max()} of {n_simulations} simulations"
    return reasons


def describe_functions(names: Sequence[str], theta: np.ndarray, discrete: Collection[str]) -> dict[str, str]:
    """Those of (G, P) that are functions of others: of parameters that determine each other the last ones.

    A function of one other is monotone. Of several it is a polynomial of at most the third degree, in the parameters or
    in their logarithms (powers such as Omega_m h^2), that predicts rows which it was not fitted to.

    discrete: names of (G, P) that are left out, see ``describe_discrete``.
    """
    if len(theta) < MIN_SIMULATIONS:
        return {}
    rows = theta[:: -(-len(theta) // MAX_SIMULATIONS)]
    independent = [column for column, name in enumerate(names) if name not in discrete]
    functions = {}
    for column in reversed(independent):  # derived parameters tend to stand last
        predictors = [index for index in independent if index != column]
        monotone = [index for index in predictors if _is_monotone(rows[:, index], rows[:, column])]
        kind = "a monotone" if monotone else _polynomial_kind(rows[:, predictors], rows[:, column])
        if not kind:
            continue
        for index in predictors if not monotone else ():  # which it can do without
            fewer = [predictor for predictor in predictors if predictor != index]
            if fewer and _polynomial_kind(rows[:, fewer], rows[:, column]):
                predictors = fewer
        used = join_first([names[index] for index in monotone[:1] or predictors])
        functions[names[column]] = f"{names[column]} is {kind} function of {used}"
        independent.remove(column)
    return functions


def _is_monotone(predictor: np.ndarray, values: np.ndarray) -> bool:
    """Whether values (G,) rise, or fall, wherever the predictor (G,) rises."""
    ranks, predictor_ranks = (np.unique(column, return_inverse=True)[1] for column in (values, predictor))
    return np.array_equal(ranks, predictor_ranks) or np.array_equal(ranks.max() - ranks, predictor_ranks)


def _polynomial_kind(predictors: np.ndarray, values: np.ndarray) -> str:
    """Of which kind values (G,) are a function of predictors (G, Q); empty where they are none."""
    if predictors.shape[1] == 0:
        return ""
    rounding = _rounding_variance(values)
    if _predicts(predictors, values, 1, rounding):
        return "an exact linear"
    positive = bool((predictors > 0).all() and (values > MIN_SQUARED).all())
    log_rounding = rounding * float((values**-2.0).mean()) if positive else 0.0
    if positive and _predicts(np.log(predictors), np.log(values), 1, log_rounding):
        return "a power-law"
    smooth = any(
        _predicts(predictors, values, degree, rounding)
        or (positive and _predicts(np.log(predictors), np.log(values), degree, log_rounding))
        for degree in range(2, MAX_DEGREE + 1)
    )
    return "a smooth" if smooth else ""


def _rounding_variance(values: np.ndarray) -> float:
    """Of what rounding to decimals took from values (G,); 0 where they have more digits."""
    with np.errstate(over="ignore"):  # of numbers that are whole anyhow
        for decimals in range(MAX_DECIMALS + 1):
            if np.array_equal(values, values.round(decimals)):
                return 10.0 ** (-2 * decimals) / 12
    return 0.0


def _predicts(predictors: np.ndarray, values: np.ndarray, degree: int, rounding: float) -> bool:
    """Whether a polynomial in predictors (G, Q), fitted to every second row, gives values (G,) of the other rows.

    rounding: variance of the error that the values have by their rounding.
    """
    with np.errstate(all="ignore"):
        z = (predictors - predictors.mean(axis=0)) / predictors.std(axis=0)
        spread = values.std()
    if not (np.isfinite(z).all() and np.isfinite(spread)):  # numbers too large or small to be squared
        return False
    count = z.shape[1]
    terms = [term for size in range(degree + 1) for term in combinations_with_replacement(range(count), size)]
    if len(z) < 2 * MIN_PER_TERM * len(terms) or spread == 0:
        return False
    features = np.stack([z[:, list(term)].prod(axis=1) for term in terms], axis=1)
    target = (values - values.mean()) / spread
    weights, *_ = np.linalg.lstsq(features[::2], target[::2], rcond=None)
    residual = target[1::2] - features[1::2] @ weights
    max_variance = max(MAX_RESIDUAL_VARIANCE[degree], MAX_ROUNDING_RATIO * rounding / spread**2)
    return bool((residual**2).mean() < max_variance)
