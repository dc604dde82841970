"""A density p(x | theta) bound to observations: the sum of their log likelihoods, as a function of theta."""

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch

from cosmoinfer.catalog import Catalog
from cosmoinfer.models import DensityModel
from cosmoinfer.models.density.model import DensityFlow
from cosmoinfer.models.differentiable_support import SupportForward
from cosmoinfer.models.model import Stack
from cosmoinfer.networks.layers import expand_members, freeze
from cosmoinfer.parameters import Parameters
from cosmoinfer.supports import Support

MAX_NUMBERS = 1 << 20  # of the data of points and observations that go through a network at once


@dataclass(frozen=True)
class BoundDensity:
    """data: (J, ...) float32, the J observations as the networks take them. log_slope: (J,) what their units, and the
    noise in modes that never vary, add to their log densities. condition: how theta is scaled. weights: (M,) of the
    mixture."""

    parameters: Parameters
    condition: Support
    stacks: tuple[Stack[DensityFlow], ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    data: np.ndarray
    log_slope: np.ndarray
    kind: ClassVar[str] = "density"
    prior_accounting: ClassVar[str] = "p(x | theta), which holds no prior"

    def __post_init__(self) -> None:
        for stack in self.stacks:
            freeze(stack.network)

    @classmethod
    def bind(cls, model: DensityModel, catalog: Catalog, rows: np.ndarray) -> "BoundDensity":
        """rows: (J,) by position, of a density p(x | theta)."""
        assert model.condition is not None
        data, log_slope, log_prob_of_noise = model.network_inputs(catalog, rows)
        stacks = tuple(replace(stack, network=copy.deepcopy(stack.network).cpu()) for stack in model.stacks)
        parameters, slopes = model.preprocessing.parameters, log_slope - log_prob_of_noise
        return cls(parameters, replace(model.condition, parameters=parameters), stacks, model.weights, data, slopes)

    @property
    def points_per_call(self) -> int:
        """Points of theta whose log likelihoods take a bounded amount of memory."""
        return max(1, MAX_NUMBERS // max(1, self.data.size))

    def in_double(self) -> "BoundDensity":
        """With copies of the networks in double precision."""
        stacks = tuple(replace(stack, network=copy.deepcopy(stack.network).double()) for stack in self.stacks)
        return replace(self, stacks=stacks)

    def log_likelihood(self, theta: torch.Tensor) -> torch.Tensor:
        """sum_j ln p(x_j | theta), (n,), natural, in catalog units, of theta (n, P) float64 inside box and region."""
        z, _ = SupportForward.apply(theta, self.condition)
        points, observations = len(theta), len(self.data)
        terms = []
        for stack, x in zip(self.stacks, self._inputs, strict=True):
            context = z.to(x.dtype).repeat_interleave(observations, dim=0)  # (n J, P)
            data = x.repeat(points, *[1] * (x.dim() - 1)) if points > 1 else x
            inputs = expand_members(data, stack.members), expand_members(context, stack.members)
            terms.append(stack.network.log_prob(*inputs).double().unflatten(1, (points, observations)))
        log_prob = (torch.cat(terms) + self._log_weights).logsumexp(0)  # (n, J)
        return (log_prob + torch.from_numpy(self.log_slope)).sum(1)

    @cached_property
    def _inputs(self) -> list[torch.Tensor]:
        """The data, (J, ...), in the precision of the networks of each stack."""
        return [torch.from_numpy(self.data).to(next(stack.network.parameters()).dtype) for stack in self.stacks]

    @cached_property
    def _log_weights(self) -> torch.Tensor:
        """Of the mixture, (M, 1, 1)."""
        return torch.from_numpy(np.log(self.weights))[:, None, None]
