"""Normalizing flows by name: recipes that build a transform of M members.

A recipe is a frozen dataclass of settings with ``build(features, context, generators)``, which gives an nflows
``Transform`` from parameters (M, B, ``features``) under contexts (M, B, ``context``) to noise and log |det| (M, B)
(context 0: unconditional), and ``passes(features)``, the network passes that a layer takes to evaluate a density and to
draw. A new flow is one such class and one name here.
"""

from cosmoinfer.flows.glow import Glow
from cosmoinfer.flows.iaf import IAF
from cosmoinfer.flows.linear import initialise
from cosmoinfer.flows.maf import MAF
from cosmoinfer.flows.multiscale import MAP_FLOWS
from cosmoinfer.flows.nsf import NSF, AutoregressiveNSF
from cosmoinfer.flows.realnvp import RealNVP
from cosmoinfer.flows.transform import Transform

FLOWS = {"realnvp": RealNVP, "maf": MAF, "iaf": IAF, "glow": Glow, "nsf": NSF, "nsf-ar": AutoregressiveNSF}

__all__ = ["FLOWS", "MAP_FLOWS", "Transform", "initialise"]
