"""The layers of a flow, as nflows transforms that carry M members: coupling, autoregressive, and LU mixing.

Forward is from parameters to noise, the direction of the density; inverse draws.
"""

from typing import Protocol

import torch
from nflows.transforms.base import Transform
from torch import nn

from cosmoinfer.flows.conditioner import Conditioner
from cosmoinfer.networks.stacked import Generators


class Elementwise(Protocol):
    """A monotonic map of each dimension, shaped by ``outputs`` numbers a dimension."""

    @property
    def outputs(self) -> int: ...

    def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...

    def inverse(self, z: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


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


def halves(features: int, odd: bool) -> tuple[list[int], list[int]]:
    """The mapped and the passing dimensions of a coupling layer."""
    if features == 1:
        return [0], []
    split = [[d for d in range(features) if d % 2 == parity] for parity in (0, 1)]
    return split[int(odd)], split[1 - int(odd)]


class Autoregressive(Transform):
    """Each dimension is mapped, shaped by those before it and the context: one pass forward, D steps back."""

    def __init__(self, elementwise: Elementwise, conditioner: Conditioner) -> None:
        super().__init__()
        self.elementwise, self.conditioner = elementwise, conditioner

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, log_slope = self.elementwise.forward(inputs, self.conditioner(inputs, context))
        return outputs, log_slope.sum(-1)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        steps = self.conditioner.one_by_one(len(inputs), context)
        shapes = next(steps)
        values, log_slopes = [], []
        for dimension in range(inputs.shape[1]):
            value, log_slope = self.elementwise.inverse(inputs[:, dimension : dimension + 1], shapes[:, None])
            values.append(value)
            log_slopes.append(log_slope)
            if dimension + 1 < inputs.shape[1]:
                shapes = steps.send(value)
        return torch.cat(values, dim=1), torch.cat(log_slopes, dim=1).sum(-1)


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
        half = torch.linalg.solve_triangular(upper, z, upper=True, left=False)
        x = torch.linalg.solve_triangular(lower, half, upper=False, left=False, unitriangular=True)
        return x.reshape(inputs.shape), -self._log_det(x)

    def _factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        one = torch.eye(self.upper.shape[0], dtype=self.below.dtype, device=self.below.device)
        lower = self.below * self.upper.T + one
        return lower, self.above * self.upper + torch.diag_embed(self.log_diagonal.exp())

    def _log_det(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_diagonal.sum(-1, keepdim=True).expand(-1, x.shape[1]).reshape(-1)
