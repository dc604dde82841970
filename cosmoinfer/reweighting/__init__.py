"""A posterior under another prior, parameters derived from others, and the marginal of some."""

from cosmoinfer.reweighting.chain_prior import ChainPoints, ChainPrior
from cosmoinfer.reweighting.correlated_normal import with_covariance_of_file
from cosmoinfer.reweighting.derived import derive, derived_names
from cosmoinfer.reweighting.importance import reweight
from cosmoinfer.reweighting.marginal import marginalise
from cosmoinfer.reweighting.prior_change import PriorChange, PriorEdit, parse_changes, with_priors

__all__ = [
    "ChainPoints",
    "ChainPrior",
    "PriorChange",
    "PriorEdit",
    "derive",
    "derived_names",
    "marginalise",
    "parse_changes",
    "reweight",
    "with_covariance_of_file",
    "with_priors",
]
