"""Convolutions that carry M members side by side, as one convolution of M groups."""

import math
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from cosmoinfer.networks.dense import uniform
from cosmoinfer.networks.members import Generators


class Convolution(nn.Module):
    """M convolutions in 1, 2 or 3 dimensions, as one of M groups: (B, M*C, ...) -> (B, M*outputs, ...).

    ``padding`` cells on each side, zeros or round the periodic box; None is half the kernel, which keeps the size for
    odd kernels and stride 1.
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
        padding: int | None = None,
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs * kernel**dimensions)
        self.weight = uniform(generators, (outputs, inputs, *[kernel] * dimensions), bound)
        self.bias = uniform(generators, (outputs,), bound)
        self.dimensions, self.stride, self.periodic = dimensions, stride, periodic
        self.padding = kernel // 2 if padding is None else padding

    def forward(
        self, x: torch.Tensor, gain: torch.Tensor | None = None, offset: float | torch.Tensor = 0.0
    ) -> torch.Tensor:
        """gain, offset: (M*outputs,), a scale and a shift a channel of what comes out, at no cost."""
        weight, bias, padding = self.weight.flatten(0, 1), self.bias.flatten(), self.padding
        if gain is not None:
            weight, bias = weight * gain.reshape(-1, *[1] * (weight.dim() - 1)), bias * gain + offset
        if self.periodic and padding:
            x, padding = circular_pad(x, padding), 0
        if self.dimensions == 2 and x.device.type == "cpu":  # a third faster; in three dimensions slower
            x = x.contiguous(memory_format=torch.channels_last)
            weight = weight.contiguous(memory_format=torch.channels_last)
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[self.dimensions - 1]
        return convolve(x, weight, bias, self.stride, padding, groups=len(self.weight))


def circular_pad(x: torch.Tensor, padding: int) -> torch.Tensor:
    """Each axis of a periodic box (B, C, ...) goes on for ``padding`` cells, its own, at both ends.

    Joining is faster than torch's circular padding, which forgets that channels lie last.
    """
    padded: torch.Tensor = _CircularPad.apply(x, padding)
    return padded


class _CircularPad(torch.autograd.Function):
    """``wrapped``, and back: what reaches the cells beyond an edge belongs to those at the other."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, padding: int) -> torch.Tensor:
        ctx.padding = padding
        for axis in range(2, x.dim()):
            x = torch.cat([x.narrow(axis, x.shape[axis] - padding, padding), x, x.narrow(axis, 0, padding)], dim=axis)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        padding, gradient = ctx.padding, gradient.clone()
        for axis in range(2, gradient.dim()):
            size = gradient.shape[axis] - 2 * padding
            inner = gradient.narrow(axis, padding, size)
            inner.narrow(axis, size - padding, padding).add_(gradient.narrow(axis, 0, padding))
            inner.narrow(axis, 0, padding).add_(gradient.narrow(axis, size + padding, padding))
            gradient = inner
        return gradient, None


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Cells of an axis after a convolution; below 1 where the kernel does not fit."""
    return (size + 2 * padding - kernel) // stride + 1
