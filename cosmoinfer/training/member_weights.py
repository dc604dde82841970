"""The weights of all members as one tensor, and the optimiser that moves them."""

from collections.abc import Sequence

import torch
from torch import nn

from cosmoinfer.training.settings import TrainingSettings


class MemberWeights:
    """All parameters of a network side by side, (M, W); the network's own become views of them.

    An optimiser and a norm then touch one tensor in place of some fifty: a tenth to a quarter of a step.
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        self.members, self.parameters = members, list(network.parameters())
        self.values = nn.Parameter(self._concatenate(self.parameters).detach())
        widths = [parameter.numel() // members for parameter in self.parameters]
        for parameter, value in zip(self.parameters, self.values.detach().split(widths, dim=1), strict=True):
            parameter.data = value.unflatten(1, parameter.shape[1:])

    def set_gradient(self, loss: torch.Tensor, max_norm: float) -> None:
        """Each member's gradient of a loss (,), scaled to at most this norm; no member feels another's."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        gradient = self._concatenate(gradients)
        norm = gradient.square().sum(1, keepdim=True).sqrt()  # (M, 1)
        self.values.grad = gradient.mul_((max_norm / (norm + 1e-12)).clamp(max=1.0))

    def step(self, optimizer: torch.optim.Optimizer, lr_scale: torch.Tensor) -> None:
        """One step, of which each member takes its share (M,): every optimiser here moves in proportion to its rate."""
        if (lr_scale == 1).all():
            optimizer.step()
            return
        before = self.values.detach().clone()
        optimizer.step()
        with torch.no_grad():
            scale = lr_scale.to(before)[:, None].expand_as(before)
            self.values.copy_(torch.lerp(before, self.values, scale))  # exactly the new weights at 1

    def _concatenate(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([tensor.reshape(self.members, -1) for tensor in tensors], dim=1)


def make_optimizer(weights: nn.Parameter, settings: TrainingSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD([weights], rate, momentum=settings.momentum, weight_decay=decay)
    optimizer = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return optimizer([weights], rate, weight_decay=decay, fused=True)
