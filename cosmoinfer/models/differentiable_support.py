"""A support as functions of torch that have gradients: theta <-> z, and ln |dz/dtheta|, parameter by parameter."""

from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from cosmoinfer.supports import Support

SLOPE_STEP = 1e-4  # in z, whose scale is 1: of the central difference of a log-slope


class SupportForward(torch.autograd.Function):
    """theta (N, P) -> z and ln |dz/dtheta|, (N, P) each, float64: the support's own formulas, which are numpy.

    z has an exact gradient; that of the log-slope is a central difference.
    """

    @staticmethod
    def forward(ctx: Any, theta: torch.Tensor, support: Support) -> tuple[torch.Tensor, torch.Tensor]:
        z, log_slope = support.forward_by_parameter(support.parameters.clip(theta.detach().cpu().numpy()))
        if ctx.needs_input_grad[0]:
            slope = np.exp(log_slope)
            ctx.slopes = [
                torch.from_numpy(gradient).to(theta.device)
                for gradient in (slope, slope * _log_slope_slope(support, z))
            ]
        return torch.from_numpy(z).to(theta.device), torch.from_numpy(log_slope).to(theta.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: torch.Tensor, grad_log_slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        slope, log_slope_slope = ctx.slopes
        return grad_z * slope + grad_log_slope * log_slope_slope, None


class SupportInverse(torch.autograd.Function):
    """z (N, P) -> theta and ln |dz/dtheta| there, (N, P) each, float64; differentiable like ``SupportForward``."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, support: Support) -> tuple[torch.Tensor, torch.Tensor]:
        theta = support.inverse(z.detach().cpu().numpy())
        _, log_slope = support.forward_by_parameter(theta)
        if ctx.needs_input_grad[0]:
            gradients = np.exp(-log_slope), _log_slope_slope(support, z.detach().cpu().numpy())
            ctx.slopes = [torch.from_numpy(gradient).to(z.device) for gradient in gradients]
        return torch.from_numpy(theta).to(z.device), torch.from_numpy(log_slope).to(z.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_theta: torch.Tensor, grad_log_slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        slope, log_slope_slope = ctx.slopes
        return grad_theta * slope + grad_log_slope * log_slope_slope, None


def _log_slope_slope(support: Support, z: np.ndarray) -> np.ndarray:
    """d ln|dz/dtheta| / dz at z, (N, P) both."""
    ends = (support.forward_by_parameter(support.inverse(z + step))[1] for step in (SLOPE_STEP, -SLOPE_STEP))
    return np.subtract(*ends) / (2 * SLOPE_STEP)
