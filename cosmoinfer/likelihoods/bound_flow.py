"""A posterior flow bound to observations and divided by its prior, once each: a likelihood, up to a constant."""

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.flows import FLOWS, Transform
from cosmoinfer.models import FlowModel
from cosmoinfer.models.differentiable_support import SupportForward
from cosmoinfer.models.flow.mixture import POINTS_PER_CALL
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.models.model import Stack
from cosmoinfer.networks.layers import Generators, expand_members, freeze
from cosmoinfer.parameters import Parameters
from cosmoinfer.priors import Gaussian
from cosmoinfer.sampling.rejection import PROPOSALS_FOR_MASS
from cosmoinfer.settings import recipe_of_config
from cosmoinfer.storage import JSONObject
from cosmoinfer.supports import Support

COORDINATE_STEP = 1e-4  # of a prior's width in its own coordinate: of the central difference of its log density


class PosteriorTransform(nn.Module):
    """The transform of a flow without the embedding of its data, M members."""

    transform: Transform

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    @staticmethod
    def from_config(config: JSONObject, generators: Generators) -> "PosteriorTransform":
        """From the JSON of a stack, with fresh weights."""
        recipe = recipe_of_config(FLOWS[config["flow"]], config["recipe"])
        return PosteriorTransform(recipe.build(config["parameters"], config["context"], generators))


@dataclass(frozen=True)
class BoundStack(Stack[PosteriorTransform]):
    """Members of one architecture, as of ``Stack``. context: (M, J, C) float32, the embedded observations."""

    support: Support
    context: np.ndarray

    @cached_property
    def contexts(self) -> torch.Tensor:
        """The embedded observations, (M, J, C), in the precision of the network."""
        return torch.from_numpy(self.context).to(next(self.network.parameters()).dtype)


@dataclass(frozen=True)
class BoundFlow:
    """weights: (M in all,) of the mixture. log_mass: (J,) of the mass of each observation's posterior inside box and
    region, 0 where no support overflows them. temperature: the standard deviation of every member's noise."""

    parameters: Parameters
    stacks: tuple[BoundStack, ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    log_mass: np.ndarray
    temperature: float = 1.0
    kind: ClassVar[str] = "flow over prior"
    prior_accounting: ClassVar[str] = (
        "p(theta | x) / p(theta), which holds no prior (divided out once an observation), inside the prior's box only"
    )

    def __post_init__(self) -> None:
        for stack in self.stacks:
            freeze(stack.network)

    @classmethod
    def bind(cls, model: FlowModel, catalog: Catalog, rows: np.ndarray, seed: int) -> "BoundFlow":
        """rows: (J,) by position. seed: of the draws that normalise a flow that overflows the box."""
        parameters = model.preprocessing.parameters
        contexts = model.embed(catalog, rows)
        log_mass = np.zeros(len(rows))
        if not model.mixture.maps_inside:
            for place, row in enumerate(rows):
                context = [stack[:, place : place + 1] for stack in contexts]
                generator = seeding.generator(seed, "mass", catalog.index[row])
                log_mass[place] = np.log(model.mixture.box_mass(context, PROPOSALS_FOR_MASS, generator))
        pairs = zip(model.stacks, contexts, strict=True)
        stacks = tuple(_bind_stack(stack, context, parameters) for stack, context in pairs)
        return cls(parameters, stacks, model.weights, log_mass, model.temperature)

    @property
    def points_per_call(self) -> int:
        """Points of theta whose log likelihoods take a bounded amount of memory."""
        return max(1, POINTS_PER_CALL // len(self.log_mass))

    def in_double(self) -> "BoundFlow":
        """With copies of the networks in double precision."""
        stacks = tuple(replace(stack, network=copy.deepcopy(stack.network).double()) for stack in self.stacks)
        return replace(self, stacks=stacks)

    def log_likelihood(self, theta: torch.Tensor) -> torch.Tensor:
        """sum_j [ln q(theta | x_j) - ln p(theta)], (n,), natural, of theta (n, P) float64 inside box and region."""
        points, observations = len(theta), len(self.log_mass)
        terms = []
        for stack in self.stacks:
            z, log_slope = SupportForward.apply(theta, stack.support)
            z, context = z.to(stack.contexts.dtype), stack.contexts
            if observations > 1:
                z, context = z.repeat_interleave(observations, dim=0), context.repeat(1, points, 1)
            noise, log_det = stack.network.transform(expand_members(z, stack.members), context)
            log_prob = log_det.double() - 0.5 * noise.double().square().sum(-1) / self.temperature**2  # (M, n J)
            terms.append(log_prob.unflatten(1, (points, observations)) + log_slope.sum(-1)[:, None])
        log_q = (torch.cat(terms) + self._log_weights).logsumexp(0) - torch.from_numpy(self.log_mass)  # (n, J)
        log_norm = len(self.parameters) * float(np.log(self.temperature * np.sqrt(2 * np.pi)))
        return (log_q - log_norm - _LogPrior.apply(theta, self.parameters)[:, None]).sum(1)

    @cached_property
    def _log_weights(self) -> torch.Tensor:
        """Of the mixture, (M, 1, 1)."""
        return torch.from_numpy(np.log(self.weights))[:, None, None]


def _bind_stack(stack: FlowStack, context: torch.Tensor, parameters: Parameters) -> BoundStack:
    """Without the embedding. context: (M, J, C)."""
    names = ("flow", "recipe", "parameters")
    config = {**{name: stack.config[name] for name in names}, "context": context.shape[2]}
    network = PosteriorTransform(copy.deepcopy(stack.network.transform).cpu())
    support = replace(stack.support, parameters=parameters)
    return BoundStack(config, stack.members, network, stack.history, support, context.cpu().numpy())


class _LogPrior(torch.autograd.Function):
    """ln p(theta), (n,), of theta (n, P) inside box and region, with its gradient there."""

    @staticmethod
    def forward(ctx: Any, theta: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        points = theta.detach().numpy()
        if ctx.needs_input_grad[0]:
            ctx.gradient = torch.from_numpy(log_prior_gradient(parameters, parameters.clip(points)))
        return torch.from_numpy(parameters.log_prior(points))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_log_prior: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad_log_prior[:, None] * ctx.gradient, None


def log_prior_gradient(parameters: Parameters, theta: np.ndarray) -> np.ndarray:
    """d ln p / d theta, (n, P) both, inside box and region, whose edges have no part in it.

    By differences in the coordinate of each prior, theta or its logarithm, in which ln p is linear or quadratic:
    central ones are exact there, but for rounding.
    """
    normal = np.array([isinstance(prior, Gaussian) for prior in parameters.priors])
    lowest = np.array([prior.lowest for prior in parameters.priors])
    low, high = np.where(normal, lowest, parameters.low), np.where(normal, np.inf, parameters.high)
    smooth = replace(parameters, low=low, high=high, where=())
    gradient = np.empty(theta.shape)
    for column, prior in enumerate(smooth.priors):
        coordinate, log_slope = prior.to_line(theta[:, column])
        width = prior.std if normal[column] else np.ptp(prior.to_line(np.array([prior.low, prior.high]))[0])
        ends, log_priors = [], []
        for step in (-COORDINATE_STEP * width, COORDINATE_STEP * width):
            moved = theta.copy()
            moved[:, column] = np.clip(prior.from_line(coordinate + step), prior.low, prior.high)
            ends.append(prior.to_line(moved[:, column])[0])
            log_priors.append(smooth.log_prior(moved))
        gradient[:, column] = np.exp(log_slope) * np.subtract(*log_priors) / np.subtract(*ends)
    return gradient
