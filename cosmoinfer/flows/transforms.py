"""The layers of a flow, as nflows transforms that carry M members: coupling, autoregressive, and LU mixing.

Forward is from parameters to noise, the direction of the density; inverse draws.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from nflows.transforms.base import Transform
from torch import nn

from cosmoinfer.errors import UserError
from cosmoinfer.flows.actnorm import Regression
from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.flows.elementwise import Affine
from cosmoinfer.flows.spline import Spline
from cosmoinfer.networks.stacked import Generators


class Elementwise(Protocol):
    """A monotonic map of each dimension, shaped by ``outputs`` numbers a dimension."""

    @property
    def outputs(self) -> int: ...

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


class Settings(Protocol):
    """What every recipe says of the networks inside its layers."""

    @property
    def hidden(self) -> int: ...

    @property
    def blocks(self) -> int: ...

    @property
    def dropout(self) -> float: ...

    @property
    def activation(self) -> str: ...


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
        shapes = self.conditioner(inputs[:, self.passing], context)
        run = self.elementwise.inverse if inverse else self.elementwise.forward
        mapped, log_slope = run(inputs[:, self.mapped], shapes)
        outputs = inputs.clone()
        outputs[:, self.mapped] = mapped
        return outputs, log_slope.sum(-1)


def coupling(
    elementwise: Elementwise,
    features: int,
    odd: bool,
    context: int,
    settings: Settings,
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


def linear_start(wanted: bool, features: int, context: int, generators: Generators) -> list[Transform]:
    """What comes first in a flow that is ``linear``: a regression, if there is a condition to regress on."""
    return [Regression(generators, features, context)] if wanted and context else []


def affine_maps(layers: int, features: int, least: int) -> list[Elementwise]:
    """One a layer; of one parameter an affine one and a spline, since nothing but affine maps would be a Gaussian."""
    enough_layers(layers, least)
    maps: list[Elementwise] = [Affine() for _ in range(layers)]
    return [*maps[:1], Spline()] if features == 1 else maps


def enough_layers(layers: int, least: int) -> None:
    """With fewer, some parameters would be left as they are: their posterior would be the prior."""
    if layers < least:
        raise UserError(f"--layers: this flow wants at least {least} for so many parameters, found {layers}")


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
        return _one_by_one(self.elementwise.inverse, self.conditioner, inputs, context)


class InverseAutoregressive(Transform):
    """Each dimension of the outcome is mapped from one of the noise, shaped by the noise before it and the context.

    z_i from x_i and z_<i: D steps forward, one pass back (Kingma+ arXiv:1606.04934). Both are differentiable.
    """

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return _one_by_one(self.elementwise.forward, self.conditioner, inputs, context)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.inverse(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)


def _one_by_one(
    run: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    conditioner: Conditioner,
    inputs: torch.Tensor,
    context: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Map dimension after dimension, each shaped by the outcomes before it: outcomes (M*B, D), log-slopes (M*B,)."""
    steps = conditioner.one_by_one(len(inputs), context)
    shapes = next(steps)
    values, log_slopes = [], []
    for dimension in range(inputs.shape[1]):
        value, log_slope = run(inputs[:, dimension : dimension + 1], shapes[:, None])
        values.append(value)
        log_slopes.append(log_slope)
        if dimension + 1 < inputs.shape[1]:
            shapes = steps.send(value)
    return torch.cat(values, dim=1), torch.cat(log_slopes, dim=1).sum(-1)


def made(
    elementwise: Elementwise,
    features: int,
    context: int,
    settings: Settings,
    generators: Generators,
) -> Conditioner:
    """The masked network of an autoregressive layer."""
    return Conditioner(
        generators,
        features,
        features,
        elementwise.outputs,
        context,
        settings.hidden,
        settings.blocks,
        settings.dropout,
        settings.activation,
        masked=True,
    )


class Reverse(Transform):
    """The dimensions in reverse order. (nflows keeps the order as a buffer; nothing here needs to be stored.)"""

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs.flip(1), inputs.new_zeros(len(inputs))

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self.forward(inputs)


class LU(Transform):
    """M learned linear maps x -> x W + b with W = L U, log |det| from U's diagonal; starts as the identity."""

    upper: torch.Tensor

    def __init__(self, generators: Generators, features: int) -> None:
        super().__init__()
        members = len(generators)
        self.below = nn.Parameter(torch.zeros(members, features, features))
        self.above = nn.Parameter(torch.zeros(members, features, features))
        self.log_diagonal = nn.Parameter(torch.zeros(members, features))
        self.bias = nn.Parameter(torch.zeros(members, 1, features))
        self.register_buffer("upper", torch.triu(torch.ones(features, features), 1), persistent=False)

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        lower, upper = self._factors()
        x = inputs.reshape(len(lower), -1, inputs.shape[1])
        z = torch.baddbmm(self.bias, x, torch.bmm(lower, upper))
        return z.reshape(inputs.shape), self._log_det(x)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        lower, upper = self._factors()
        z = inputs.reshape(len(lower), -1, inputs.shape[1]) - self.bias
        one = torch.eye(len(self.upper), dtype=z.dtype, device=z.device).expand_as(lower)
        half = torch.linalg.solve_triangular(upper, one, upper=True)  # of the small matrices: rows may be a million
        back = torch.linalg.solve_triangular(lower, half, upper=False, left=False, unitriangular=True)
        x = torch.bmm(z, back)
        return x.reshape(inputs.shape), -self._log_det(x)

    def _factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        one = torch.eye(self.upper.shape[0], dtype=self.below.dtype, device=self.below.device)
        lower = self.below * self.upper.T + one
        return lower, self.above * self.upper + torch.diag_embed(self.log_diagonal.exp())

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_diagonal.sum(-1, keepdim=True).expand(-1, x.shape[1]).reshape(-1)
