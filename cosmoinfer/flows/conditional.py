"""Coupling and autoregressive layers, and the network in them: the conditioner, which shapes the map of each dimension.

A layer is a conditioner and an elementwise map (Papamakarios+ arXiv:1912.02762, section 3.1): the network takes the
context and the dimensions that pass, or those that come first, and gives the numbers that shape the map of the others.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, cast

import torch
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.flows.elementwise import Elementwise
from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.layers import Dropout, Generators, Linear


class ConditionerSettings(Protocol):
    """What every recipe says of the networks inside its layers."""

    @property
    def hidden(self) -> int: ...

    @property
    def blocks(self) -> int: ...

    @property
    def dropout(self) -> float: ...

    @property
    def activation(self) -> str: ...


class Conditioner(nn.Module):
    """(inputs, context) -> ``outputs`` numbers for each of ``features`` dimensions: (M, B, features, outputs).

    A residual network, context at the first layer; the last layer starts at zero, so that a flow starts as the
    identity. With ``masked`` it is a MADE (Germain+ arXiv:1502.03509): dimension i depends on the inputs before i.
    Hidden degrees run from 0 to D-1, so that every dimension, the first one too, sees the context (in nflows 0.14
    they start at 1, and the first dimension never does).
    """

    order: torch.Tensor

    def __init__(
        self,
        generators: Generators,
        inputs: int,
        features: int,
        outputs: int,
        context: int,
        settings: ConditionerSettings,
        masked: bool = False,
    ) -> None:
        super().__init__()
        hidden = settings.hidden
        self.features = features
        size = max(1, inputs + context)  # where there are none, a constant zero: then the biases alone speak
        degrees = torch.arange(hidden) % features
        first = inner = last = None
        if masked:
            sees = torch.arange(inputs)[:, None] < degrees[None, :]  # degree d sees inputs 0..d-1
            first = torch.cat([sees, torch.ones(context, hidden, dtype=torch.bool)]).float()
            inner = (degrees[:, None] <= degrees[None, :]).float()
            reach = degrees[:, None] <= torch.arange(features)[None, :]
            last = reach.repeat_interleave(outputs, dim=1).float()
            self.register_buffer("order", torch.argsort(degrees, stable=True), persistent=False)
            self.ends = [0, *torch.bincount(degrees, minlength=features).cumsum(0).tolist()]  # of each degree, in order
        self.first = Linear(generators, size, hidden, first)
        self.blocks = nn.ModuleList(Linear(generators, hidden, hidden, inner) for _ in range(settings.blocks))
        self.last = Linear(generators, hidden, features * outputs, last, zero=True)
        self.dropout = Dropout(generators, settings.dropout)
        self.activation = single_piece_activation(settings.activation)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """inputs: (M, B, I). context: (M, B, C), or (M, 1, C): one for all rows of a member, multiplied once."""
        if context is not None and context.shape[1] < inputs.shape[1]:
            hidden = self._first_under_one_context(inputs, context)
        else:
            joined = inputs if context is None else torch.cat([inputs, context], dim=-1)
            hidden = self.first(joined if joined.shape[-1] else joined.new_zeros(*joined.shape[:2], 1))
        for block in self._linear:
            hidden = block.residual_add(hidden, self.dropout(self.activation(hidden)))
        return self.last(self.dropout(self.activation(hidden))).unflatten(-1, (self.features, -1))

    @property
    def _linear(self) -> list[Linear]:
        return list(cast(Iterable[Linear], self.blocks))

    def _first_under_one_context(self, inputs: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        weight, size = self.first.masked_weight(), inputs.shape[-1]
        start = torch.baddbmm(self.first.bias, context, weight[:, size:])  # (M, 1, H)
        return torch.baddbmm(start, inputs, weight[:, :size])

    def autoregressive_steps(
        self, rows: int, context: torch.Tensor | None
    ) -> Generator[torch.Tensor, torch.Tensor, None]:
        """Of a masked one: the numbers of dimension 0, and of the next each time that a dimension's value is sent.

        A hidden unit of degree d is final once d dimensions have their values: each is computed once, in all one pass's
        work, and those of degree 0 once for all rows of one context (M, 1, C). What is multiplied is never masked.
        """
        order, inner, last = self.order, self._linear, self.last.weight[:, self.order]
        first = self.first.weight[:, :, order]  # (M, features + C, H)
        weights = [block.weight[:, order[:, None], order] for block in inner]
        biases = [block.bias[:, :, order] for block in inner]
        outputs = last.shape[2] // self.features
        start = self.first.bias[:, :, order]
        if context is None:
            start = start.expand(-1, rows, -1)
        else:
            start = torch.baddbmm(start, context, first[:, self.features :])
        values = start.new_zeros(len(first), rows, 0)
        active = [start[:, :, :0] for _ in range(len(inner) + 1)]
        for dimension in range(self.features):
            begin, end = self.ends[dimension : dimension + 2]
            units = start[:, :, begin:end]
            if dimension:
                units = torch.baddbmm(units, values, first[:, :dimension, begin:end])
            for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                active[number] = _append_units(active[number], self.dropout(self.activation(units)))
                units = (units + bias[:, :, begin:end]).baddbmm_(active[number], weight[:, :end, begin:end])
            active[-1] = _append_units(active[-1], self.dropout(self.activation(units)))
            columns = slice(dimension * outputs, (dimension + 1) * outputs)
            shapes = torch.baddbmm(self.last.bias[:, :, columns], active[-1], last[:, :end, columns])
            value = yield shapes.expand(-1, rows, -1)
            values = torch.cat([values, value], dim=2)


def made_conditioner(
    elementwise: Elementwise,
    features: int,
    context: int,
    settings: ConditionerSettings,
    generators: Generators,
) -> Conditioner:
    """The masked network of an autoregressive layer."""
    return Conditioner(
        generators,
        features,
        features,
        elementwise.outputs,
        context,
        settings,
        masked=True,
    )


def _append_units(active: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    """Hidden units (M, 1 or B, H) and more (M, B, h), of as many rows as those: (M, B, H + h)."""
    return torch.cat([active.expand(-1, units.shape[1], -1), units], dim=2)


def single_piece_activation(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The activation of this name. Raises UserError if it needs several pieces, as maxout does."""
    activation = ACTIVATIONS[name]
    if activation.pieces != 1:
        raise UserError(
            "the networks inside a flow take one that keeps the number of neurons", setting="activation", value=name
        )
    return activation.function


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
        settings,
    )
    return Coupling(elementwise, conditioner, features, odd)


def halves(features: int, odd: bool) -> tuple[slice, slice]:
    """The mapped and the passing dimensions of a coupling layer."""
    if features == 1:
        return slice(0, 1), slice(1, 1)
    return slice(int(odd), None, 2), slice(1 - int(odd), None, 2)


class Autoregressive(Transform):
    """Each dimension is mapped, shaped by those before it and the context: one pass forward, D steps back."""

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.forward(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return autoregressive_map(self.elementwise.inverse, self.conditioner, inputs, context)


class InverseAutoregressive(Transform):
    """Each dimension of the outcome is mapped from one of the noise, shaped by the noise before it and the context.

    z_i from x_i and z_<i: D steps forward, one pass back (Kingma+ arXiv:1606.04934). Both are differentiable.
    """

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return autoregressive_map(self.elementwise.forward, self.conditioner, inputs, context)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.inverse(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)


def autoregressive_map(
    run: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    conditioner: Conditioner,
    inputs: torch.Tensor,
    context: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map dimension after dimension, shaped by the outcomes before it: outcomes (M, B, D), log-determinants (M, B)."""
    steps = conditioner.autoregressive_steps(inputs.shape[1], context)
    shapes = next(steps)
    values, log_slopes = [], []
    for dimension in range(inputs.shape[-1]):
        value, log_slope = run(inputs[..., dimension : dimension + 1], shapes[..., None, :])
        values.append(value)
        log_slopes.append(log_slope)
        if dimension + 1 < inputs.shape[-1]:
            shapes = steps.send(value)
    return torch.cat(values, dim=-1), torch.cat(log_slopes, dim=-1).sum(-1)
