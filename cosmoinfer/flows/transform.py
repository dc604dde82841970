"""A transform, and several one after another. The one seam to nflows.

Every layer here is a ``Transform`` of nflows, and a trained flow is handed out as its ``Flow``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from nflows.transforms.base import Transform
from torch import nn

if TYPE_CHECKING:
    from nflows.flows.base import Flow as Flow

__all__ = ["Composite", "Transform", "nflows_flow"]


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


class Composite(Transform):
    """One transform after another; their log-determinants (M, B) add up."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        super().__init__()
        self._transforms = nn.ModuleList(transforms)  # by this name they lie in model files

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        total = inputs.new_zeros(inputs.shape[:2])
        for transform in self._transforms:
            inputs, log_det = transform(inputs, context)
            total += log_det
        return inputs, total

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        total = inputs.new_zeros(inputs.shape[:2])
        for transform in list[Transform](self._transforms)[::-1]:
            inputs, log_det = transform.inverse(inputs, context)
            total += log_det
        return inputs, total
