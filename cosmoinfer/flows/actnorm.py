"""Layers that start from the training rows: ActNorm, and a linear regression on the condition."""

from collections.abc import Callable

import torch
from nflows.transforms.base import Transform
from torch import nn

from cosmoinfer.networks.stacked import Dropout, Generators

RIDGES = torch.logspace(-9, 2, 45, dtype=torch.float64)  # of the mean variance of the condition
SMALLEST = 1e-6  # standard deviation: a dimension that does not vary keeps its scale


class ActNorm(Transform):
    """z = (x + shift) exp(log_scale), (M*B, D) -> (M*B, D) (Kingma & Dhariwal, arXiv:1807.03039).

    ``initialise`` sets both from data once, before any training; used without that it is an error, since it would
    silently pass for the identity. (nflows 0.14's starts itself at the first call in training mode, from one batch.)
    """

    ready: torch.Tensor

    def __init__(self, generators: Generators, features: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.log_scale = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.register_buffer("ready", torch.zeros(len(generators), dtype=torch.bool))
        self.listening = False

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        x = self._by_member(inputs)
        if self.listening:
            self._start(x)
        return ((x + self.shift) * self.log_scale.exp()).reshape(inputs.shape), self._log_det(x)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        z = self._by_member(inputs)
        return (z * (-self.log_scale).exp() - self.shift).reshape(inputs.shape), -self._log_det(z)

    @torch.no_grad()
    def _start(self, x: torch.Tensor) -> None:
        spread = x.std(1, keepdim=True)
        self.shift.copy_(-x.mean(1, keepdim=True))
        self.log_scale.copy_(torch.where(spread > SMALLEST, -spread.log(), 0.0))
        self.ready.fill_(True)

    def _by_member(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.listening and not bool(self.ready.all()):
            raise RuntimeError("ActNorm is used before it was initialised from training rows")
        return inputs.reshape(len(self.shift), -1, inputs.shape[1])  # (M, B, D)

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_scale.sum(-1).expand(-1, x.shape[1]).reshape(-1)


class Regression(Transform):
    """z = (x - W c - b) exp(log_scale), (M*B, D) -> (M*B, D), c the condition: a linear model, left for others to bend.

    Starts as the identity. ``initialise`` sets it to the ridge regression of x on c, whose penalty generalised
    cross-validation picks (Golub, Heath & Wahba 1979, Technometrics 21, 215), residuals standardised: a posterior that
    is narrow because c tells x linearly is met before the first step, where gradient steps come near it but slowly.
    """

    def __init__(self, generators: Generators, features: int, context: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(len(generators), context, features))
        self.offset = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.log_scale = nn.Parameter(torch.zeros(len(generators), 1, features))
        self.listening = False

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        if self.listening:
            self._start(inputs, context)
        x = self._by_member(inputs)
        z = (x - self._mean(context)) * self.log_scale.exp()
        return z.reshape(inputs.shape), self._log_det(x)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        z = self._by_member(inputs)
        x = z * (-self.log_scale).exp() + self._mean(context)
        return x.reshape(inputs.shape), -self._log_det(z)

    def _mean(self, context: torch.Tensor | None) -> torch.Tensor:
        return torch.baddbmm(self.offset, self._by_member(context), self.slope)  # (M, B, D), B = 1 under one context

    def _by_member(self, rows: torch.Tensor | None) -> torch.Tensor:
        assert rows is not None, "a regression is on something"
        return rows.reshape(len(self.slope), -1, rows.shape[1])

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_scale.sum(-1).expand(-1, x.shape[1]).reshape(-1)

    @torch.no_grad()
    def _start(self, inputs: torch.Tensor, context: torch.Tensor | None) -> None:
        for member, (x, c) in enumerate(zip(self._by_member(inputs), self._by_member(context), strict=True)):
            slope, spread = (found.to(x) for found in _ridge(x.cpu().double(), c.cpu().double()))
            self.slope[member] = slope
            self.offset[member] = x.mean(0) - c.mean(0) @ slope
            self.log_scale[member] = torch.where(spread > SMALLEST, -spread.log(), 0.0)


def _ridge(x: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Slope (C, D) of x (N, D) on c (N, C), and the residuals' standard deviation (D,)."""
    rows, x, c = len(x), x - x.mean(0), c - c.mean(0)
    variances, axes = torch.linalg.eigh(c.T @ c)
    variances = variances.clamp(min=0)
    along = axes.T @ c.T @ x  # (C, D)
    best: tuple[float, torch.Tensor, torch.Tensor] | None = None
    for penalty in RIDGES * variances.mean().clamp(min=SMALLEST):
        slope = axes @ (along / (variances + penalty)[:, None])
        left = rows - 1 - (variances / (variances + penalty)).sum()  # degrees of freedom
        spread = ((x - c @ slope).square().sum(0) / left.clamp(min=1)).sqrt()
        score = float((2 * spread.clamp(min=SMALLEST).log() - left.clamp(min=1).log()).sum())
        if best is None or score < best[0]:
            best = score, slope, spread
    assert best is not None
    return best[1], best[2]


def initialise(network: nn.Module, run: Callable[[], object]) -> None:
    """Start each ActNorm and Regression of a network from what reaches it during ``run``, one pass over training rows.

    The more rows the better, and 256 at least: a regression on many numbers needs them. Nothing drops out meanwhile; a
    network without such layers is left alone, its streams of random numbers too.
    """
    layers = [module for module in network.modules() if isinstance(module, ActNorm | Regression)]
    if not layers:
        return
    leaky = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.listening = True
    for dropout in leaky:
        dropout.eval()
    try:
        with torch.no_grad():
            run()
    finally:
        for layer in layers:
            layer.listening = False
        for dropout in leaky:
            dropout.train()
