"""The optimisers: one tensor of weights, moved along its gradient by the formulas of torch.

By torch's functions, since its classes import its compiler, which takes more than a second.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from cosmoinfer.training.settings import TrainingSettings

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999  # a step, of the running means of gradient and squared gradient
MIN_ROOT_SQUARE = 1e-8


class Optimizer(Protocol):
    """Moves weights (M, W) in place by a step in proportion to the rate."""

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None: ...


class AdaptiveMoments:
    """Adam (Kingma & Ba, arXiv:1412.6980) or AdamW (Loshchilov & Hutter, arXiv:1711.05101)."""

    def __init__(self, move: Callable[..., None], weights: torch.Tensor, weight_decay: float) -> None:
        self.move, self.weight_decay = move, weight_decay
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self.steps = torch.zeros((), device=weights.device)

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None:
        """In one pass through memory."""
        self.move(
            [weights],
            [gradient],
            [self.mean],
            [self.square],
            [],
            [self.steps],
            fused=True,
            amsgrad=False,
            beta1=MEAN_DECAY,
            beta2=SQUARE_DECAY,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=MIN_ROOT_SQUARE,
            maximize=False,
        )


class Momentum:
    """Gradient descent with momentum (Polyak 1964)."""

    def __init__(self, momentum: float, weight_decay: float) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocity: list[torch.Tensor | None] = [None]  # which the first step sets

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None:
        """By the running sum of gradients."""
        sgd(
            [weights],
            [gradient],
            self.velocity,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


def make_optimizer(weights: torch.Tensor, settings: TrainingSettings) -> Optimizer:
    """The one that the settings name, before its first step."""
    if settings.optimizer == "sgd":
        return Momentum(settings.momentum, settings.weight_decay)
    return AdaptiveMoments(adamw if settings.optimizer == "adamw" else adam, weights, settings.weight_decay)
