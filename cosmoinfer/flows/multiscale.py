"""Flows of maps: from maps to as many numbers of noise, level by level, the fine detail leaving first.

Forward is from maps to noise, the direction of the density; inverse draws. Maps are (M*B, C, H, W) of M members.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from nflows.transforms.base import CompositeTransform, Transform
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.flows.actnorm import ActNorm
from cosmoinfer.flows.transforms import LU
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.stacked import Convolution, Generators, Linear, beside

COARSEST = 4  # pixels a side of the last level, where the number of levels is not given
STEEPEST = 2.0  # log scale of one coupling
KNOTS = 8  # of the gain as a function of ln |k|
FILM = 16  # hidden units between the context and what it does to a layer

Shape = tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class MapFlow(ABC):
    """Levels of squeezing 2x2 pixels into channels, coupling these, and splitting half off (Dinh+ arXiv:1605.08803).

    Of periodic maps, the power spectrum is evened out first. The couplings do the rest, and all that is not Gaussian.
    levels: 0 for as many as leave 4 pixels a side. layers: steps a level. hidden: channels of the coupling networks.
    """

    levels: int = 0
    layers: int = 4
    hidden: int = 32
    kernel: int = 3
    activation: str = "silu"

    def __post_init__(self) -> None:
        for name, least in (("levels", 0), ("layers", 2), ("hidden", 1), ("kernel", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--{name}: a flow of maps needs {least} or more, found {getattr(self, name)}")
        if self.kernel % 2 == 0:
            raise UserError(f"--kernel: a flow of maps needs an odd one, found {self.kernel}")

    def build(self, shape: Shape, periodic: bool, context: int, generators: Generators) -> Transform:
        """From maps (M*B, C, H, W) and contexts (M*B, ``context``), None if 0, to noise (M*B, C*H*W)."""
        levels = []
        channels = 4 * shape[0]
        for _ in range(self._depth(shape)):
            levels.append(CompositeTransform(self._steps(channels, periodic, context, generators)))
            channels *= 2
        flow = Multiscale(levels, shape)
        return CompositeTransform([Spectrum(generators, shape, context), flow]) if periodic else flow

    @abstractmethod
    def _steps(self, channels: int, periodic: bool, context: int, generators: Generators) -> list[Transform]:
        """One level: (M*B, channels/4, 2H, 2W) -> (M*B, channels, H, W), the coarser half of the channels first."""

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
            while shortest >= COARSEST * 2 ** (levels + 1) and not any(side % 2 ** (levels + 1) for side in shape[1:]):
                levels += 1
        if any(side % 2**levels for side in shape[1:]):
            raise UserError(
                f"--levels {levels}: each halves the maps, so their sides must be divisible by {2**levels}; "
                f"found {shape[1]}x{shape[2]} pixels"
            )
        if self.kernel // 2 > shortest >> levels:
            raise UserError(f"--kernel {self.kernel}: too wide for the {shortest >> levels} pixels of the last level")
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
            mixing = CompositeTransform([ActNorm(generators, channels), LU(generators, channels)])
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

    layers: int = 6

    def _steps(self, channels: int, periodic: bool, context: int, generators: Generators) -> list[Transform]:
        steps: list[Transform] = [Squeeze()]
        for number in range(self.layers):
            axis = 1 if number < max(2, self.layers // 2) else 2
            coupling = self._coupling(axis, number % 2 == 1, channels, periodic, context, generators)
            steps += [PerPixel(ActNorm(generators, channels)), coupling]
        return steps


# ----------------------------------------------------------------------------------------------------- the layers
class Multiscale(Transform):
    """A chain of levels; after each but the last the second half of the channels is noise, the first goes on."""

    def __init__(self, levels: Sequence[Transform], shape: Shape) -> None:
        super().__init__()
        self.levels, self.shape = nn.ModuleList(levels), shape

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        maps, noise, total = inputs, [], inputs.new_zeros(len(inputs))
        for number, level in enumerate(self.levels, start=1):
            maps, log_det = level(maps, context)
            total = total + log_det
            if number < len(self.levels):
                maps, done = maps.chunk(2, dim=1)
                noise.append(done.flatten(1))
        return torch.cat([*noise, maps.flatten(1)], dim=1), total

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        shapes, levels = self.shapes(), list[Transform](self.levels)
        parts = torch.split(inputs, [shape.numel() for shape in shapes], dim=1)
        done = [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]
        maps, total = levels[-1].inverse(done[-1], context)
        for level, detail in zip(levels[-2::-1], done[-2::-1], strict=True):
            maps, log_det = level.inverse(torch.cat([maps, detail], dim=1), context)
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


class Spectrum(Transform):
    """Every Fourier mode of a periodic map times exp g(|k|), g shaped by the context: (N, C, H, W), each channel alone.

    A convolution round the box (as Hoogeboom+ arXiv:1901.11137; isotropic as Dai & Seljak arXiv:2202.05282), with
    log |det| the sum of g over the modes. The few modes of the largest scales weigh next to nothing in the likelihood,
    and a chain of small kernels is slow to find how they change with theta; here they are one number. g runs straight
    in ln |k| between ``KNOTS`` values, k = 0 apart; it starts at zero.
    """

    weights: torch.Tensor

    def __init__(self, generators: Generators, shape: Shape, context: int) -> None:
        super().__init__()
        self.channels, self.sides = shape[0], shape[1:]
        self.constant = nn.Parameter(torch.zeros(len(generators), 1, shape[0] * (KNOTS + 1)))
        self.hidden = Linear(generators, context, FILM) if context else None
        self.last = Linear(generators, FILM, shape[0] * (KNOTS + 1), zero=True) if context else None
        self.register_buffer("weights", hats(self.sides), persistent=False)  # (KNOTS + 1, H, W)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        gains = self._gains(inputs, context)
        return self._filtered(inputs, gains), gains.flatten(1).sum(1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        gains = self._gains(inputs, context)
        return self._filtered(inputs, -gains), -gains.flatten(1).sum(1)

    def _gains(self, inputs: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """g of every mode, (M*B, C, H, W)."""
        values = self.constant.expand(-1, len(inputs) // len(self.constant), -1).flatten(0, 1)
        if self.hidden is not None and self.last is not None:
            values = values + self.last(functional.silu(self.hidden(context)))
        return torch.einsum("nck,khw->nchw", values.unflatten(1, (self.channels, -1)), self.weights)

    def _filtered(self, maps: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
        half = gains[..., : self.sides[1] // 2 + 1]
        return torch.fft.irfft2(torch.fft.rfft2(maps) * half.exp(), s=self.sides)


def hats(sides: tuple[int, int]) -> torch.Tensor:
    """The share of each knot in each Fourier mode of a box of square pixels, (KNOTS + 1, H, W); the last is k = 0."""
    k = torch.hypot(*torch.meshgrid(*(torch.fft.fftfreq(side, dtype=torch.float64) for side in sides), indexing="ij"))
    low, high = k[k > 0].min().log(), k.max().log()
    place = (k.clamp(min=k[k > 0].min()).log() - low) / (high - low).clamp(min=1e-9) * (KNOTS - 1)
    shares = (1 - (place - torch.arange(KNOTS)[:, None, None]).abs()).clamp(min=0) * (k > 0)
    return torch.cat([shares, (k == 0)[None]]).float()


class Squeeze(Transform):
    """Blocks of 2x2 pixels become channels, (N, C, H, W) -> (N, 4C, H/2, W/2): first one diagonal, then the other.

    So the halves of the channels are the colours of a checkerboard, and their even and odd quarters its rows.
    """

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = [inputs[:, :, y::2, x::2] for y, x in ((0, 0), (1, 1), (0, 1), (1, 0))]
        return torch.cat(pixels, dim=1), inputs.new_zeros(len(inputs))

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        here, both, right, below = inputs.chunk(4, dim=1)
        rows = [torch.stack(pair, dim=-1).flatten(-2) for pair in ((here, right), (below, both))]  # (N, C, H, 2W)
        return torch.stack(rows, dim=-2).flatten(-3, -2), inputs.new_zeros(len(inputs))


class PerPixel(Transform):
    """A transform of vectors, (M*B, C), on the channels of every pixel: what makes a linear map a 1x1 convolution."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self._run(inputs, self.transform.forward)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self._run(inputs, self.transform.inverse)

    def _run(
        self, inputs: torch.Tensor, run: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        last = inputs.movedim(1, -1)  # (M*B, H, W, C)
        outputs, log_det = run(last.flatten(0, 2))
        return outputs.reshape(last.shape).movedim(-1, 1), log_det.reshape(len(inputs), -1).sum(1)


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
        return self._whole((mapped + shift) * log_scale.exp(), passing), log_scale.flatten(1).sum(1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        mapped, passing = self._halves(inputs)
        shift, log_scale = self.network(passing, context)
        return self._whole(mapped * (-log_scale).exp() - shift, passing), -log_scale.flatten(1).sum(1)

    def _halves(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is mapped and what passes, (M*B, C/2, H, W) each."""
        one, other = (half.flatten(1, 2) for half in maps.unflatten(1, (2, 2, -1)).unbind(self.axis))
        return (one, other) if self.first else (other, one)

    def _whole(self, mapped: torch.Tensor, passing: torch.Tensor) -> torch.Tensor:
        pair = (mapped, passing) if self.first else (passing, mapped)
        return torch.stack([half.unflatten(1, (2, -1)) for half in pair], dim=self.axis).flatten(1, 3)


class CouplingNetwork(nn.Module):
    """3x3, 1x1 and 3x3 convolutions: (M*B, C, H, W) -> shift and log scale of as many channels, (M*B, C, H, W) each.

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
        hidden = beside(x, self.members)
        for number, layer in enumerate((self.first, self.middle)):
            hidden = layer(hidden)
            if self.films is not None:
                hidden = self.films[number](hidden, context)
            hidden = self.activation.function(hidden)
        shift, free = by_member(self.last(hidden), self.members).chunk(2, dim=1)
        return shift, STEEPEST * torch.tanh(free / STEEPEST)


class FiLM(nn.Module):
    """A context (M*B, K) scales and shifts the channels of maps (B, M*C, H, W) (Perez+ arXiv:1709.07871)."""

    def __init__(self, generators: Generators, context: int, channels: int) -> None:
        super().__init__()
        self.members = len(generators)
        self.hidden = Linear(generators, context, FILM)
        self.last = Linear(generators, FILM, 2 * channels)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        numbers = self.last(functional.silu(self.hidden(context)))[:, :, None, None]  # (M*B, 2C, 1, 1)
        gain, offset = (beside(part, self.members) for part in numbers.chunk(2, dim=1))
        return x * (1 + gain) + offset


def by_member(x: torch.Tensor, members: int) -> torch.Tensor:
    """What ``beside`` did, undone: (B, M*C, H, W) -> (M*B, C, H, W); of one member, a view."""
    return x.unflatten(1, (members, -1)).transpose(0, 1).flatten(0, 1)


MAP_FLOWS: dict[str, type[MapFlow]] = {"glow": MultiscaleGlow, "realnvp": MultiscaleRealNVP}
