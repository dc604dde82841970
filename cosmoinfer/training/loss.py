"""A loss as the training loop sees it: terms a row, and how the terms of many rows become one number a member."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from cosmoinfer.training.context import Rows

Terms = Callable[[nn.Module, Rows], torch.Tensor]


@dataclass(frozen=True)
class Loss:
    """terms: network and a batch of rows (M, B, ...) -> numbers a row, (M, B, K); reduce: (M, N, K) -> (M,).

    Two steps, because some losses are no mean over rows: a validation loss reduces the whole set at once.
    """

    terms: Terms
    reduce: Callable[[torch.Tensor], torch.Tensor]
