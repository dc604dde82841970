"""Layers that carry M members side by side: an ensemble trains as one network, in batched products.

Rows travel as (M, B, ...), and every weight leads with M, so that a member's best weights, and its share of a file, are
slices. Member m draws all its randomness from its own generator: it trains beside others as it would alone. Only
convolutions need members in the axis of the channels, as groups: a network of convolutions folds them there where it
begins, and unfolds them where it ends.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

Generators = Sequence[torch.Generator]  # one a member


def expand_members(rows: torch.Tensor, members: int) -> torch.Tensor:
    """The same rows for every member, copied if there are several: (N, ...) -> (M, N, ...)."""
    return rows.expand(members, *rows.shape).contiguous()


def fold_members(x: torch.Tensor) -> torch.Tensor:
    """Members into the channels, as for grouped convolutions: (M, B, C, ...) -> (B, M*C, ...)."""
    return x.transpose(0, 1).flatten(1, 2)


def unfold_members(x: torch.Tensor, members: int) -> torch.Tensor:
    """The inverse of ``fold_members``: (B, M*C, ...) -> (M, B, C, ...); of one member a view."""
    rows = x.unflatten(1, (members, -1)).transpose(0, 1)
    return rows.flatten(0, 1).unflatten(0, (members, -1))  # side by side in memory, where there are several


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


@torch.no_grad()
def freeze(network: nn.Module) -> None:
    """Make a network ready for use alone: no gradients of weights, and masks multiplied into them once and for all."""
    network.eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, Linear) and layer.mask is not None:
            layer.weight.mul_(layer.mask)
            layer.mask = None


class Dropout(nn.Module):
    """Zeroes a share of the units while training; each member's mask comes from its own generator.

    share, batch_size: the rows that come are these of a batch of so many, and get the masks that they have there.
    """

    def __init__(self, generators: Generators, rate: float) -> None:
        super().__init__()
        self.generators, self.rate = list(generators), rate
        self.share, self.batch_size = slice(0, 1), 1

    def take_share(self, share: slice, batch_size: int) -> None:
        """From now on these rows of each batch of so many come."""
        self.share, self.batch_size = share, batch_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(M*B, ...), of any shape."""
        if not self.training or self.rate == 0:
            return x
        numbers_per_row = x.numel() // (len(self.generators) * (self.share.stop - self.share.start))
        words = self._random_words(numbers_per_row * self.batch_size)
        words = words[:, numbers_per_row * self.share.start : numbers_per_row * self.share.stop].to(x.device)
        keep = words.float().ge_(round(self.rate * 2**16) - 2**15)  # in place: bools would be two passes more
        return x * keep.to(x.dtype).mul_(1 / (1 - self.rate)).view_as(x)

    def _random_words(self, count: int) -> torch.Tensor:
        """(M, count) of 16 bits, four from each 64-bit draw: one draw a neuron would be a third of a training step."""
        draws = torch.empty(len(self.generators), (count + 3) // 4, dtype=torch.int64)
        for row, generator in zip(draws, self.generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        return draws.view(torch.int16)[:, :count]
