"""Monotonic rational-quadratic splines of one dimension, with their gradient in closed form."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional


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
        if torch.compiler.is_compiling():  # which makes one kernel of the formulas, and of their gradient
            return self._forward(x, shapes)[:2]
        found: tuple[torch.Tensor, torch.Tensor] = _Forward.apply(x, shapes, self)
        return found

    def _forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, "_Bin", "_Point"]:
        bins = self.bin(x, shapes, axis=0)
        point = _Point(bins, ((x - bins.x0) / bins.width).clamp(0, 1))
        inside = x.abs() < self.bound
        z = bins.y0 + bins.height * point.rise / point.below
        return torch.where(inside, z, x), torch.where(inside, point.log_slope, 0.0), bins, point

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bins = self.bin(z, shapes, axis=1)
        rise = (z - bins.y0).clamp(min=0)
        a = bins.height * (bins.mean - bins.s0) + rise * bins.curve
        b = bins.height * bins.s0 - rise * bins.curve
        c = -bins.mean * rise
        root = (b * b - 4 * a * c).clamp(min=0).sqrt()  # never negative but for rounding
        t = (2 * c / (-b - root)).clamp(0, 1)
        log_slope = _Point(bins, t).log_slope
        inside = z.abs() < self.bound
        return torch.where(inside, bins.x0 + t * bins.width, z), torch.where(inside, -log_slope, 0.0)

    def damped(self, shapes: torch.Tensor) -> torch.Tensor:
        """By what raw shapes are multiplied; its square is the slope of the product."""
        return 1 / (1 + shapes.abs() * (2 / self.steepest))

    def bin(self, at: torch.Tensor, shapes: torch.Tensor, axis: int) -> "_Bin":
        """The bin into which ``at`` (N, D) falls, among the knots of x (axis 0) or of y (1)."""
        damping = self.damped(shapes)
        soft = shapes * damping
        powers = soft[..., : 2 * self.bins].unflatten(-1, (2, self.bins)).exp()  # (N, D, 2, bins) of x and y
        ends = powers.cumsum(-1)
        shares, ends = powers / ends[..., -1:], ends / ends[..., -1:]  # torch's own softmax is slow for so few
        share_of = at[..., None] / (2 * self.bound) + 0.5
        index = (share_of >= ends[..., axis, :-1]).sum(-1, keepdim=True)  # (N, D, 1)
        chosen = index[..., None].expand(*index.shape[:-1], 2, 1)
        size = shares.gather(-1, chosen)[..., 0]  # (N, D, 2)
        corner = (ends.gather(-1, chosen)[..., 0] - size) * (2 * self.bound) - self.bound
        knots = torch.cat([index, index + 1], dim=-1)
        slopes = functional.pad(soft[..., 2 * self.bins :], (1, 1)).gather(-1, knots).exp()
        return _Bin(damping, shares, knots, corner, size * (2 * self.bound), slopes)


class _Bin:
    """Where numbers (N, D) fall: left end x0, bottom y0, width, height, mean slope, slopes s0 and s1 at both ends.

    corner, size: (N, D, 2), of x and y; slopes: (N, D, 2); knots: (N, D, 2), the numbers of both ends.
    """

    def __init__(
        self,
        damping: torch.Tensor,
        shares: torch.Tensor,
        knots: torch.Tensor,
        corner: torch.Tensor,
        size: torch.Tensor,
        slopes: torch.Tensor,
    ) -> None:
        self.damping, self.shares, self.knots = damping, shares, knots
        self.x0, self.y0 = corner.unbind(-1)
        self.width, self.height = size.unbind(-1)
        self.s0, self.s1 = slopes.unbind(-1)
        self.mean = self.height / self.width
        self.curve = self.s0 + self.s1 - 2 * self.mean


class _Point:
    """A place t (N, D) between 0 and 1 in its bin: z = y0 + height rise / below, dz/dx = mean^2 above / below^2."""

    def __init__(self, bins: _Bin, t: torch.Tensor) -> None:
        self.t, self.rest = t, 1 - t
        self.bend, self.square, self.rest_square = t * self.rest, t * t, self.rest * self.rest
        self.below = bins.mean + bins.curve * self.bend
        self.above = bins.s1 * self.square + 2 * bins.mean * self.bend + bins.s0 * self.rest_square
        self.rise = bins.mean * self.square + bins.s0 * self.bend
        self.log_slope = (self.above * (bins.mean / self.below).square()).log()


class _Forward(torch.autograd.Function):
    """``Spline.forward``: half the time of what autograd makes of the same formulas.

    By the chain rule from t, mean, s0 and s1, of which z and the log-slope are rational functions, to x, the bin's ends
    and the softmax that made them; outside the knots z = x.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: torch.Tensor, shapes: torch.Tensor, spline: Spline
    ) -> tuple[torch.Tensor, torch.Tensor]:
        z, log_slope, bins, point = spline._forward(x, shapes)
        ctx.kept = bins, point, x.abs() < spline.bound, spline  # type: ignore[attr-defined]
        return z, log_slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_z: torch.Tensor, of_log_slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        bins, point, inside, spline = ctx.kept
        t, mean, s0, s1, below, above = point.t, bins.mean, bins.s0, bins.s1, point.below, point.above
        weight, outside = inside.to(of_z.dtype), torch.where(inside, 0.0, of_z)
        of_z, of_log_slope = of_z * weight, of_log_slope * weight
        share, tilt = point.rise / below, point.rest - t  # of the height; d bend / dt
        of_share, of_below = of_z * bins.height / below, 2 * of_log_slope / below
        of_below = -of_share * share - of_below  # d / d below of all, rise and above kept
        of_above = of_log_slope / above
        of_t = (
            of_share * (2 * mean * t + s0 * tilt)
            + of_below * bins.curve * tilt
            + 2 * of_above * (s1 * t + mean * tilt - s0 * point.rest)
        )
        of_mean = (
            of_share * point.square
            + of_below * (1 - 2 * point.bend)
            + 2 * (of_above * point.bend + of_log_slope / mean)
        )
        of_bend = of_below * point.bend
        of_slopes = (
            (of_share * point.bend + of_bend + of_above * point.rest_square) * s0,
            (of_bend + of_above * point.square) * s1,
        )
        of_x = of_t / bins.width
        of_height = of_z * share + of_mean / bins.width
        of_width = -(of_x * t + of_mean * mean / bins.width)
        starts = torch.stack([-of_x, of_z], dim=-1)[..., None]  # of x0 and y0, (N, D, 2, 1)
        sizes = torch.stack([of_width, of_height], dim=-1)[..., None]
        place = torch.arange(spline.bins, device=t.device)
        at = bins.knots[..., :1, None]
        of_shares = bins.shares * torch.where(place < at, starts, torch.where(place == at, sizes, 0.0))
        of_shares = (of_shares - bins.shares * of_shares.sum(-1, keepdim=True)) * (2 * spline.bound)
        of_knots = t.new_zeros(*t.shape, spline.bins + 1).scatter(-1, bins.knots, torch.stack(of_slopes, dim=-1))
        of_soft = torch.cat([of_shares.flatten(-2), of_knots[..., 1:-1]], dim=-1)
        return of_x + outside, of_soft * bins.damping**2, None
