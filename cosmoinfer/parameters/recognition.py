"""Priors that nobody declared, recognised from the rows that were drawn from them."""

import numpy as np

from cosmoinfer.parameters.parameters import Parameters
from cosmoinfer.priors import PRIORS, Uniform

MIN_RECOGNITION_GAIN = 5.0  # in log-likelihood, by which rows must prefer a prior that nobody declared


def recognise_priors(parameters: Parameters, theta: np.ndarray, declared: frozenset[str] = frozenset()) -> Parameters:
    """Where no prior was declared, a uniform one gives way to another of its box that the rows theta (N, P) prefer.

    Two conditions, both needed: the prior may be recognised in this box (log-uniform: high/low >= 3), and the rows
    prefer it by more than MIN_RECOGNITION_GAIN in log-likelihood. declared: names of parameters that keep their prior.
    """
    for column, name in enumerate(parameters.names):
        if name not in declared and parameters.prior[column] == Uniform.name:
            prior = _recognise_prior(parameters, column, theta[:, column])
            parameters = parameters.with_prior([*parameters.prior[:column], prior, *parameters.prior[column + 1 :]])
    return parameters


def _recognise_prior(parameters: Parameters, column: int, values: np.ndarray) -> str:
    """The name of the prior on the same box that the values (N,) of a parameter with a uniform one prefer."""
    gains, uniform = {Uniform.name: MIN_RECOGNITION_GAIN}, parameters.priors[column]
    for name, prior in PRIORS.items():
        candidate = prior(uniform.low, uniform.high)
        if not candidate.may_be_recognised():
            continue
        changed = parameters.with_prior([*parameters.prior[:column], name, *parameters.prior[column + 1 :]])
        log_norm = changed.joint_prior.log_norm - parameters.joint_prior.log_norm
        with np.errstate(invalid="ignore"):  # of values outside both
            gain = float((candidate.log_density(values) - uniform.log_density(values) - log_norm).sum())
        gains[name] = -np.inf if np.isnan(gain) else gain
    return max(gains, key=gains.__getitem__)
