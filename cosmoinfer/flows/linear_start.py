"""A linear regression of the parameters on the condition, as the first layer of a flow."""

import torch
from torch import nn

from cosmoinfer.flows.initialisation import MIN_STD, DataInitialised
from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.members import Generators

RIDGE_PENALTIES = torch.logspace(-9, 2, 45, dtype=torch.float64)  # of the mean variance of the condition


class LinearStart(DataInitialised):
    """z = (x - W c - b) exp(log_scale), (M, B, D) -> (M, B, D), c the condition (M, B, C): linear.

    Starts as the identity. ``initialise`` sets it to the ridge regression of x on c, whose penalty generalised
    cross-validation picks (Golub, Heath & Wahba 1979, Technometrics 21, 215), residuals standardised: a posterior that
    is narrow because c tells x linearly is met before the first step, where gradient steps come near it but slowly.
    """

    def __init__(self, generators: Generators, features: int, context: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(len(generators), context, features))
        self.offset = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.log_scale = nn.Parameter(torch.zeros(len(generators), 1, features))

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        assert context is not None, "a regression is on something"
        if self.initialising:
            self._initialise(inputs, context)
        return (inputs - self._mean(context)) * self.log_scale.exp(), self._log_det(inputs)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        assert context is not None, "a regression is on something"
        return inputs * (-self.log_scale).exp() + self._mean(context), -self._log_det(inputs)

    def _mean(self, context: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.offset, context, self.slope)  # (M, B, D), B = 1 under one context

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_scale.sum(-1).expand(-1, x.shape[1])

    @torch.no_grad()
    def _initialise(self, inputs: torch.Tensor, context: torch.Tensor) -> None:
        for member, (x, c) in enumerate(zip(inputs, context, strict=True)):
            slope, spread = (fitted.to(x) for fitted in fit_ridge_by_gcv(x.cpu().double(), c.cpu().double()))
            self.slope[member] = slope
            self.offset[member] = x.mean(0) - c.mean(0) @ slope
            self.log_scale[member] = torch.where(spread > MIN_STD, -spread.log(), 0.0)


def linear_start(enabled: bool, features: int, context: int, generators: Generators) -> list[Transform]:
    """What comes first in a flow that is ``linear``: a regression, if there is a condition to regress on."""
    return [LinearStart(generators, features, context)] if enabled and context else []


def fit_ridge_by_gcv(x: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope (C, D) of x (N, D) on c (N, C), and the residuals' standard deviation (D,)."""
    rows, x, c = len(x), x - x.mean(0), c - c.mean(0)
    variances, axes = torch.linalg.eigh(c.T @ c)
    variances = variances.clamp(min=0)
    projections = axes.T @ c.T @ x  # (C, D)
    best: tuple[float, torch.Tensor, torch.Tensor] | None = None
    for penalty in RIDGE_PENALTIES * variances.mean().clamp(min=MIN_STD):
        slope = axes @ (projections / (variances + penalty)[:, None])
        degrees_of_freedom = rows - 1 - (variances / (variances + penalty)).sum()  # degrees of freedom
        residual_std = ((x - c @ slope).square().sum(0) / degrees_of_freedom.clamp(min=1)).sqrt()
        score = float((2 * residual_std.clamp(min=MIN_STD).log() - degrees_of_freedom.clamp(min=1).log()).sum())
        if best is None or score < best[0]:
            best = score, slope, residual_std
    assert best is not None
    return best[1], best[2]
