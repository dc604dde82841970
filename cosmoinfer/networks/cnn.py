"""Convolutional networks in one, two or three dimensions, told by the shape of the data."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.convolution import Convolution, output_size
from cosmoinfer.networks.dense import Dropout, Linear
from cosmoinfer.networks.members import Generators, apart, fold_members
from cosmoinfer.networks.normalisation import BatchNorm, FrozenNorm

Pool = Callable[[torch.Tensor, int], torch.Tensor]
POOLINGS: dict[str, Sequence[Pool] | None] = {  # in one, two and three dimensions
    "average": (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d),
    "max": (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d),
    "none": None,
}
PADDINGS = ("auto", "periodic", "zero", "none")


@dataclass(frozen=True)
class CNN:
    """A convolution, then stages of pooling by two and a convolution, channels doubling; then a dense head.

    ``layers`` stages, as many as leave the smallest axis 4 cells when 0; ``hidden`` channels in the first, 8 times
    that at most. After each convolution batch normalisation, activation and ``blocks`` residual blocks. ``stride`` is
    that of the stages' convolutions: with 2 they can do without pooling. ``padding`` auto is round the box where the
    data are ``periodic``, else zeros. Means over the box after each stage, side by side, feed the head: every scale is
    there at first hand, and the answer does not depend on where things are. Without ``batch_norm`` the first training
    batch sets the scale of each channel once and for all.
    """

    hidden: int = 8
    layers: int = 0
    kernel: int = 3
    stride: int = 1
    padding: str = "auto"
    pooling: str = "average"
    batch_norm: bool = False
    blocks: int = 0
    activation: str = "silu"
    dropout: float = 0.0
    periodic: bool = True
    widths: ClassVar[str] = "softplus"

    def __post_init__(self) -> None:
        for option, name, names in (("padding", self.padding, PADDINGS), ("pooling", self.pooling, POOLINGS)):
            if name not in names:
                raise UserError(f"--{option}: {name!r} is not known; there are {', '.join(names)}")
        for option, least in (("kernel", 1), ("stride", 1), ("layers", 0), ("blocks", 0)):
            if getattr(self, option) < least:
                raise UserError(f"--{option}: expected at least {least}, found {getattr(self, option)}")
        if self.kernel % 2 == 0 and self.padding != "none":
            raise UserError(f"--kernel {self.kernel}: padding needs an odd kernel; use one, or --padding none")
        if self.blocks and self.padding == "none":
            raise UserError("--blocks: residual blocks need data that keep their size; leave --padding none out")

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """(M*B, C, L), (M*B, C, H, W) or (M*B, C, D, H, W) -> (M*B, outputs)."""
        if not 2 <= len(shape) <= 4:
            raise UserError(f"a cnn needs profiles, maps or grids; these data have shape {shape} a row (use mlp)")
        return _ConvolutionalNetwork(self, self._stages(shape), shape, outputs, generators)

    @property
    def edges(self) -> str:
        """Round the box, zeros, or no padding at all."""
        return self.padding if self.padding != "auto" else ("periodic" if self.periodic else "zero")

    def _stages(self, shape: tuple[int, ...]) -> int:
        """As many as asked for; else as many as leave the smallest axis 4 cells, but one at least."""
        if not self.layers and self.pooling == "none" and self.stride == 1:
            raise UserError("--pooling none: no stage makes the data smaller; use --stride 2, or say how many --layers")
        smallest = min(shape[1:])
        sizes = self._sizes(smallest, self.layers or smallest.bit_length())
        if len(sizes) - 1 < max(1, self.layers):
            raise UserError(
                f"--layers {self.layers or 1}, --kernel {self.kernel}: data of shape {shape} have room for "
                f"{max(0, len(sizes) - 1)} stages; fewer --layers or a smaller --kernel would fit"
            )
        return self.layers or max(1, sum(size >= 4 for size in sizes[1:]))

    def _sizes(self, size: int, stages: int) -> list[int]:
        """Cells of an axis after the first convolution and after each stage, as long as there are any."""
        sizes = [self._convolved(size, 1)]
        for _ in range(stages):
            sizes.append(self._convolved(self._pooled(sizes[-1]), self.stride))
        return list(itertools.takewhile(lambda left: left > 0, sizes))

    def _pooled(self, size: int) -> int:
        return size if self.pooling == "none" else size // 2

    def _convolved(self, size: int, stride: int) -> int:
        """Cells left of an axis; 0 where the kernel does not fit, or an axis is shorter than its padding."""
        padding = 0 if self.edges == "none" else self.kernel // 2
        left = output_size(size, self.kernel, stride, padding) if size >= max(1, padding) else 0
        return left if left >= max(1, padding if self.blocks else 0) else 0


class _ConvolutionalNetwork(nn.Module):
    def __init__(self, recipe: CNN, stages: int, shape: tuple[int, ...], outputs: int, generators: Generators) -> None:
        super().__init__()
        self.members, self.dimensions = len(generators), len(shape) - 1
        activation, poolings = ACTIVATIONS[recipe.activation], POOLINGS[recipe.pooling]
        self.activation = activation.function
        self.pool = poolings[self.dimensions - 1] if poolings else None
        channels = [shape[0], *(recipe.hidden * min(8, 2**stage) for stage in range(stages + 1))]
        convolutions, norms, residuals = [], [], []
        for number, (before, after) in enumerate(itertools.pairwise(channels)):
            wide = activation.pieces * after
            convolutions.append(_convolution(recipe, generators, before, wide, self.dimensions, number > 0))
            norms.append(_norm(recipe, generators, wide))
            blocks = [_Residual(recipe, generators, after, self.dimensions) for _ in range(recipe.blocks)]
            residuals.append(nn.Sequential(*blocks))
        self.convolutions, self.norms = nn.ModuleList(convolutions), nn.ModuleList(norms)
        self.residuals = nn.ModuleList(residuals)
        width = 2 * channels[-1]
        self.hidden = Linear(generators, sum(channels[1:]), activation.pieces * width)
        self.dropout = Dropout(generators, recipe.dropout)
        self.last = Linear(generators, width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fold_members(x, self.members)
        means = []
        for number, stage in enumerate(zip(self.convolutions, self.norms, self.residuals, strict=True)):
            convolution, norm, residual = stage
            x = self.pool(x, 2) if number and self.pool else x
            x = residual(self.activation(_normed(convolution, norm, x)))
            means.append(apart(x.flatten(2).mean(-1), self.members))  # (M*B, channels)
        features = torch.cat(means, dim=1)
        return self.last(self.dropout(self.activation(self.hidden(features))))


class _Residual(nn.Module):
    """x + f(x) with two convolutions in f (He+ arXiv:1512.03385), the sum left as it is (He+ arXiv:1603.05027)."""

    def __init__(self, recipe: CNN, generators: Generators, channels: int, dimensions: int) -> None:
        super().__init__()
        activation = ACTIVATIONS[recipe.activation]
        wide = activation.pieces * channels
        self.first = _convolution(recipe, generators, channels, wide, dimensions)
        self.first_norm = _norm(recipe, generators, wide)
        self.activation = activation.function
        self.second = _convolution(recipe, generators, channels, channels, dimensions)
        self.second_norm = _norm(recipe, generators, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.activation(_normed(self.first, self.first_norm, x))
        return x + _normed(self.second, self.second_norm, inner)


def _convolution(
    recipe: CNN, generators: Generators, before: int, after: int, dimensions: int, strided: bool = False
) -> Convolution:
    stride, padding = (recipe.stride if strided else 1), (0 if recipe.edges == "none" else None)
    periodic = recipe.edges == "periodic"
    return Convolution(generators, before, after, dimensions, recipe.kernel, stride, periodic, padding)


def _normed(convolution: nn.Module, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(convolution, Convolution) and isinstance(norm, BatchNorm | FrozenNorm)
    return norm.apply_after(convolution, x)


def _norm(recipe: CNN, generators: Generators, channels: int) -> nn.Module:
    return (BatchNorm if recipe.batch_norm else FrozenNorm)(len(generators), channels)
