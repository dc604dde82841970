"""Linear layers: reversal, a learned matrix, shift and scale, a regression on the condition.

The last two start from training rows (``initialise``), before the first step of a training.
"""

from collections.abc import Callable

import torch
from torch import nn

from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.layers import Dropout, Generators

RIDGE_PENALTIES = torch.logspace(-9, 2, 45, dtype=torch.float64)  # of the mean variance of the condition
MIN_STD = 1e-6  # a dimension that varies less keeps its scale


class DataInitialised(Transform):
    """A layer whose weights start from training rows: from the first inputs that it sees while ``initialising``.

    Data-dependent initialisation (Salimans & Kingma, arXiv:1602.07868, section 3).
    """

    initialising = False


def initialise(network: nn.Module, run_once: Callable[[], object]) -> None:
    """Start each such layer of a network from what reaches it during ``run_once``, one pass over training rows.

    The more rows the better, and 256 at least: a regression on many numbers needs them. Nothing drops out meanwhile; a
    network without such layers is left alone, its streams of random numbers too.
    """
    layers = [module for module in network.modules() if isinstance(module, DataInitialised)]
    if not layers:
        return
    dropouts = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.initialising = True
    for dropout in dropouts:
        dropout.eval()
    try:
        with torch.no_grad():
            run_once()
    finally:
        for layer in layers:
            layer.initialising = False
        for dropout in dropouts:
            dropout.train()


class Reverse(Transform):
    """The dimensions (M, B, D) in reverse order. (nflows stores the order as a buffer, which is not needed.)"""

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, B, D) -> (M, B, D) in reverse order, and log |det| = 0, (M, B)."""
        return inputs.flip(-1), inputs.new_zeros(inputs.shape[:2])

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(M, B, D) -> (M, B, D) in reverse order, and log |det| = 0, (M, B)."""
        return self.forward(inputs)


class LU(Transform):
    """M learned linear maps x -> x W + b of (M, B, D): W = L U, log |det| from U's diagonal, the identity at first."""

    upper: torch.Tensor

    def __init__(self, generators: Generators, features: int) -> None:
        super().__init__()
        members = len(generators)
        self.below = nn.Parameter(torch.zeros(members, features, features))
        self.above = nn.Parameter(torch.zeros(members, features, features))
        self.log_diagonal = nn.Parameter(torch.zeros(members, features))
        self.bias = nn.Parameter(torch.zeros(members, 1, features))
        self.register_buffer("upper", torch.triu(torch.ones(features, features), 1), persistent=False)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x (M, B, D) -> x W + b (M, B, D), and log |det W| (M, B)."""
        lower, upper = self._factors()
        return torch.baddbmm(self.bias, inputs, torch.bmm(lower, upper)), self._log_det(inputs)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """z (M, B, D) -> (z - b) W^-1 (M, B, D), and -log |det W| (M, B)."""
        lower, upper = self._factors()
        z = inputs - self.bias
        identity = torch.eye(len(self.upper), dtype=z.dtype, device=z.device).expand_as(lower)
        upper_inverse = torch.linalg.solve_triangular(
            upper, identity, upper=True
        )  # of the small matrices: rows may be a million
        inverse = torch.linalg.solve_triangular(lower, upper_inverse, upper=False, left=False, unitriangular=True)
        return torch.bmm(z, inverse), -self._log_det(z)

    def _factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        identity = torch.eye(self.upper.shape[0], dtype=self.below.dtype, device=self.below.device)
        lower = self.below * self.upper.T + identity
        return lower, self.above * self.upper + torch.diag_embed(self.log_diagonal.exp())

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_diagonal.sum(-1, keepdim=True).expand(-1, x.shape[1])


class ActNorm(DataInitialised):
    """z = (x + shift) exp(log_scale), (M, B, D) -> (M, B, D) (Kingma & Dhariwal, arXiv:1807.03039).

    ``initialise`` sets both from data once, before any training; used without that it is an error, since it would
    silently pass for the identity. (nflows 0.14's starts itself at the first call in training mode, from one batch.)
    """

    ready: torch.Tensor

    def __init__(self, generators: Generators, features: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.log_scale = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.register_buffer("ready", torch.zeros(len(generators), dtype=torch.bool))

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        self._check_initialised()
        if self.initialising:
            self._initialise(inputs)
        return (inputs + self.shift) * self.log_scale.exp(), self._log_det(inputs)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        self._check_initialised()
        return inputs * (-self.log_scale).exp() - self.shift, -self._log_det(inputs)

    @torch.no_grad()
    def _initialise(self, x: torch.Tensor) -> None:
        spread = x.std(1, keepdim=True)
        self.shift.copy_(-x.mean(1, keepdim=True))
        self.log_scale.copy_(torch.where(spread > MIN_STD, -spread.log(), 0.0))
        self.ready.fill_(True)

    def _check_initialised(self) -> None:
        if not self.initialising and not bool(self.ready.all()):
            raise RuntimeError("ActNorm is used before it was initialised from training rows")

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_scale.sum(-1).expand(-1, x.shape[1])


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
    """What comes first in a flow with ``linear_start``: a regression, if there is a condition to regress on."""
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
