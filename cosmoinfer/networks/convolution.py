"""Convolutions that carry M members side by side, as one convolution of M groups; normalisations of their channels."""

import math
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from cosmoinfer.networks.layers import Generators, uniform


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


VARIANCE_EPSILON = 1e-5  # beside a variance, as torch's batch normalisation has it


class BatchNorm(nn.Module):
    """M batch normalisations over (B, M*C, ...): per member and channel (Ioffe & Szegedy, arXiv:1502.03167).

    A batch with one number a channel has no variance: then the running statistics stand in, as after training.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, members: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, channels))
        self.bias = nn.Parameter(torch.zeros(members, channels))
        self.register_buffer("running_mean", torch.zeros(members, channels))
        self.register_buffer("running_var", torch.ones(members, channels))

    def apply_after(self, convolution: Convolution, x: torch.Tensor) -> torch.Tensor:
        return self(convolution(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = self.running_mean.view(-1), self.running_var.view(-1)
        use_batch_statistics = self.training and x.numel() > x.shape[1]
        return functional.batch_norm(
            x, mean, variance, self.weight.flatten(), self.bias.flatten(), use_batch_statistics, 0.1
        )


class FrozenNorm(nn.Module):
    """A scale and a shift a channel, as of BatchNorm, but around the first training batch's moments: (B, M*C, ...).

    BatchNorm divides by the moments of each batch. Where the amplitude is the signal that is noise: the power of 64
    maps of sigma_8 from 0.5 to 1 moves by 5 % from batch to batch, and 64x64 pixels tell it to 3 %. A flow learns the
    widths of what it sees, so they come out too wide. These moments stay as they are (Salimans & Kingma,
    arXiv:1602.07868, section 3), and rows never meet.
    """

    mean: torch.Tensor
    variance: torch.Tensor
    ready: torch.Tensor

    def __init__(self, members: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, channels))
        self.bias = nn.Parameter(torch.zeros(members, channels))
        self.register_buffer("mean", torch.zeros(members, channels))
        self.register_buffer("variance", torch.ones(members, channels))
        self.register_buffer("ready", torch.zeros(members, dtype=torch.bool))
        self.initialised = False

    def apply_after(self, convolution: Convolution, x: torch.Tensor) -> torch.Tensor:
        """As part of the convolution's own weights: moments that stay are no work."""
        if self.training and not self.initialised:
            self.initialised = bool(self.ready.all())  # read once: on a GPU each reading waits
            if not self.initialised:
                self._initialise(convolution(x).detach())
        gain = self.weight.flatten() * (self.variance.view(-1) + VARIANCE_EPSILON).rsqrt()
        return convolution(x, gain, self.bias.flatten() - self.mean.view(-1) * gain)

    @torch.no_grad()
    def _initialise(self, x: torch.Tensor) -> None:
        variance, mean = torch.var_mean(x, [0, *range(2, x.dim())], correction=0)
        self.mean.copy_(mean.view_as(self.mean))
        # a channel that does not vary is not blown up
        self.variance.copy_(torch.where(variance > 0, variance, 1.0).view_as(self.variance))
        self.ready.fill_(True)
