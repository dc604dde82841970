"""Normalisations of channels that carry M members side by side."""

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.networks.convolution import Convolution

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
