"""The networks inside a flow: from the given parameters and the context to the numbers that shape each dimension."""

import torch
from torch import nn

from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.stacked import Dropout, Generators, Linear


class Conditioner(nn.Module):
    """(inputs, context) -> ``outputs`` numbers for each of ``features`` dimensions: (M*B, features, outputs).

    A residual network, context at the first layer; the last layer starts at zero, so that a flow starts as the
    identity. With ``masked`` it is a MADE (Germain+ arXiv:1502.03509): dimension i depends on the inputs before i.
    Hidden degrees run from 0 to D-1, so that every dimension, the first one too, sees the context (in nflows 0.14
    they start at 1, and the first dimension never does).
    """

    def __init__(
        self,
        generators: Generators,
        inputs: int,
        features: int,
        outputs: int,
        context: int,
        hidden: int,
        blocks: int,
        dropout: float,
        activation: str,
        masked: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        degrees = torch.arange(hidden) % features
        first = inner = last = None
        if masked:
            sees = torch.arange(inputs)[:, None] < degrees[None, :]  # degree d sees inputs 0..d-1
            first = torch.cat([sees, torch.ones(context, hidden, dtype=torch.bool)]).float()
            inner = (degrees[:, None] <= degrees[None, :]).float()
            reach = degrees[:, None] <= torch.arange(features)[None, :]
            last = reach.repeat_interleave(outputs, dim=1).float()
        self.first = Linear(generators, inputs + context, hidden, first)
        self.blocks = nn.ModuleList(Linear(generators, hidden, hidden, inner) for _ in range(blocks))
        self.last = Linear(generators, hidden, features * outputs, last, zero=True)
        self.dropout = Dropout(generators, dropout)
        self.activation = ACTIVATIONS[activation]

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        hidden = self.first(inputs if context is None else torch.cat([inputs, context], dim=1))
        for block in self.blocks:
            hidden = hidden + block(self.dropout(self.activation(hidden)))
        shapes = self.last(self.dropout(self.activation(hidden)))
        return shapes.reshape(len(shapes), self.features, -1)
