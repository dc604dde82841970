"""The mixture that an ensemble of flows is: its density and its draws, in catalog units."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import special

from cosmoinfer.chunking import slices
from cosmoinfer.models.ensemble import Stack
from cosmoinfer.models.flow.network import ConditionalFlow
from cosmoinfer.networks.members import expand_members
from cosmoinfer.sampling.rejection import (
    MAX_DRAWS_PER_PIECE,
    DrawStream,
    Proposal,
    draw_inside,
    draw_unrestricted,
)
from cosmoinfer.sampling.temperature import PROPOSING, log_mass
from cosmoinfer.supports import Support

POINTS = 1 << 13  # a member, that go through a network at once
PROPOSALS = 50  # at each temperature, of one row, for its mass inside the box
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
        """log q(theta | x), (n,), at points (n, P) of as many observations, or of one; not renormalised over the box.

        Outside the box -inf.
        """
        log_prob = np.empty(len(theta))
        for piece in slices(len(theta), MAX_DRAWS_PER_PIECE):
            piece_contexts = [context if context.shape[1] == 1 else context[:, piece] for context in contexts]
            log_prob[piece] = self.log_prob_at_temperature(*self.noise(theta[piece], piece_contexts))
        return np.where(self.support.parameters.inside(theta), log_prob, -np.inf)

    def noise(self, theta: np.ndarray, contexts: Contexts) -> tuple[np.ndarray, np.ndarray]:
        """Of every member, the noise of theta (n, P) squared and summed, and log |det| of the way there: (M, n) each.

        From these follows the density at any temperature.
        """
        z, log_det = self.support.forward(theta)
        squares, log_dets = self._noise(z, contexts)
        return squares, log_dets + log_det

    @torch.no_grad()
    def _noise(self, z: np.ndarray, contexts: Contexts) -> tuple[np.ndarray, np.ndarray]:
        pieces = []
        for points, piece_contexts in self._pieces(z, contexts):
            by_stack = []
            for stack, context in zip(self.stacks, piece_contexts, strict=True):
                noise, log_det = stack.network.transform(expand_members(points, stack.members), context)
                terms = torch.stack([noise.double().square().sum(-1), log_det.double()])
                by_stack.append(terms.cpu().numpy())
            pieces.append(np.concatenate(by_stack, axis=1))
        squares, log_dets = np.concatenate(pieces, axis=2)
        return squares, log_dets

    def log_prob_at_temperature(self, squares: np.ndarray, log_dets: np.ndarray) -> np.ndarray:
        """log of the mean of densities, (n,), from ``noise``."""
        terms = special.logsumexp(log_dets - 0.5 * squares / self.temperature**2, axis=0, b=self.weights[:, None])
        return terms - len(self.support.parameters) * np.log(self.temperature * np.sqrt(2 * np.pi))

    def at(self, temperature: float) -> "Mixture":
        return replace(self, temperature=temperature)

    def draw(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> DrawStream:
        """Of one observation, inside the prior box; log q comes with them where there is one member alone."""

        def propose(count: int) -> Proposal:
            z, log_prob = self._propose(contexts, count, generator)
            theta = self.support.inverse(z)
            return Proposal(theta, None if log_prob is None else log_prob + self.support.forward(theta)[1])

        if self.support.maps_into_box:
            return DrawStream(draw_unrestricted(propose, draws))
        return DrawStream(draw_inside(propose, self.support.parameters, draws))

    def mass(self, contexts: Contexts, draws: int, generator: np.random.Generator) -> float:
        """The share inside the box, of one observation; at least half a draw, so that a comparison stays finite."""
        z, _ = self._propose(contexts, draws, generator)
        return max(self.support.parameters.inside(self.support.inverse(z)).mean(), 0.5 / draws)

    def log_mass(self, contexts: Contexts, generator: np.random.Generator) -> Callable[[float], float]:
        """log of the share inside the box, of one observation, for any temperature."""
        drawn = [self.at(temperature)._propose(contexts, PROPOSALS, generator)[0] for temperature in PROPOSING]
        z = np.concatenate(drawn)
        noise = self._noise(z, contexts)  # of z: a draw outside the box has no theta
        inside = self.support.parameters.inside(self.support.inverse(z))
        return log_mass(lambda temperature: self.at(temperature).log_prob_at_temperature(*noise), inside)

    def _pieces(self, z: np.ndarray, contexts: Contexts) -> Iterator[tuple[torch.Tensor, Contexts]]:
        """Some points (n, P) at a time, on the device, with their contexts (M, n, C) by stack, or (M, 1, C) of one."""
        points = torch.from_numpy(z.astype(np.float32)).to(self.stacks[0].device)
        for start in range(0, max(1, len(z)), POINTS):
            piece = slice(start, start + POINTS)
            piece_contexts = [
                context if context.shape[1] == 1 else context[:, piece].contiguous() for context in contexts
            ]
            yield points[piece], piece_contexts

    @torch.no_grad()
    def _propose(
        self, contexts: Contexts, count: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``count`` draws z (count, P): how many each member gives is multinomial; then shuffled.

        Where there is one member alone, log q(z | x) of each too, (count,). Network calls have one fixed shape for a
        given count, filled up and cut, so that no draw feels another row.
        """
        needs, first = generator.multinomial(count, self.weights), 0
        draws, log_probs = [], []
        for stack, context in zip(self.stacks, contexts, strict=True):
            members = slice(first, first + stack.members)
            first = members.stop
            need, share = needs[members], count * self.weights[members].max()
            width = min(POINTS, int(share + 4 * np.sqrt(share)) + 1 if len(self.weights) > 1 else count)
            while need.max() > 0:
                shape = (stack.members, width, len(self.support.parameters))
                noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(stack.device)
                z, log_prob = stack.network.draw(noise, context, self.temperature)
                for member, left in enumerate(need):
                    draws.append(z[member, :left].double().cpu().numpy())
                    log_probs.append(log_prob[member, :left].double().cpu().numpy())
                need = np.maximum(need - width, 0)
        if len(self.weights) == 1:
            return np.concatenate(draws), np.concatenate(log_probs)
        return generator.permutation(np.concatenate(draws)), None
