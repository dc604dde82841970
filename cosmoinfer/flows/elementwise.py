"""Monotonic maps of one dimension, shaped by a network: affine."""

from dataclasses import dataclass

import torch


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
