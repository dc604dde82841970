"""Coupling layers: half of the dimensions passes, and shapes the map of the other half."""

import torch

from cosmoinfer.flows.conditioner import Conditioner, ConditionerSettings
from cosmoinfer.flows.elementwise import Elementwise
from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.members import Generators


class Coupling(Transform):
    """Every second dimension passes; the others are mapped, shaped by those and the context (Dinh+ arXiv:1605.08803).

    ``odd`` picks which half is mapped. A single dimension is always mapped: then the context alone shapes it.
    """

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner, features: int, odd: bool) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner
        self.mapped, self.passing = halves(features, odd)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self._run(inputs, context, inverse=False)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self._run(inputs, context, inverse=True)

    def _run(
        self, inputs: torch.Tensor, context: torch.Tensor | None, inverse: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shapes = self.conditioner(inputs[..., self.passing], context)
        run = self.elementwise.inverse if inverse else self.elementwise.forward
        mapped, log_slope = run(inputs[..., self.mapped], shapes)
        outputs = inputs.clone()
        outputs[..., self.mapped] = mapped
        return outputs, log_slope.sum(-1)


def coupling_layer(
    elementwise: Elementwise,
    features: int,
    odd: bool,
    context: int,
    settings: ConditionerSettings,
    generators: Generators,
) -> Coupling:
    """A coupling layer and the network in it."""
    mapped, passing = halves(features, odd)
    conditioner = Conditioner(
        generators,
        len(range(features)[passing]),
        len(range(features)[mapped]),
        elementwise.outputs,
        context,
        settings.hidden,
        settings.blocks,
        settings.dropout,
        settings.activation,
    )
    return Coupling(elementwise, conditioner, features, odd)


def halves(features: int, odd: bool) -> tuple[slice, slice]:
    """The mapped and the passing dimensions of a coupling layer."""
    if features == 1:
        return slice(0, 1), slice(1, 1)
    return slice(int(odd), None, 2), slice(1 - int(odd), None, 2)
