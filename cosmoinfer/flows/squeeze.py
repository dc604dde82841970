"""Pixels and channels: blocks of pixels become channels, and transforms of vectors act on every pixel."""

from collections.abc import Callable

import torch

from cosmoinfer.flows.transform import Transform


class Squeeze(Transform):
    """2x2 pixels become channels, (M, B, C, H, W) -> (M, B, 4C, H/2, W/2): first one diagonal, then the other.

    So the halves of the channels are the colours of a checkerboard, and their even and odd quarters its rows.
    """

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = [inputs[..., y::2, x::2] for y, x in ((0, 0), (1, 1), (0, 1), (1, 0))]
        return torch.cat(pixels, dim=2), inputs.new_zeros(inputs.shape[:2])

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        top_left, bottom_right, top_right, bottom_left = inputs.chunk(4, dim=2)
        pairs = (top_left, top_right), (bottom_left, bottom_right)
        rows = [torch.stack(pair, dim=-1).flatten(-2) for pair in pairs]  # (M, B, C, H, 2W)
        return torch.stack(rows, dim=-2).flatten(-3, -2), inputs.new_zeros(inputs.shape[:2])


class PerPixel(Transform):
    """A transform of vectors, (M, B, C), on the channels of every pixel: what makes a linear map a 1x1 convolution."""

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
        last = inputs.movedim(2, -1)  # (M, B, H, W, C)
        outputs, log_det = run(last.flatten(1, 3))
        log_det = log_det.flatten().reshape(*inputs.shape[:2], -1).sum(-1)  # over pixels
        return outputs.reshape(last.shape).movedim(-1, 2), log_det
