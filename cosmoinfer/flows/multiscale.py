"""Flows of maps: from maps to as many numbers of noise, level by level, the fine detail leaving first.

Forward is from maps to noise, the direction of the density; inverse draws. Maps are (M, B, C, H, W) of M members.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.flows.linear import LU, ActNorm
from cosmoinfer.flows.map_coupling import CouplingNetwork, MapCoupling
from cosmoinfer.flows.spectrum import Shape, Spectrum
from cosmoinfer.flows.squeeze import PerPixel, Squeeze
from cosmoinfer.flows.transform import Composite, Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Generators
from cosmoinfer.settings import check_settings, setting

MIN_LAST_SIDE = 4  # pixels of the last level, where the number of levels is not given


@dataclass(frozen=True)
class MapFlow(ABC):
    """Levels of squeezing 2x2 pixels into channels, coupling these, and splitting half off (Dinh+ arXiv:1605.08803).

    Of periodic maps, the power spectrum is evened out first. The couplings do the rest, and all that is not Gaussian.
    levels: 0 for as many as leave 4 pixels a side. layers: steps a level. hidden: channels of the coupling networks.
    """

    levels: int = setting(0, minimum=0, maximum=30)
    layers: int = setting(4, minimum=2, maximum=100)
    hidden: int = setting(32, minimum=1, maximum=1024)
    kernel: int = setting(3, minimum=1, maximum=101)
    activation: str = setting("silu", choices=ACTIVATIONS)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.kernel % 2 == 0:
            raise UserError(f"a flow of maps needs an odd one, found {self.kernel}", setting="kernel")

    def build(self, shape: Shape, periodic: bool, context: int, generators: Generators) -> Transform:
        """From maps (M, B, C, H, W) and contexts (M, B, ``context``), None if 0, to noise (M, B, C*H*W)."""
        levels = []
        channels = 4 * shape[0]
        for _ in range(self._depth(shape)):
            levels.append(Composite(self._steps(channels, periodic, context, generators)))
            channels *= 2
        flow = Multiscale(levels, shape)
        return Composite([Spectrum(generators, shape, context), flow]) if periodic else flow

    @abstractmethod
    def _steps(self, channels: int, periodic: bool, context: int, generators: Generators) -> list[Transform]:
        """One level: (M, B, channels/4, 2H, 2W) -> (M, B, channels, H, W), the coarser half of the channels first."""

    def _coupling(
        self, axis: int, first: bool, channels: int, periodic: bool, context: int, generators: Generators
    ) -> "MapCoupling":
        network = CouplingNetwork(
            generators, channels // 2, context, self.hidden, self.kernel, self.activation, periodic
        )
        return MapCoupling(network, axis, first)

    def _depth(self, shape: Shape) -> int:
        shortest, levels = min(shape[1:]), self.levels
        if not levels:
            levels = 1
            while shortest >= MIN_LAST_SIDE << levels + 1 and all(side % 2 ** (levels + 1) == 0 for side in shape[1:]):
                levels += 1
        if any(side % 2**levels for side in shape[1:]):
            raise UserError(
                f"each level halves the maps, so their sides must be divisible by {2**levels}; "
                f"found {shape[1]}x{shape[2]} pixels",
                setting="levels",
                value=levels,
            )
        if self.kernel // 2 > shortest >> levels:
            raise UserError(
                f"too wide for the {shortest >> levels} pixels of the last level", setting="kernel", value=self.kernel
            )
        return levels


@dataclass(frozen=True)
class MultiscaleGlow(MapFlow):
    """Steps of ActNorm, an invertible 1x1 convolution and an affine coupling (Kingma & Dhariwal arXiv:1807.03039).

    The 1x1 convolutions start as the identity, not at random: the couplings first see pixels that predict each other,
    and every second pair of them parts the channels the other way.
    """

    def _steps(self, channels: int, periodic: bool, context: int, generators: Generators) -> list[Transform]:
        steps: list[Transform] = [Squeeze()]
        for number in range(self.layers):
            mixing = Composite([ActNorm(generators, channels), LU(generators, channels)])
            axis, first = 1 + number // 2 % 2, number % 2 == 1
            steps += [PerPixel(mixing), self._coupling(axis, first, channels, periodic, context, generators)]
        return steps


@dataclass(frozen=True)
class MultiscaleRealNVP(MapFlow):
    """Affine couplings, by turns of the colours of a checkerboard and of channels (Dinh+ arXiv:1605.08803).

    The checkerboard is applied after the squeeze, where its colours are channels: the same mask, seen by a network
    that works on a quarter of the pixels. ActNorm in the place of batch normalisation, whose statistics would tie the
    density of a map to the others of its batch.
    """

    layers: int = setting(6, minimum=2, maximum=100)

    def _steps(self, channels: int, periodic: bool, context: int, generators: Generators) -> list[Transform]:
        steps: list[Transform] = [Squeeze()]
        for number in range(self.layers):
            axis = 1 if number < max(2, self.layers // 2) else 2
            coupling = self._coupling(axis, number % 2 == 1, channels, periodic, context, generators)
            steps += [PerPixel(ActNorm(generators, channels)), coupling]
        return steps


class Multiscale(Transform):
    """A chain of levels; after each but the last the second half of the channels is noise, the first goes on.

    shape: (C, H, W) of the maps. From maps (M, B, C, H, W) to noise (M, B, C*H*W), log-determinants (M, B).
    """

    def __init__(self, levels: Sequence[Transform], shape: Shape) -> None:
        super().__init__()
        self.levels, self.shape = nn.ModuleList(levels), shape

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps (M, B, C, H, W) -> noise (M, B, C*H*W), and log |det| (M, B). context: (M, B, features), or none."""
        maps, noise, total = inputs, [], inputs.new_zeros(inputs.shape[:2])
        for number, level in enumerate(self.levels, start=1):
            maps, log_det = level(maps, context)
            total = total + log_det
            if number < len(self.levels):
                maps, detail = maps.chunk(2, dim=2)
                noise.append(detail.flatten(2))
        return torch.cat([*noise, maps.flatten(2)], dim=-1), total

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise (M, B, C*H*W) -> maps (M, B, C, H, W), and log |det| (M, B). context: (M, B, features), or none."""
        shapes, levels = self.shapes(), list[Transform](self.levels)
        noise = torch.split(inputs, [shape.numel() for shape in shapes], dim=-1)
        details = [values.unflatten(-1, shape) for values, shape in zip(noise, shapes, strict=True)]
        maps, total = levels[-1].inverse(details[-1], context)
        for level, detail in zip(levels[-2::-1], details[-2::-1], strict=True):
            maps, log_det = level.inverse(torch.cat([maps, detail], dim=2), context)
            total = total + log_det
        return maps, total

    def shapes(self) -> list[torch.Size]:
        """Of what leaves each level."""
        channels, height, width = self.shape
        last = len(self.levels)
        return [
            torch.Size((2**level * channels * (2 if level == last else 1), height >> level, width >> level))
            for level in range(1, last + 1)
        ]


MAP_FLOWS: dict[str, type[MapFlow]] = {"glow": MultiscaleGlow, "realnvp": MultiscaleRealNVP}
