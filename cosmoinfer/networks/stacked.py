"""Layers that carry M members side by side: an ensemble trains as one network, in batched products.

A batch is (M*B, ...), member by member; only these layers know that it has M groups. Every weight leads with M, so
that a member's best weights, and its share of a file, are slices. Member m draws all its randomness from its own
generator: it trains beside others as it would alone.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

Generators = Sequence[torch.Generator]  # one a member


def uniform(generators: Generators, shape: tuple[int, ...], bound: float) -> nn.Parameter:
    """(M, *shape) in -bound..bound, each member from its own generator."""
    draws = [torch.rand(shape, generator=generator) * 2 - 1 for generator in generators]
    return nn.Parameter(bound * torch.stack(draws))


class Linear(nn.Module):
    """M affine maps: (M*B, inputs) -> (M*B, outputs). ``mask`` (inputs, outputs) forbids some of the ways."""

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
        weight = self.allowed()
        members, inputs, outputs = weight.shape
        return torch.baddbmm(self.bias, x.reshape(members, -1, inputs), weight).reshape(-1, outputs)

    def allowed(self) -> torch.Tensor:
        """The weights (M, inputs, outputs), zero where a way is forbidden."""
        return self.weight if self.mask is None else self.weight * self.mask


class Dropout(nn.Module):
    """Zeroes a share of the units while training; each member's mask comes from its own generator."""

    def __init__(self, generators: Generators, share: float) -> None:
        super().__init__()
        self.generators, self.share = list(generators), share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.share == 0:
            return x
        count = x.numel() // len(self.generators)
        keep = torch.cat([self._keep(count, generator) for generator in self.generators])
        return x * keep.to(x.device, x.dtype).mul_(1 / (1 - self.share)).view_as(x)

    def _keep(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """(count,) bool, four neurons from each 64-bit draw: one draw a neuron would be a third of a training step."""
        words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
        return words.view(torch.int16)[:count] >= round(self.share * 2**16) - 2**15


class Convolution(nn.Module):
    """M convolutions in 1, 2 or 3 dimensions, as one of M groups: (B, M*C, ...) -> (B, M*outputs, ...).

    Padding keeps the size (for odd kernels and stride 1): zeros, or round the periodic box.
    """

    def __init__(
        self,
        generators: Generators,
        inputs: int,
        outputs: int,
        dimensions: int,
        kernel: int = 3,
        stride: int = 1,
        periodic: bool = False,
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs * kernel**dimensions)
        self.weight = uniform(generators, (outputs, inputs, *[kernel] * dimensions), bound)
        self.bias = uniform(generators, (outputs,), bound)
        self.dimensions, self.stride, self.padding, self.periodic = dimensions, stride, kernel // 2, periodic

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, padding = self.weight.flatten(0, 1), self.padding
        if self.periodic and padding:
            x, padding = functional.pad(x, [padding] * 2 * self.dimensions, mode="circular"), 0
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[self.dimensions - 1]
        return convolve(x, weight, self.bias.flatten(), self.stride, padding, groups=len(self.weight))


class BatchNorm(nn.Module):
    """M batch normalisations over (B, M*C, ...): per member and channel (Ioffe & Szegedy, arXiv:1502.03167)."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, members: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, channels))
        self.bias = nn.Parameter(torch.zeros(members, channels))
        self.register_buffer("running_mean", torch.zeros(members, channels))
        self.register_buffer("running_var", torch.ones(members, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = self.running_mean.view(-1), self.running_var.view(-1)
        return functional.batch_norm(x, mean, variance, self.weight.flatten(), self.bias.flatten(), self.training, 0.1)
