"""The optimisers, and the one tensor of weights that they move along its gradient by the formulas of torch.

By torch's functions, since its classes import its compiler, which takes more than a second.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from cosmoinfer.training.ranks import ALONE, Ranks
from cosmoinfer.training.settings import TrainingSettings

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999  # a step, of the running means of gradient and squared gradient
MIN_ROOT_SQUARE = 1e-8


class Optimizer(Protocol):
    """Moves weights (M, W) in place by a step in proportion to the rate. moments: its state, by name."""

    moments: dict[str, torch.Tensor]

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None: ...


class AdaptiveMoments:
    """Adam (Kingma & Ba, arXiv:1412.6980) or AdamW (Loshchilov & Hutter, arXiv:1711.05101)."""

    def __init__(self, move: Callable[..., None], weights: torch.Tensor, weight_decay: float) -> None:
        self.move, self.weight_decay = move, weight_decay
        self.moments = {"mean": torch.zeros_like(weights), "square": torch.zeros_like(weights)}
        self.moments["steps"] = torch.zeros((), device=weights.device)

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None:
        """In one pass through memory."""
        self.move(
            [weights],
            [gradient],
            [self.moments["mean"]],
            [self.moments["square"]],
            [],
            [self.moments["steps"]],
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

    def __init__(self, weights: torch.Tensor, momentum: float, weight_decay: float) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.moments = {"velocity": torch.zeros_like(weights)}

    def step(self, weights: torch.Tensor, gradient: torch.Tensor, learning_rate: float) -> None:
        """By the running sum of gradients."""
        sgd(
            [weights],
            [gradient],
            [self.moments["velocity"]],
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
        return Momentum(weights, settings.momentum, settings.weight_decay)
    return AdaptiveMoments(adamw if settings.optimizer == "adamw" else adam, weights, settings.weight_decay)


class MemberWeights:
    """All parameters of a network side by side, (M, W); the network's own become views of them.

    An optimiser and a norm then touch one tensor in place of some fifty: a tenth to a quarter of a step.
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        self.members, self.parameters = members, list(network.parameters())
        self.values = self._concatenate(self.parameters).detach()
        widths = [parameter.numel() // members for parameter in self.parameters]
        for parameter, value in zip(self.parameters, self.values.split(widths, dim=1), strict=True):
            parameter.data = value.unflatten(1, parameter.shape[1:])

    def gradient(self, loss: torch.Tensor, max_norm: float, ranks: Ranks = ALONE) -> torch.Tensor:
        """Each member's of a loss (,), (M, W), scaled to at most this norm; no member feels another's.

        ranks: whose gradients are summed, each of its own rows.
        """
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        gradient = ranks.sum(self._concatenate(gradients))
        norm = gradient.square().sum(1, keepdim=True).sqrt()  # (M, 1)
        return gradient.mul_((max_norm / (norm + 1e-12)).clamp(max=1.0))

    def step(self, optimizer: Optimizer, gradient: torch.Tensor, learning_rate: float, lr_scale: torch.Tensor) -> None:
        """One step, of which each member takes its share (M,)."""
        if (lr_scale == 1).all():
            optimizer.step(self.values, gradient, learning_rate)
            return
        before = self.values.clone()
        optimizer.step(self.values, gradient, learning_rate)
        scale = lr_scale.to(before)[:, None].expand_as(before)
        self.values.copy_(torch.lerp(before, self.values, scale))  # exactly the new weights at 1

    def _concatenate(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([tensor.reshape(self.members, -1) for tensor in tensors], dim=1)
