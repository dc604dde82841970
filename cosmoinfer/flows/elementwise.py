"""Monotonic maps of one dimension, shaped by a network: affine, and rational-quadratic splines.

Symbols and equations of the splines are those of Durkan+ (arXiv:1906.04032), section 3.1: bin k begins at the knot
(x_k, y_k), s is its mean slope, delta and next_delta are the slopes at its two knots, and xi in 0..1 is the place in
it. Their gradient is in closed form.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from cosmoinfer.errors import UserError


class Elementwise(Protocol):
    """A monotonic map of each dimension, shaped by ``outputs`` numbers a dimension."""

    @property
    def outputs(self) -> int: ...

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True)
class Affine:
    """z = exp(a tanh(u / a)) (x + shift): the scale stays within e^-a..e^a and can widen and narrow.

    nflows 0.14's affine coupling has scale = sigmoid(u + 2) + 0.001 <= 1.001: it cannot narrow a posterior.
    """

    steepest: float = 3.0
    outputs: int = 2

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (..., D), shapes (..., D, 2) -> z and log dz/dx, (..., D) each."""
        shift, log_scale = self._shift_and_log_scale(shapes)
        return (x + shift) * log_scale.exp(), log_scale

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z and shapes (..., 2) -> x and log |dx/dz|, of the shape of z."""
        shift, log_scale = self._shift_and_log_scale(shapes)
        return z * (-log_scale).exp() - shift, -log_scale

    def _shift_and_log_scale(self, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shift, free = shapes.unbind(-1)
        return shift, self.steepest * torch.tanh(free / self.steepest)


def affine_maps(layers: int, features: int, min_layers: int) -> Iterable[Elementwise]:
    """One a layer; of one parameter an affine one and a spline, since nothing but affine maps would be a Gaussian."""
    check_layers(layers, min_layers)
    return (Affine(), Spline()) if features == 1 else repeat(Affine(), layers)


def check_layers(layers: int, min_layers: int) -> None:
    """Raises UserError if there are fewer: some parameters would be left as they are, with the prior as posterior."""
    if layers < min_layers:
        raise UserError(
            f"this flow needs at least {min_layers} for so many parameters, found {layers}", setting="layers"
        )


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
        """x (..., D), shapes (..., D, 3 bins - 1) -> z and log dz/dx, (..., D) each."""
        result: tuple[torch.Tensor, torch.Tensor] = _SplineForward.apply(x, shapes, self)
        return result

    def _forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, "_Bin", "_Point"]:
        bins = self.bin(x, shapes, axis=0)
        point = _Point(bins, ((x - bins.x_k) / bins.width).clamp(0, 1))
        inside = x.abs() < self.bound
        z = bins.y_k + bins.height * point.numerator / point.denominator
        return torch.where(inside, z, x), torch.where(inside, point.log_slope, 0.0), bins, point

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """z (..., D), shapes (..., D, 3 bins - 1) -> x and log dx/dz, (..., D) each.

        xi is the root of a xi^2 + b xi + c = 0 that lies in the bin, eq. 6 to 8.
        """
        bins = self.bin(z, shapes, axis=1)
        rise = (z - bins.y_k).clamp(min=0)
        a = bins.height * (bins.s - bins.delta) + rise * bins.curvature
        b = bins.height * bins.delta - rise * bins.curvature
        c = -bins.s * rise
        root = (b * b - 4 * a * c).clamp(min=0).sqrt()  # never negative but for rounding
        xi = (2 * c / (-b - root)).clamp(0, 1)
        log_slope = _Point(bins, xi).log_slope
        inside = z.abs() < self.bound
        return torch.where(inside, bins.x_k + xi * bins.width, z), torch.where(inside, -log_slope, 0.0)

    def damped(self, shapes: torch.Tensor) -> torch.Tensor:
        """By what raw shapes are multiplied; its square is the slope of the product."""
        return 1 / (1 + shapes.abs() * (2 / self.steepest))

    def bin(self, value: torch.Tensor, shapes: torch.Tensor, axis: int) -> "_Bin":
        """The bin into which ``value`` (..., D) falls, among the knots of x (axis 0) or of y (1)."""
        damping = self.damped(shapes)
        soft = shapes * damping
        exponentials = soft[..., : 2 * self.bins].unflatten(-1, (2, self.bins)).exp()  # (..., D, 2, bins) of x and y
        cumulative = exponentials.cumsum(-1)
        total = cumulative[..., -1:]  # torch's own softmax is slow for so few
        fractions, cumulative = exponentials / total, cumulative / total
        position = value[..., None] / (2 * self.bound) + 0.5
        index = (position >= cumulative[..., axis, :-1]).sum(-1, keepdim=True)  # (..., D, 1)
        bin_index = index[..., None].expand(*index.shape[:-1], 2, 1)
        size = fractions.gather(-1, bin_index)[..., 0]  # (..., D, 2)
        corner = (cumulative.gather(-1, bin_index)[..., 0] - size) * (2 * self.bound) - self.bound
        knots = torch.cat([index, index + 1], dim=-1)
        deltas = functional.pad(soft[..., 2 * self.bins :], (1, 1)).gather(-1, knots).exp()
        return _Bin(damping, fractions, knots, corner, size * (2 * self.bound), deltas)


class _Bin:
    """The bins of numbers (..., D): x_k, y_k, width, height, s = height / width, delta, next_delta, (..., D) each.

    curvature: delta + next_delta - 2 s. corner, size: (..., D, 2), of x and y. deltas: (..., D, 2), at both knots.
    knots: (..., D, 2), their numbers.
    """

    def __init__(
        self,
        damping: torch.Tensor,
        fractions: torch.Tensor,
        knots: torch.Tensor,
        corner: torch.Tensor,
        size: torch.Tensor,
        deltas: torch.Tensor,
    ) -> None:
        self.damping, self.fractions, self.knots = damping, fractions, knots
        self.x_k, self.y_k = corner.unbind(-1)
        self.width, self.height = size.unbind(-1)
        self.delta, self.next_delta = deltas.unbind(-1)
        self.s = self.height / self.width
        self.curvature = self.delta + self.next_delta - 2 * self.s


class _Point:
    """A place xi (..., D) in its bin, and what eq. 4 and 5 are made of.

    z = y_k + height numerator / denominator                                                         (4)
        numerator = s xi^2 + delta xi (1 - xi),  denominator = s + (next_delta + delta - 2 s) xi (1 - xi)
    dz/dx = s^2 slope_numerator / denominator^2                                                      (5)
        slope_numerator = next_delta xi^2 + 2 s xi (1 - xi) + delta (1 - xi)^2
    """

    def __init__(self, bins: _Bin, xi: torch.Tensor) -> None:
        self.xi, self.one_minus_xi = xi, 1 - xi
        self.product, self.xi_squared = xi * self.one_minus_xi, xi * xi
        self.one_minus_xi_squared = self.one_minus_xi * self.one_minus_xi
        self.denominator = bins.s + bins.curvature * self.product
        self.slope_numerator = (
            bins.next_delta * self.xi_squared + 2 * bins.s * self.product + bins.delta * self.one_minus_xi_squared
        )
        self.numerator = bins.s * self.xi_squared + bins.delta * self.product
        self.log_slope = (self.slope_numerator * (bins.s / self.denominator).square()).log()


class _SplineForward(torch.autograd.Function):
    """``Spline.forward``: half the time of what autograd makes of the same formulas.

    By the chain rule from xi, s, delta and next_delta, of which z and dz/dx are rational functions (eq. 4, 5), to x,
    the bin's knots and the softmax that made them; outside the outer knots z = x. grad_... is the gradient of the
    loss by what the name goes on with.
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
    def backward(
        ctx: Any, grad_z: torch.Tensor, grad_log_slope: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        bins, point, inside, spline = ctx.kept
        xi, s, delta, next_delta = point.xi, bins.s, bins.delta, bins.next_delta
        denominator, slope_numerator = point.denominator, point.slope_numerator
        weight, outside = inside.to(grad_z.dtype), torch.where(inside, 0.0, grad_z)
        grad_z, grad_log_slope = grad_z * weight, grad_log_slope * weight
        ratio, product_slope = point.numerator / denominator, point.one_minus_xi - xi  # of the height; d product / d xi
        grad_ratio, grad_denominator = grad_z * bins.height / denominator, 2 * grad_log_slope / denominator
        grad_denominator = -grad_ratio * ratio - grad_denominator  # the numerators kept
        grad_slope_numerator = grad_log_slope / slope_numerator
        grad_xi = (
            grad_ratio * (2 * s * xi + delta * product_slope)
            + grad_denominator * bins.curvature * product_slope
            + 2 * grad_slope_numerator * (next_delta * xi + s * product_slope - delta * point.one_minus_xi)
        )
        grad_s = (
            grad_ratio * point.xi_squared
            + grad_denominator * (1 - 2 * point.product)
            + 2 * (grad_slope_numerator * point.product + grad_log_slope / s)
        )
        grad_product = grad_denominator * point.product
        grad_log_delta = (
            (grad_ratio * point.product + grad_product + grad_slope_numerator * point.one_minus_xi_squared) * delta,
            (grad_product + grad_slope_numerator * point.xi_squared) * next_delta,
        )
        grad_x = grad_xi / bins.width
        grad_height = grad_z * ratio + grad_s / bins.width
        grad_width = -(grad_x * xi + grad_s * s / bins.width)
        starts = torch.stack([-grad_x, grad_z], dim=-1)[..., None]  # of x_k and y_k, (..., D, 2, 1)
        sizes = torch.stack([grad_width, grad_height], dim=-1)[..., None]
        bin_number = torch.arange(spline.bins, device=xi.device)
        bin_index = bins.knots[..., :1, None]
        below = (bin_number < bin_index).to(xi.dtype)  # torch.where is slow where it broadcasts
        grad_cumulative = (starts * below).scatter_(-1, bin_index.expand_as(sizes), sizes)
        grad_fractions = bins.fractions * grad_cumulative
        grad_fractions = (grad_fractions - bins.fractions * grad_fractions.sum(-1, keepdim=True)) * (2 * spline.bound)
        grad_log_deltas = torch.stack(grad_log_delta, dim=-1)
        grad_knots = xi.new_zeros(*xi.shape, spline.bins + 1).scatter(-1, bins.knots, grad_log_deltas)
        grad_soft = torch.cat([grad_fractions.flatten(-2), grad_knots[..., 1:-1]], dim=-1)
        return grad_x + outside, grad_soft * bins.damping**2, None
