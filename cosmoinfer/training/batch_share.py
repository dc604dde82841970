"""A rank's share of every batch, such that all ranks together do what one process does with the batch."""

from collections.abc import Callable

import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.networks.convolution import BatchNorm
from cosmoinfer.networks.layers import Dropout
from cosmoinfer.training.ranks import Ranks
from cosmoinfer.training.settings import Rows

Terms = Callable[[nn.Module, Rows], torch.Tensor]  # network and rows (M, B, ...) -> numbers a row, (M, B, K)
ALL_ROWS = slice(0, 1), 1  # of a batch of any size


class BatchShare:
    """Of batches of so many rows, on their way through a network.

    Raises UserError where a batch has fewer rows than there are ranks, or a layer must see it in one piece.
    """

    def __init__(self, network: nn.Module, ranks: Ranks, batch_size: int) -> None:
        self.network, self.ranks, self.batch_size = network, ranks, batch_size
        self.rows = ranks.share(batch_size)
        if ranks.count == 1:
            return
        if batch_size < ranks.count:
            raise UserError(f"expected at least {ranks.count} rows, one for each rank", "batch_size", batch_size)
        if any(isinstance(layer, BatchNorm) for layer in network.modules()):
            raise UserError("batch normalisation needs all rows of a batch in one process", setting="ranks")
        self._let_dropout_expect(self.rows, batch_size)

    def start(self, terms: Terms, batch: Rows) -> None:
        """Before the first step: layers that start from the first batch (M, B, ...) see all of it, on every rank."""
        self._let_dropout_expect(*ALL_ROWS)
        with torch.no_grad():
            terms(self.network, batch)
        self._let_dropout_expect(self.rows, self.batch_size)

    def terms(self, terms: Terms, batch: Rows) -> torch.Tensor:
        """Of all rows of a batch (M, B, ...), (M, B, K); gradients flow into those of this rank."""
        if self.ranks.count == 1:
            return terms(self.network, batch)
        share = tuple(field[:, self.rows] for field in batch)
        return self.ranks.gather(terms(self.network, share), self.batch_size)

    def _let_dropout_expect(self, rows: slice, batch_size: int) -> None:
        for layer in self.network.modules():
            if isinstance(layer, Dropout):
                layer.take_share(rows, batch_size)
