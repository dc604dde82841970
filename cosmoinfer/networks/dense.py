"""Dense layers that carry M members side by side: an ensemble trains as one network, in batched products.

Every weight leads with M, so that a member's best weights, and its share of a file, are slices. Member m draws all its
randomness from its own generator: it trains beside others as it would alone.
"""

import math

import torch
from torch import nn

from cosmoinfer.networks.members import Generators


def uniform(generators: Generators, shape: tuple[int, ...], bound: float) -> nn.Parameter:
    """(M, *shape) in -bound..bound, each member from its own generator."""
    draws = [torch.rand(shape, generator=generator) * 2 - 1 for generator in generators]
    return nn.Parameter(bound * torch.stack(draws))


class Linear(nn.Module):
    """M affine maps: (M, B, inputs) -> (M, B, outputs). ``mask`` (inputs, outputs) forbids some of the ways."""

    mask: torch.Tensor | None

    def __init__(
        self,
        generators: Generators,
        inputs: int,
        outputs: int,
        mask: torch.Tensor | None = None,
        zero: bool = False,
    ) -> None:
        super().__init__()
        bound = 0.0 if zero else 1 / math.sqrt(max(1, inputs))
        self.weight = uniform(generators, (inputs, outputs), bound)  # (M, inputs, outputs)
        self.bias = uniform(generators, (1, outputs), bound)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, x, self.masked_weight())

    def residual_add(self, residual: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """residual (M, B, outputs) + forward(x), with one pass through memory less."""
        return (residual + self.bias).baddbmm_(x, self.masked_weight())

    def masked_weight(self) -> torch.Tensor:
        """The weights (M, inputs, outputs), zero where a way is forbidden."""
        return self.weight if self.mask is None else self.weight * self.mask


class Dropout(nn.Module):
    """Zeroes a share of the units while training; each member's mask comes from its own generator."""

    def __init__(self, generators: Generators, rate: float) -> None:
        super().__init__()
        self.generators, self.rate = list(generators), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M*B, ...), of any shape."""
        if not self.training or self.rate == 0:
            return x
        count = x.numel() // len(self.generators)
        mask = torch.cat([self._keep_mask(count, generator) for generator in self.generators])
        return x * mask.to(x.device, x.dtype).mul_(1 / (1 - self.rate)).view_as(x)

    def _keep_mask(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """(count,) bool, four neurons from each 64-bit draw: one draw a neuron would be a third of a training step."""
        words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
        return words.view(torch.int16)[:count] >= round(self.rate * 2**16) - 2**15
