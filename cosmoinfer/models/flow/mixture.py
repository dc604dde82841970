"""The mixture that an ensemble of flows is: its density, at the truths too, and its draws, in catalog units."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import special

from cosmoinfer.memory import slices
from cosmoinfer.models.flow.network import ConditionalFlow
from cosmoinfer.models.model import Stack
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.sampling.rejection import (
    MAX_DRAWS_PER_PIECE,
    DrawPiece,
    DrawStream,
    draw_inside,
    draw_unrestricted,
)
from cosmoinfer.sampling.temperature import PROPOSAL_TEMPERATURES, log_box_mass
from cosmoinfer.supports import Support

POINTS_PER_CALL = 1 << 13  # of each member, that go through a network at once
PROPOSALS_PER_TEMPERATURE = 50  # of one row, for its mass inside the prior box
TRUTHS_PER_CALL = 256  # of as many observations, that go through a network at once
Contexts = list[torch.Tensor]  # of n observations, (M, n, C) a stack


@dataclass(frozen=True)
class Mixture:
    """sum_m w_m q_m(theta | x). weights: (M in all,); temperature: the standard deviation of every member's noise."""

    stacks: tuple[Stack[ConditionalFlow], ...]
    weights: np.ndarray
    support: Support
    temperature: float = 1.0

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
        return np.where(self.support.parameters.inside(theta), log_prob, -np.inf)

    def squared_noise(self, theta: np.ndarray, contexts: Contexts) -> tuple[np.ndarray, np.ndarray]:
        """The base noise of points theta (n, P), squared and summed, and log |d noise / d theta|: (M, n) each.

        They determine the density at any temperature.
        """
        z, log_det = self.support.forward(theta)
        squares, log_dets = self._squared_noise(z, contexts)
        return squares, log_dets + log_det

    @torch.no_grad()
    def _squared_noise(self, z: np.ndarray, contexts: Contexts) -> tuple[np.ndarray, np.ndarray]:
        batches = []
        for points, point_contexts in self._batches(z, contexts):
            members = []
            for stack, context in zip(self.stacks, point_contexts, strict=True):
                noise, log_det = stack.network.transform(expand_members(points, stack.members), context)
                members.append(torch.stack([noise.double().square().sum(-1), log_det.double()]).cpu().numpy())
            batches.append(np.concatenate(members, axis=1))
        squares, log_dets = np.concatenate(batches, axis=2)
        return squares, log_dets

    def log_prob_at_temperature(self, squares: np.ndarray, log_dets: np.ndarray) -> np.ndarray:
        """log of the weighted mean of the members' densities, (n,), from ``squared_noise``: (M, n) each."""
        terms = special.logsumexp(log_dets - 0.5 * squares / self.temperature**2, axis=0, b=self.weights[:, None])
        return terms - len(self.support.parameters) * np.log(self.temperature * np.sqrt(2 * np.pi))

    def at_temperature(self, temperature: float) -> "Mixture":
        return replace(self, temperature=temperature)

    def draw(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> DrawStream:
        """Of one observation, inside the prior's box and region; log q comes with those of a single member."""

        def propose(count: int) -> DrawPiece:
            z, log_prob = self._propose(contexts, count, generator)
            theta = self.support.inverse(z)
            return DrawPiece(theta, None if log_prob is None else log_prob + self.support.forward(theta)[1])

        if self.support.maps_inside:
            return DrawStream(draw_unrestricted(propose, draws))
        return DrawStream(draw_inside(propose, self.support.parameters, draws))

    def box_mass(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> float:
        """The fraction of draws inside box and region, of one observation; at least half a draw, to stay above 0."""
        z, _ = self._propose(contexts, draws, generator)
        return max(self.support.parameters.accepts(self.support.inverse(z)).mean(), 0.5 / draws)

    def log_box_mass_at_temperature(
        self, contexts: Contexts, generator: np.random.Generator
    ) -> Callable[[float], float]:
        """T -> log of the mass of one observation's posterior inside box and region at temperature T."""
        mixtures = [self.at_temperature(temperature) for temperature in PROPOSAL_TEMPERATURES]
        z = np.concatenate(
            [mixture._propose(contexts, PROPOSALS_PER_TEMPERATURE, generator)[0] for mixture in mixtures]
        )
        noise = self._squared_noise(z, contexts)  # of z: a draw outside the box has no theta
        inside = self.support.parameters.accepts(self.support.inverse(z))
        return log_box_mass(
            lambda temperature: self.at_temperature(temperature).log_prob_at_temperature(*noise), inside
        )

    def _batches(self, z: np.ndarray, contexts: Contexts) -> Iterator[tuple[torch.Tensor, Contexts]]:
        """Points (k, P) on the device, with their contexts (M, k, C) of each stack, or (M, 1, C) of one observation."""
        points = torch.from_numpy(z.astype(np.float32)).to(self.stacks[0].device)
        for batch in slices(len(z), POINTS_PER_CALL, keep_empty=True):
            yield points[batch], [_contexts_of_points(context, batch) for context in contexts]

    @torch.no_grad()
    def _propose(
        self, contexts: Contexts, count: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``count`` draws z (count, P): how many each member gives is multinomial; then shuffled.

        Where there is one member alone, log q(z | x) of each too, (count,). Network calls have one fixed shape for a
        given count, filled up and cut, so that no draw feels another row.
        """
        counts, first = generator.multinomial(count, self.weights), 0
        draws, log_probs = [], []
        for stack, context in zip(self.stacks, contexts, strict=True):
            members = slice(first, first + stack.members)
            first = members.stop
            remaining, expected = counts[members], count * self.weights[members].max()
            width = min(POINTS_PER_CALL, int(expected + 4 * np.sqrt(expected)) + 1 if len(self.weights) > 1 else count)
            while remaining.max() > 0:
                shape = (stack.members, width, len(self.support.parameters))
                noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(stack.device)
                z, log_prob = stack.network.draw(noise, context, self.temperature)
                for member, left in enumerate(remaining):
                    draws.append(z[member, :left].double().cpu().numpy())
                    log_probs.append(log_prob[member, :left].double().cpu().numpy())
                remaining = np.maximum(remaining - width, 0)
        if len(self.weights) == 1:
            return np.concatenate(draws), np.concatenate(log_probs)
        return generator.permutation(np.concatenate(draws)), None


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
