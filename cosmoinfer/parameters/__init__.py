"""The parameters of a simulation: names, labels, the box that holds them and the prior that they were drawn from."""

from cosmoinfer.parameters.bounds import bounds_suffixes, declared_priors, join_bounds, parse_correlation, with_bounds
from cosmoinfer.parameters.joint_prior import JointPrior
from cosmoinfer.parameters.parameters import Parameters
from cosmoinfer.parameters.recognition import recognise_priors
from cosmoinfer.parameters.spelling import describe_spellings, spell_as

__all__ = [
    "JointPrior",
    "Parameters",
    "bounds_suffixes",
    "declared_priors",
    "describe_spellings",
    "join_bounds",
    "parse_correlation",
    "recognise_priors",
    "spell_as",
    "with_bounds",
]
