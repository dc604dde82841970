"""Layers one after another."""

from collections.abc import Sequence

import torch
from torch import nn

from cosmoinfer.flows.transform import Transform


class Composite(Transform):
    """One transform after another; their log-determinants (M, B) add up."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        super().__init__()
        self._transforms = nn.ModuleList(transforms)  # by this name they lie in model files

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        total = inputs.new_zeros(inputs.shape[:2])
        for transform in self._transforms:
            inputs, log_det = transform(inputs, context)
            total += log_det
        return inputs, total

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        total = inputs.new_zeros(inputs.shape[:2])
        for transform in list[Transform](self._transforms)[::-1]:
            inputs, log_det = transform.inverse(inputs, context)
            total += log_det
        return inputs, total
