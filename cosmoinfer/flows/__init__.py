"""Normalizing flows, by name: recipes that build themselves. The only folder that imports nflows.

A recipe is a frozen dataclass of settings with ``build(features, context, generators)``, which gives a transform from
parameters to noise. A new flow is one such class and one name here.
"""

from cosmoinfer.flows.maf import MAF
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.flows.transforms import Transform

FLOWS = {"maf": MAF, "nsf": NSF}

__all__ = ["FLOWS", "Transform"]
