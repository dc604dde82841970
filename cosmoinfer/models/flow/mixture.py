"""The mixture that an ensemble of flows is: its density, at the truths too, and its draws, in catalog units.

sum_m w_m q_m(theta | x) / sum_m w_m Z_m(x), where Z_m is the mass of member m inside box and region: each member is a
density there, normalised through its own support, with the share w_m Z_m(x) of observation x. One that lies beyond the
box at x has next to none of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import special

from cosmoinfer.memory import slices
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.parameters import Parameters
from cosmoinfer.sampling.rejection import (
    MAX_DRAWS_PER_PIECE,
    DrawPiece,
    DrawStream,
    draw_inside,
    draw_unrestricted,
)
from cosmoinfer.sampling.temperature import PROPOSAL_TEMPERATURES, log_box_mass

POINTS_PER_CALL = 1 << 13  # of each member, that go through a network at once
PROPOSALS_PER_TEMPERATURE = 50  # of one row, for its mass inside the prior box
TRUTHS_PER_CALL = 256  # of as many observations, that go through a network at once
Contexts = list[torch.Tensor]  # of n observations, (M, n, C) a stack


@dataclass(frozen=True)
class Mixture:
    """weights: (M in all,). parameters: with their box and region. temperature: the standard deviation of every
    member's noise."""

    stacks: tuple[FlowStack, ...]
    weights: np.ndarray
    parameters: Parameters
    temperature: float = 1.0

    @property
    def maps_inside(self) -> bool:
        """Whether no member reaches beyond box and region; if not, the density must be renormalised over them."""
        return all(stack.support.maps_inside for stack in self.stacks)

    @torch.no_grad()
    def embed(self, data: tuple[np.ndarray, ...]) -> Contexts:
        """The embedded data, (n, ...) each."""
        tensors = [torch.from_numpy(array).to(self.stacks[0].device) for array in data]
        return [
            stack.network.embedding(*(expand_members(summary, stack.members) for summary in tensors))
            for stack in self.stacks
        ]

    def log_prob(self, theta: np.ndarray, contexts: Contexts) -> np.ndarray:
        """log q(theta | x), (n,), at points (n, P) of as many observations, or of one; not renormalised.

        Outside the prior's box and region -inf.
        """
        log_prob = np.empty(len(theta))
        for points in slices(len(theta), MAX_DRAWS_PER_PIECE):
            point_contexts = [_contexts_of_points(context, points) for context in contexts]
            log_prob[points] = self.log_prob_at_temperature(*self.squared_noise(theta[points], point_contexts))
        return np.where(self.parameters.inside(theta), log_prob, -np.inf)

    def squared_noise(self, theta: np.ndarray, contexts: Contexts) -> tuple[np.ndarray, np.ndarray]:
        """The base noise of points theta (n, P), squared and summed, and log |d noise / d theta|: (M, n) each.

        They determine the density at any temperature.
        """
        by_stack = []
        for stack, context in zip(self.stacks, contexts, strict=True):
            z, log_det = stack.support.forward(theta)
            squares, log_dets = _squared_noise(stack, z, context)
            by_stack.append((squares, log_dets + log_det))
        squares, log_dets = (np.concatenate(arrays) for arrays in zip(*by_stack, strict=True))
        return squares, log_dets

    def log_prob_at_temperature(self, squares: np.ndarray, log_dets: np.ndarray) -> np.ndarray:
        """log of the weighted mean of the members' densities, (n,), from ``squared_noise``: (M, n) each."""
        terms = special.logsumexp(log_dets - 0.5 * squares / self.temperature**2, axis=0, b=self.weights[:, None])
        return terms - len(self.parameters) * np.log(self.temperature * np.sqrt(2 * np.pi))

    def at_temperature(self, temperature: float) -> "Mixture":
        return replace(self, temperature=temperature)

    def draw(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> DrawStream:
        """Of one observation, inside the prior's box and region; log q comes with those of a single member."""

        def propose(count: int) -> DrawPiece:
            return self._propose(contexts, count, generator)

        if self.maps_inside:
            return DrawStream(draw_unrestricted(propose, draws))
        return DrawStream(draw_inside(propose, self.parameters, draws))

    def box_mass(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> float:
        """The fraction of draws inside box and region, of one observation; at least half a draw, to stay above 0."""
        theta = self._propose(contexts, draws, generator).theta
        return max(float(self.parameters.accepts(theta).mean()), 0.5 / draws)

    @torch.no_grad()
    def box_masses(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> np.ndarray:
        """The mass inside box and region of n observations, (n,), by so many draws of every member; at least half a
        draw's."""
        masses = np.zeros(contexts[0].shape[1])
        for stack, context, weights in zip(self.stacks, contexts, self._split_by_stack(self.weights), strict=True):
            for rows in slices(len(masses), max(1, POINTS_PER_CALL // draws)):
                repeated = context[:, rows].repeat_interleave(draws, dim=1)
                shape = (stack.members, repeated.shape[1], len(self.parameters))
                noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(stack.device)
                z, _ = stack.network.draw(noise, repeated, self.temperature)
                inside = self.parameters.accepts(stack.support.inverse(z.double().cpu().numpy().reshape(-1, shape[2])))
                masses[rows] += weights @ inside.reshape(stack.members, -1, draws).mean(axis=2)
        return np.maximum(masses, 0.5 / draws)

    def log_box_mass_at_temperature(
        self, contexts: Contexts, generator: np.random.Generator
    ) -> Callable[[float], float]:
        """T -> log of the mass of one observation's posterior inside box and region at temperature T."""
        shares, mixtures = zip(*self.by_stack(), strict=True)
        masses = [
            mixture._log_stack_mass_at_temperature(context, generator)
            for mixture, context in zip(mixtures, contexts, strict=True)
        ]
        return lambda temperature: float(special.logsumexp([mass(temperature) for mass in masses], b=shares))

    def by_stack(self) -> list[tuple[float, "Mixture"]]:
        """Each stack as a mixture of its own, with its share of this one."""
        mixtures = []
        for stack, weights in zip(self.stacks, self._split_by_stack(self.weights), strict=True):
            share = weights.sum()
            mixtures.append((float(share), replace(self, stacks=(stack,), weights=weights / share)))
        return mixtures

    def _split_by_stack(self, members: np.ndarray) -> list[np.ndarray]:
        """Numbers of all members (M in all,) -> (M,) of each stack."""
        return np.split(members, np.cumsum([stack.members for stack in self.stacks])[:-1])

    def _log_stack_mass_at_temperature(
        self, context: torch.Tensor, generator: np.random.Generator
    ) -> Callable[[float], float]:
        """T -> log of the mass inside of a mixture of one stack, under its context (M, 1, C)."""
        if self.maps_inside:
            return lambda temperature: 0.0
        (stack,) = self.stacks
        draws = []
        for temperature in PROPOSAL_TEMPERATURES:
            counts = generator.multinomial(PROPOSALS_PER_TEMPERATURE, self.weights)
            width = _points_per_call(PROPOSALS_PER_TEMPERATURE, self.weights)
            draws.append(_draw_members(stack, context, counts, width, temperature, generator)[0])
        z = np.concatenate(draws)
        noise = _squared_noise(stack, z, context)  # of z: a draw outside the box has no theta
        inside = self.parameters.accepts(stack.support.inverse(z))
        return log_box_mass(
            lambda temperature: self.at_temperature(temperature).log_prob_at_temperature(*noise), inside
        )

    def _propose(self, contexts: Contexts, count: int, generator: np.random.Generator) -> DrawPiece:
        """``count`` draws, inside or not: how many each member gives is multinomial; then shuffled.

        Where there is one member alone, log q(theta | x) of each too.
        """
        by_stack = map(self._split_by_stack, (self.weights, generator.multinomial(count, self.weights)))
        draws, log_probs = [], []
        for stack, context, weights, counts in zip(self.stacks, contexts, *by_stack, strict=True):
            width = _points_per_call(count, weights)
            z, log_prob = _draw_members(stack, context, counts, width, self.temperature, generator)
            draws.append(stack.support.inverse(z))
            log_probs.append(log_prob)
        theta = np.concatenate(draws)
        if len(self.weights) == 1:
            return DrawPiece(theta, log_probs[0] + self.stacks[0].support.forward(theta)[1])
        return DrawPiece(generator.permutation(theta))


def _points_per_call(count: int, weights: np.ndarray) -> int:
    """Points of each member of a stack, of weights (M,) in a mixture that gives ``count`` draws, in a network call.

    It is rarely exceeded, and nothing else than these decide it, so that no draw feels another row.
    """
    expected = count * weights.max()
    return min(POINTS_PER_CALL, count if expected == count else int(expected + 4 * np.sqrt(expected)) + 1)


@torch.no_grad()
def _draw_members(
    stack: FlowStack,
    context: torch.Tensor,
    counts: np.ndarray,
    width: int,
    temperature: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws z (n, P) of one observation, counts (M,) of each member, and log q(z | x) of the member, (n,).

    width: points of each member in a network call, filled up and cut.
    """
    draws, log_probs = [np.empty((0, len(stack.support.parameters)))], [np.empty(0)]
    while counts.max() > 0:
        shape = (stack.members, width, len(stack.support.parameters))
        noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(stack.device)
        z, log_prob = stack.network.draw(noise, context, temperature)
        for member, left in enumerate(counts):
            draws.append(z[member, :left].double().cpu().numpy())
            log_probs.append(log_prob[member, :left].double().cpu().numpy())
        counts = np.maximum(counts - width, 0)
    return np.concatenate(draws), np.concatenate(log_probs)


@torch.no_grad()
def _squared_noise(stack: FlowStack, z: np.ndarray, context: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The noise of points z (n, P), squared and summed, and log |d noise / d z|: (M, n) each.

    context: (M, n, C) of as many observations, or (M, 1, C) of one.
    """
    points = torch.from_numpy(z.astype(np.float32)).to(stack.device)
    batches = []
    for batch in slices(len(z), POINTS_PER_CALL, keep_empty=True):
        noise, log_det = stack.network.transform(
            expand_members(points[batch], stack.members), _contexts_of_points(context, batch)
        )
        batches.append(torch.stack([noise.double().square().sum(-1), log_det.double()]).cpu().numpy())
    squares, log_dets = np.concatenate(batches, axis=2)
    return squares, log_dets


class TruthDensity:
    """log q at the truths of rows that are added one by one, before it is renormalised over the box.

    A network always sees TRUTHS_PER_CALL rows at once, the last batch filled up by repetition: the result of a row does
    not depend on how many other rows there are.
    """

    def __init__(self, mixture: Mixture, theta: np.ndarray | None) -> None:
        """theta: (N, P) of all rows of the catalog, NaN where not known; None if it is known of none."""
        self.mixture, self.theta = mixture, theta
        self.pending: list[tuple[int, Contexts]] = []
        self.log_probs: list[np.ndarray] = []

    def add(self, row: int, contexts: Contexts) -> None:
        """The embedded data of a row; nothing is computed if the truths are not known."""
        if self.theta is None:
            return
        self.pending.append((row, contexts))
        if len(self.pending) == TRUTHS_PER_CALL:
            self._evaluate(self.theta)

    def log_prob(self) -> np.ndarray | None:
        """Of all rows that were added, (n,), in catalog units, NaN without a truth; None if no truth is known."""
        if self.theta is None:
            return None
        if self.pending:
            self._evaluate(self.theta)
        return np.concatenate(self.log_probs)

    def _evaluate(self, theta: np.ndarray) -> None:
        filled_up = [self.pending[n % len(self.pending)] for n in range(TRUTHS_PER_CALL)]
        rows, contexts = zip(*filled_up, strict=True)
        batch = [torch.cat(stack, dim=1) for stack in zip(*contexts, strict=True)]
        points = theta[np.array(rows)]
        log_prob = np.where(np.isnan(points).all(axis=1), np.nan, self.mixture.log_prob(points, batch))
        self.log_probs.append(log_prob[: len(self.pending)])
        self.pending = []


def _contexts_of_points(context: torch.Tensor, points: slice) -> torch.Tensor:
    """The contexts (M, k, C) of some of n points; (M, 1, C) of one observation, which all points share, stays."""
    return context if context.shape[1] == 1 else context[:, points].contiguous()
