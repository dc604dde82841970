"""Coupling layers of maps, and the convolutional network in them."""

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.convolution import Convolution
from cosmoinfer.networks.layers import Generators, Linear, fold_members, unfold_members

MAX_LOG_SCALE = 2.0  # of one coupling


FILM_HIDDEN_UNITS = 16  # between the context and what it does to a layer


class MapCoupling(Transform):
    """Half of the channels is shifted and scaled, z = (x + shift) exp(log s), shaped by the other half and the context.

    The channels are four blocks in two rows: ``axis`` 1 parts them by row, 2 by column. ``first``: which is mapped.
    log s = 2 tanh(u/2) stays within -2..2, so that no single coupling can blow up.
    """

    def __init__(self, network: "CouplingNetwork", axis: int, first: bool) -> None:
        super().__init__()
        self.network, self.axis, self.first = network, axis, first

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        mapped, passing = self._halves(inputs)
        shift, log_scale = self.network(passing, context)
        return self._whole((mapped + shift) * log_scale.exp(), passing), log_scale.flatten(2).sum(-1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        mapped, passing = self._halves(inputs)
        shift, log_scale = self.network(passing, context)
        return self._whole(mapped * (-log_scale).exp() - shift, passing), -log_scale.flatten(2).sum(-1)

    def _halves(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is mapped and what passes, (M, B, C/2, H, W) each."""
        first, second = (half.flatten(2, 3) for half in maps.unflatten(2, (2, 2, -1)).unbind(1 + self.axis))
        return (first, second) if self.first else (second, first)

    def _whole(self, mapped: torch.Tensor, passing: torch.Tensor) -> torch.Tensor:
        pair = (mapped, passing) if self.first else (passing, mapped)
        return torch.stack([half.unflatten(2, (2, -1)) for half in pair], dim=1 + self.axis).flatten(2, 4)


class CouplingNetwork(nn.Module):
    """3x3, 1x1 and 3x3 convolutions: (M, B, C, H, W) -> shift and log scale of as many channels, (M, B, C, H, W) each.

    The context scales and shifts the hidden channels. The last layer starts at zero, and a coupling as the identity.
    """

    def __init__(
        self,
        generators: Generators,
        channels: int,
        context: int,
        hidden: int,
        kernel: int,
        activation: str,
        periodic: bool,
    ) -> None:
        super().__init__()
        self.members = len(generators)
        self.activation = ACTIVATIONS[activation]
        wide = hidden * self.activation.pieces
        self.first = Convolution(generators, channels, wide, 2, kernel, periodic=periodic)
        self.middle = Convolution(generators, hidden, wide, 2, 1)
        self.last = Convolution(generators, hidden, 2 * channels, 2, kernel, periodic=periodic)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.films = nn.ModuleList(FiLM(generators, context, wide) for _ in range(2)) if context else None

    def forward(self, x: torch.Tensor, context: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = fold_members(x)
        for number, layer in enumerate((self.first, self.middle)):
            hidden = layer(hidden)
            if self.films is not None:
                hidden = self.films[number](hidden, context)
            hidden = self.activation(hidden, axis=1)
        shift, free = unfold_members(self.last(hidden), self.members).chunk(2, dim=2)
        return shift, MAX_LOG_SCALE * torch.tanh(free / MAX_LOG_SCALE)


class FiLM(nn.Module):
    """A context (M, B, K) scales and shifts the channels of maps (B, M*C, H, W) (Perez+ arXiv:1709.07871)."""

    def __init__(self, generators: Generators, context: int, channels: int) -> None:
        super().__init__()
        self.hidden = Linear(generators, context, FILM_HIDDEN_UNITS)
        self.last = Linear(generators, FILM_HIDDEN_UNITS, 2 * channels)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        numbers = self.last(functional.silu(self.hidden(context)))[..., None, None]  # (M, B, 2C, 1, 1)
        gain, offset = (fold_members(half) for half in numbers.chunk(2, dim=2))
        return x * (1 + gain) + offset
