"""A member of a trained flow in the terms of nflows: parameters and data in the units of the catalog, in torch.

Layers here are views of what a model holds: they have one member, and rows are (N, ...) as in nflows.
"""

import copy
from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import nn

from cosmoinfer.flows import Transform
from cosmoinfer.losses import means_and_factors, means_and_widths
from cosmoinfer.models.differentiable_support import SupportForward, SupportInverse
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.networks.embedding import Embedding, SetEmbedding
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.preprocessing.standardizer import CODE_ROUNDING
from cosmoinfer.preprocessing.state import Input
from cosmoinfer.supports import Support


class MemberTransform(Transform):
    """theta (N, P) in catalog units <-> standard normal noise (N, P), under embedded contexts (N, C).

    Outside of the prior box log |det| is -inf. The noise has the dtype of theta, drawn theta are float64: in float32 an
    edge of 0.6 would lie outside its own box.
    """

    def __init__(self, transform: Transform, support: Support, temperature: float) -> None:
        super().__init__()
        self.transform, self.support, self.temperature = transform, support, temperature

    def forward(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        assert context is not None
        theta = inputs.double()
        z, log_slope = SupportForward.apply(theta, self.support)
        noise, log_det = self.transform(z.to(context.dtype)[None], context[None])
        log_det = log_det[0].double() + log_slope.sum(-1) - self._log_width
        inside = self.support.parameters.inside(theta.detach().cpu().numpy())
        log_det = torch.where(torch.from_numpy(inside).to(log_det.device), log_det, -torch.inf)
        return (noise[0] / self.temperature).to(inputs.dtype), log_det.to(inputs.dtype)

    def inverse(self, inputs: torch.Tensor, context: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        assert context is not None
        z, log_det = self.transform.inverse((inputs.to(context.dtype) * self.temperature)[None], context[None])
        theta, log_slope = SupportInverse.apply(z[0].double(), self.support)
        return theta, log_det[0].double() - log_slope.sum(-1) + self._log_width

    @property
    def _log_width(self) -> float:
        """ln |d z / d noise| of the temperature alone."""
        return len(self.support.parameters) * float(np.log(self.temperature))


class DataEmbedding(nn.Module):
    """Data in catalog units -> what a flow is conditioned on, (N, C) float32.

    Of one observable (N, *shape); several stand one after the other, flattened: (N, F), F the numbers of a row. A flow
    of sets of R rows takes (N, R, *shape) or (N, R, F). Simulated data come with their noise: none is added.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        summary: RegressorModel | None,
        embedding: Embedding | SetEmbedding,
        set_size: int,
    ) -> None:
        super().__init__()
        self.shapes, self.set_size = [observable.shape for observable in inputs], set_size
        self.scalings = nn.ModuleList(_Scaling(observable) for observable in inputs)
        self.summary = None if summary is None else _Summary(summary)
        self.embedding = embedding

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Raises ValueError where a row has not as many numbers as those that the flow was trained on."""
        sizes, rows = [prod(shape) for shape in self.shapes], len(context) * max(1, self.set_size)
        if context.numel() != rows * sum(sizes):
            expected = (self.set_size, sum(sizes)) if self.set_size else (sum(sizes),)
            raise ValueError(f"context: expected numbers of shape {expected} a row, found {tuple(context.shape[1:])}")
        columns = context.double().reshape(rows, -1).split(sizes, dim=1)
        data = [
            scaling(values.unflatten(1, shape))
            for scaling, values, shape in zip(self.scalings, columns, self.shapes, strict=True)
        ]
        if self.summary is not None:
            data = [self.summary(*data)]
        if self.set_size:
            data = [values.unflatten(0, (-1, self.set_size)) for values in data]
        return self.embedding(*(values[None] for values in data))[0]


class _Scaling(nn.Module):
    """One observable (N, *shape) float64 in catalog units -> (N, *network_shape) float32, as ``Input`` scales it."""

    log: torch.Tensor
    floor: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor
    clip: torch.Tensor
    code: torch.Tensor

    def __init__(self, scaled: Input) -> None:
        super().__init__()
        for name in ("log", "floor", "mean", "std", "clip", "code"):
            self.register_buffer(name, torch.from_numpy(np.array(getattr(scaled.standardizer, name))))
        self.masked = scaled.masked
        self.encoder = None if scaled.compression is None else copy.deepcopy(scaled.compression.encoder)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        logged = torch.where(self.log, torch.maximum(values, self.floor).log10(), values)
        scaled = ((logged - self.mean) / self.std).clamp(-self.clip, self.clip).float()
        scaled = scaled.masked_fill(torch.isclose(values, self.code, rtol=CODE_ROUNDING, atol=0), 0.0)
        if self.masked:
            gaps = scaled.isnan()
            scaled = torch.cat([scaled.masked_fill(gaps, 0.0), gaps.float()], dim=1)
        return scaled if self.encoder is None else self.encoder(scaled.flatten(1)[None])[0]


class _Summary(nn.Module):
    """What a summary network says of rows, (N, P) or (N, 2 P) float32, as ``RegressorModel.summarise`` says it."""

    weights: torch.Tensor

    def __init__(self, model: RegressorModel) -> None:
        super().__init__()
        self.members = [stack.members for stack in model.stacks]
        self.networks = nn.ModuleList(copy.deepcopy(stack.network) for stack in model.stacks)
        self.register_buffer("weights", torch.from_numpy(model.weights)[:, None, None])
        self.output_head, self.temperature = model.head, model.temperature

    def forward(self, *data: torch.Tensor) -> torch.Tensor:
        outputs = torch.cat(
            [
                network(*(expand_members(values, members) for values in data)).double()
                for network, members in zip(self.networks, self.members, strict=True)
            ]
        )  # (M, N, O)
        if self.output_head == "point":
            return (self.weights * outputs).sum(0).float()
        if self.output_head == "widths":
            means, widths = means_and_widths(outputs)
            variances = widths.square()
        else:
            means, factors = means_and_factors(outputs)
            variances = torch.linalg.inv(factors).square().sum(-2)  # of L^-T L^-1, its diagonal
        mean = (self.weights * means).sum(0)
        spread = self.temperature**2 * variances + (means - mean).square()
        return torch.cat([mean, 0.5 * (self.weights * spread).sum(0).log()], dim=-1).float()
