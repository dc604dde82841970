"""Monotonic maps of one dimension, shaped by a network: affine, and which map each layer of a flow takes."""

from dataclasses import dataclass
from typing import Protocol

import torch

from cosmoinfer.errors import UserError
from cosmoinfer.flows.spline import Spline


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


def affine_maps(layers: int, features: int, min_layers: int) -> list[Elementwise]:
    """One a layer; of one parameter an affine one and a spline, since nothing but affine maps would be a Gaussian."""
    check_layers(layers, min_layers)
    maps: list[Elementwise] = [Affine() for _ in range(layers)]
    return [*maps[:1], Spline()] if features == 1 else maps


def check_layers(layers: int, min_layers: int) -> None:
    """Raises UserError if there are fewer: some parameters would be left as they are, with the prior as posterior."""
    if layers < min_layers:
        raise UserError(
            f"this flow needs at least {min_layers} for so many parameters, found {layers}", setting="layers"
        )
