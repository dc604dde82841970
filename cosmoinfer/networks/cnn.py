"""Convolutional networks in one, two or three dimensions, by the shape of the data."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.errors import UserError
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.convolution import BatchNorm, Convolution, FrozenNorm, output_size
from cosmoinfer.networks.layers import Dropout, Generators, Linear, fold_members, unfold_members
from cosmoinfer.settings import check_settings, from_data, setting

Pooling = Callable[[torch.Tensor, int], torch.Tensor]
POOLINGS: dict[str, Sequence[Pooling] | None] = {  # in one, two and three dimensions
    "average": (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d),
    "max": (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d),
    "none": None,
}
PADDINGS = ("auto", "periodic", "zero", "none")


@dataclass(frozen=True)
class CNN:
    """A convolution, then stages of pooling by two and a convolution with twice the channels; then a dense head.

    hidden: channels of the first convolution; a stage has at most 8 times as many.
    layers: number of stages; 0 for as many as leave 4 cells of the smallest axis.
    kernel: cells per axis of each convolution.
    stride: of the convolutions of the stages; with 2, pooling is not needed.
    padding: ``auto``, ``periodic``, ``zero`` or ``none``; auto is periodic where the data are, else zero.
    pooling: a name in ``POOLINGS``.
    batch_norm: batch normalisation after each convolution; else the first training batch fixes the scales.
    blocks: residual blocks per stage.
    activation: a name in ``ACTIVATIONS``.
    dropout: the rate in the dense head.
    periodic: whether the data wrap round, for padding ``auto``.

    The head is fed the mean over the box of each channel after each stage, concatenated: it sees every scale, and its
    outputs are invariant under translations of a periodic box. Raises UserError on settings that do not fit together.
    """

    hidden: int = setting(8, minimum=1, maximum=1024)
    layers: int = setting(0, minimum=0, maximum=100)
    kernel: int = setting(3, minimum=1, maximum=101)
    stride: int = setting(1, minimum=1, maximum=101)
    padding: str = setting("auto", choices=PADDINGS)
    pooling: str = setting("average", choices=POOLINGS)
    batch_norm: bool = False
    blocks: int = setting(0, minimum=0, maximum=100)
    activation: str = setting("silu", choices=ACTIVATIONS)
    dropout: float = setting(0.0, minimum=0, below=1)
    periodic: bool = from_data(True)
    positive_map: ClassVar[str] = "softplus"

    def __post_init__(self) -> None:
        check_settings(self)
        if self.kernel % 2 == 0 and self.padding != "none":
            raise UserError("padding needs an odd kernel, or use `padding=none`", setting="kernel", value=self.kernel)
        if self.blocks and self.padding == "none":
            raise UserError(
                "residual blocks need convolutions that keep the size, not `padding=none`", setting="blocks"
            )

    def build(self, shape: tuple[int, ...], outputs: int, generators: Generators) -> nn.Module:
        """A module from (M, B, C, L), (M, B, C, H, W) or (M, B, C, D, H, W) to (M, B, outputs).

        Raises UserError where ``shape``, without the batch axis, has no spatial axis, or no room for the stages.
        """
        if not 2 <= len(shape) <= 4:
            raise UserError(f"a cnn needs profiles, maps or grids; these data have shape {shape} per row (use mlp)")
        return _ConvolutionalNetwork(self, self._n_stages(shape), shape, outputs, generators)

    @property
    def resolved_padding(self) -> str:
        """The padding without ``auto``: ``periodic``, ``zero`` or ``none``."""
        return self.padding if self.padding != "auto" else ("periodic" if self.periodic else "zero")

    def _n_stages(self, shape: tuple[int, ...]) -> int:
        """``layers``, or as many stages as leave 4 cells of the smallest axis, at least one."""
        if not self.layers and self.pooling == "none" and self.stride == 1:
            message = "no stage makes the data smaller; use `stride=2`, or give `layers`"
            raise UserError(message, setting="pooling", value="none")
        smallest = min(shape[1:])
        sizes = self._sizes_after_stages(smallest, self.layers or smallest.bit_length())
        if len(sizes) - 1 < max(1, self.layers):
            raise UserError(
                f"`layers={self.layers or 1}`, `kernel={self.kernel}`: data of shape {shape} have room for "
                f"{max(0, len(sizes) - 1)} stages; fewer `layers` or a smaller `kernel` would fit"
            )
        return self.layers or max(1, sum(size >= 4 for size in sizes[1:]))

    def _sizes_after_stages(self, size: int, stages: int) -> list[int]:
        """Cells of an axis after the first convolution and after each stage, until none is left."""
        sizes = [self._size_after_convolution(size, 1)]
        for _ in range(stages):
            sizes.append(self._size_after_convolution(self._size_after_pooling(sizes[-1]), self.stride))
        return list(itertools.takewhile(lambda cells: cells > 0, sizes))

    def _size_after_pooling(self, size: int) -> int:
        return size if self.pooling == "none" else size // 2

    def _size_after_convolution(self, size: int, stride: int) -> int:
        """Cells of an axis after a convolution; 0 where the kernel or the padding does not fit."""
        padding = 0 if self.resolved_padding == "none" else self.kernel // 2
        size_left = output_size(size, self.kernel, stride, padding) if size >= max(1, padding) else 0
        return size_left if size_left >= max(1, padding if self.blocks else 0) else 0


class _ConvolutionalNetwork(nn.Module):
    def __init__(self, recipe: CNN, stages: int, shape: tuple[int, ...], outputs: int, generators: Generators) -> None:
        super().__init__()
        self.members, self.dimensions = len(generators), len(shape) - 1
        activation, poolings = ACTIVATIONS[recipe.activation], POOLINGS[recipe.pooling]
        self.activation = activation
        self.pool = poolings[self.dimensions - 1] if poolings else None
        channels = [shape[0], *(recipe.hidden * min(8, 2**stage) for stage in range(stages + 1))]
        convolutions, norms, residuals = [], [], []
        for stage, (in_channels, out_channels) in enumerate(itertools.pairwise(channels)):
            conv_channels = activation.pieces * out_channels
            convolutions.append(
                _build_convolution(recipe, generators, in_channels, conv_channels, self.dimensions, stage > 0)
            )
            norms.append(_build_norm(recipe, generators, conv_channels))
            blocks = [_ResidualBlock(recipe, generators, out_channels, self.dimensions) for _ in range(recipe.blocks)]
            residuals.append(nn.Sequential(*blocks))
        self.convolutions, self.norms = nn.ModuleList(convolutions), nn.ModuleList(norms)
        self.residuals = nn.ModuleList(residuals)
        head_width = 2 * channels[-1]
        self.hidden = Linear(generators, sum(channels[1:]), activation.pieces * head_width)
        self.dropout = Dropout(generators, recipe.dropout)
        self.last = Linear(generators, head_width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = fold_members(x)
        means = []
        for stage, layers in enumerate(zip(self.convolutions, self.norms, self.residuals, strict=True)):
            convolution, norm, residual = layers
            x = self.pool(x, 2) if stage and self.pool else x
            x = residual(self.activation(_convolve_and_normalise(convolution, norm, x), axis=1))
            means.append(unfold_members(x.flatten(2).mean(-1), self.members))  # (M, B, channels)
        features = torch.cat(means, dim=-1)
        return self.last(self.dropout(self.activation(self.hidden(features))))


class _ResidualBlock(nn.Module):
    """x + f(x) with two convolutions in f (He+ arXiv:1512.03385), the sum not activated (He+ arXiv:1603.05027)."""

    def __init__(self, recipe: CNN, generators: Generators, channels: int, dimensions: int) -> None:
        super().__init__()
        activation = ACTIVATIONS[recipe.activation]
        conv_channels = activation.pieces * channels
        self.first = _build_convolution(recipe, generators, channels, conv_channels, dimensions)
        self.first_norm = _build_norm(recipe, generators, conv_channels)
        self.activation = activation
        self.second = _build_convolution(recipe, generators, channels, channels, dimensions)
        self.second_norm = _build_norm(recipe, generators, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.activation(_convolve_and_normalise(self.first, self.first_norm, x), axis=1)
        return x + _convolve_and_normalise(self.second, self.second_norm, inner)


def _build_convolution(
    recipe: CNN, generators: Generators, in_channels: int, out_channels: int, dimensions: int, strided: bool = False
) -> Convolution:
    stride, padding = (recipe.stride if strided else 1), (0 if recipe.resolved_padding == "none" else None)
    periodic = recipe.resolved_padding == "periodic"
    return Convolution(generators, in_channels, out_channels, dimensions, recipe.kernel, stride, periodic, padding)


def _convolve_and_normalise(convolution: nn.Module, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    assert isinstance(convolution, Convolution) and isinstance(norm, BatchNorm | FrozenNorm)
    return norm.apply_after(convolution, x)


def _build_norm(recipe: CNN, generators: Generators, channels: int) -> nn.Module:
    return (BatchNorm if recipe.batch_norm else FrozenNorm)(len(generators), channels)
