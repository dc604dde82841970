"""Activation normalisation: a learned shift and scale a dimension, started from training rows."""

import torch
from torch import nn

from cosmoinfer.flows.initialisation import MIN_STD, DataInitialised
from cosmoinfer.networks.members import Generators


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
