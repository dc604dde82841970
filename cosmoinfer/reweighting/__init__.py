"""A posterior under another prior, and parameters derived from others."""

from cosmoinfer.reweighting.derived import derive, derived_names
from cosmoinfer.reweighting.importance import reweight
from cosmoinfer.reweighting.prior_change import PriorChange, parse_changes, with_priors

__all__ = ["PriorChange", "derive", "derived_names", "parse_changes", "reweight", "with_priors"]
