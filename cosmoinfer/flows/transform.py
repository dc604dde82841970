"""The one seam to nflows: every layer here is its ``Transform``, and a trained flow is handed out as its ``Flow``."""

from typing import TYPE_CHECKING

from nflows.transforms.base import Transform
from torch import nn

if TYPE_CHECKING:
    from nflows.flows.base import Flow

__all__ = ["Transform", "nflows_flow"]


def nflows_flow(transform: Transform, features: int, embedding: nn.Module) -> "Flow":
    """A ``Flow`` of nflows over its own ``StandardNormal``: log_prob(theta (N, P), context (N, ...)) and sample.

    transform: from parameters (N, ``features``) and embedded contexts to noise, and log |det| (N,).
    embedding: contexts (N, ...) -> (N, C).
    """
    from nflows.distributions.normal import StandardNormal  # late: with its flows it imports matplotlib
    from nflows.flows.base import Flow

    base = StandardNormal([features])
    base._log_z = base._log_z.float()  # nflows 0.14 has it in float64, which some devices lack
    return Flow(transform, base, embedding)
