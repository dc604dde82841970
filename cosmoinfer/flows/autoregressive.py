"""Autoregressive layers: each dimension is mapped, shaped by those before it."""

from collections.abc import Callable

import torch

from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Elementwise
from cosmoinfer.flows.transform import Transform


class Autoregressive(Transform):
    """Each dimension is mapped, shaped by those before it and the context: one pass forward, D steps back."""

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.forward(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return autoregressive_map(self.elementwise.inverse, self.conditioner, inputs, context)


class InverseAutoregressive(Transform):
    """Each dimension of the outcome is mapped from one of the noise, shaped by the noise before it and the context.

    z_i from x_i and z_<i: D steps forward, one pass back (Kingma+ arXiv:1606.04934). Both are differentiable.
    """

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return autoregressive_map(self.elementwise.forward, self.conditioner, inputs, context)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.inverse(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)


def autoregressive_map(
    run: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    conditioner: Conditioner,
    inputs: torch.Tensor,
    context: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map dimension after dimension, shaped by the outcomes before it: outcomes (M, B, D), log-determinants (M, B)."""
    steps = conditioner.autoregressive_steps(inputs.shape[1], context)
    shapes = next(steps)
    values, log_slopes = [], []
    for dimension in range(inputs.shape[-1]):
        value, log_slope = run(inputs[..., dimension : dimension + 1], shapes[..., None, :])
        values.append(value)
        log_slopes.append(log_slope)
        if dimension + 1 < inputs.shape[-1]:
            shapes = steps.send(value)
    return torch.cat(values, dim=-1), torch.cat(log_slopes, dim=-1).sum(-1)
