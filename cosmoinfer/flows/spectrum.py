"""The power spectrum of periodic maps as a layer of a flow: every Fourier mode times a gain."""

import torch
from torch import nn
from torch.nn import functional

from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.layers import Generators, Linear

Shape = tuple[int, int, int]  # channels, height, width
KNOTS = 8  # of the gain as a function of ln |k|
HIDDEN_UNITS = 16  # between the context and the gain at the knots


class Spectrum(Transform):
    """Each Fourier mode of periodic maps (M, B, C, H, W) times exp g(|k|), g shaped by the context, each channel alone.

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
        self.hidden = Linear(generators, context, HIDDEN_UNITS) if context else None
        self.last = Linear(generators, HIDDEN_UNITS, shape[0] * (KNOTS + 1), zero=True) if context else None
        self.register_buffer("weights", hats(self.sides), persistent=False)  # (KNOTS + 1, H, W)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        gains = self._gains(inputs, context)
        return self._filtered(inputs, gains), gains.flatten(2).sum(-1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        gains = self._gains(inputs, context)
        return self._filtered(inputs, -gains), -gains.flatten(2).sum(-1)

    def _gains(self, inputs: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """g of every mode, (M, B, C, H, W)."""
        values = self.constant.expand(-1, inputs.shape[1], -1)
        if self.hidden is not None and self.last is not None:
            values = values + self.last(functional.silu(self.hidden(context)))
        return torch.einsum("mbck,khw->mbchw", values.unflatten(-1, (self.channels, -1)), self.weights)

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
