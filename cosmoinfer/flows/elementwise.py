"""Monotonic maps of one dimension, shaped by a network: affine, and rational-quadratic splines."""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Affine:
    """z = exp(a tanh(u / a)) (x + shift): the scale stays within e^-a..e^a and can widen and narrow.

    nflows 0.14's affine coupling has scale = sigmoid(u + 2) + 0.001 <= 1.001: it cannot narrow a posterior.
    """

    steepest: float = 3.0
    outputs: int = 2

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, D), shapes (N, D, 2) -> z and log dz/dx, (N, D) each."""
        shift, log_scale = self._parts(shapes)
        return (x + shift) * log_scale.exp(), log_scale

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shift, log_scale = self._parts(shapes)
        return z * (-log_scale).exp() - shift, -log_scale

    def _parts(self, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shift, free = shapes.unbind(-1)
        return shift, self.steepest * torch.tanh(free / self.steepest)


@dataclass(frozen=True)
class Spline:
    """Monotonic rational-quadratic spline on [-bound, bound], identity outside (Durkan+ arXiv:1906.04032).

    Raw widths, heights and slopes are softly bounded, so that no bin is narrower than e^-``steepest`` of another: the
    inverse then keeps its accuracy in float32. Zeros give the identity.
    """

    bins: int = 8
    bound: float = 5.0
    steepest: float = 7.0

    @property
    def outputs(self) -> int:
        return 3 * self.bins - 1

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (N, D), shapes (N, D, 3 bins - 1) -> z and log dz/dx, (N, D) each."""
        xs, ys, slopes = self._knots(shapes)
        x0, width, y0, height, s0, s1 = self._bin(x, xs, xs, ys, slopes)
        inside = x.abs() < self.bound
        t = ((x - x0) / width).clamp(0, 1)
        mean = height / width
        bend = t * (1 - t)
        below = mean + (s0 + s1 - 2 * mean) * bend
        z = y0 + height * (mean * t**2 + s0 * bend) / below
        return torch.where(inside, z, x), torch.where(inside, _log_slope(t, bend, mean, s0, s1, below), 0.0)

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        xs, ys, slopes = self._knots(shapes)
        x0, width, y0, height, s0, s1 = self._bin(z, ys, xs, ys, slopes)
        inside = z.abs() < self.bound
        mean = height / width
        rise = (z - y0).clamp(min=0)
        curve = s0 + s1 - 2 * mean
        a = height * (mean - s0) + rise * curve
        b = height * s0 - rise * curve
        c = -mean * rise
        root = (b**2 - 4 * a * c).clamp(min=0).sqrt()  # never negative but for rounding
        t = (2 * c / (-b - root)).clamp(0, 1)
        bend = t * (1 - t)
        below = mean + curve * bend
        log_slope = _log_slope(t, bend, mean, s0, s1, below)
        return torch.where(inside, x0 + t * width, z), torch.where(inside, -log_slope, 0.0)

    def _knots(self, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Knots x and y (N, D, bins + 1), slopes there, 1 at both ends."""
        soft = shapes / (1 + (2 * shapes / self.steepest).abs())
        widths, heights, slopes = soft.split([self.bins, self.bins, self.bins - 1], dim=-1)
        xs = functional.pad(2 * self.bound * functional.softmax(widths, -1).cumsum(-1), (1, 0)) - self.bound
        ys = functional.pad(2 * self.bound * functional.softmax(heights, -1).cumsum(-1), (1, 0)) - self.bound
        return xs, ys, functional.pad(slopes, (1, 1)).exp()

    def _bin(
        self, at: torch.Tensor, edges: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor, slopes: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The bin in which ``at`` falls among ``edges``: its left end, width, bottom, height and both slopes."""
        index = (at[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)
        both = torch.cat([index, index + 1], dim=-1)
        (x0, x1), (y0, y1), (s0, s1) = (values.gather(-1, both).unbind(-1) for values in (xs, ys, slopes))
        return x0, x1 - x0, y0, y1 - y0, s0, s1


def _log_slope(
    t: torch.Tensor, bend: torch.Tensor, mean: torch.Tensor, s0: torch.Tensor, s1: torch.Tensor, below: torch.Tensor
) -> torch.Tensor:
    above = s1 * t**2 + 2 * mean * bend + s0 * (1 - t) ** 2
    return 2 * mean.log() + above.log() - 2 * below.log()
