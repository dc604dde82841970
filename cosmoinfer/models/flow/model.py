"""Flows conditioned on the data: p(theta | x) by maximum likelihood, as a mixture of M members."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.flows import FLOWS, Transform
from cosmoinfer.models.box import Inside, Listener, draw_inside, row_by_row
from cosmoinfer.models.flow.recipe import StackRecipe
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.stack import Stack, read_stacks
from cosmoinfer.networks.embedding import Embedding, build_embedding, named
from cosmoinfer.networks.stacked import Generators
from cosmoinfer.posterior import Posterior
from cosmoinfer.scaling import Support
from cosmoinfer.training import CHUNK, stacked


class ConditionalFlow(nn.Module):
    """An embedding of the data and a transform from parameters to standard normal noise, M members of each."""

    embedding: Embedding
    transform: Transform

    def __init__(self, embedding: Embedding, transform: Transform) -> None:
        super().__init__()
        self.embedding, self.transform = embedding, transform

    def log_prob(self, z: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """log q(z | x) of rows (M*B, P) under the contexts (M*B, C) of their members, (M*B,)."""
        noise, log_det = self.transform(z, context)
        return log_det - 0.5 * (noise**2 + np.log(2 * np.pi)).sum(-1)

    def draw(self, noise: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return self.transform.inverse(noise, context)[0]


def build_flow(config: dict[str, Any], generators: Generators) -> ConditionalFlow:
    """From the JSON of a stack: recipe and embedding by name, with their settings."""
    shapes = [tuple(shape) for shape in config["shapes"]]
    embedding = build_embedding(config["embedding"], shapes, config["features"], generators)
    recipe = FLOWS[config["flow"]](**config["recipe"])
    return ConditionalFlow(embedding, recipe.build(config["parameters"], embedding.size, generators))


def conditions(
    frame: Frame, summary: RegressorModel | None, catalog: Catalog, rows: np.ndarray, epoch: int | None = None
) -> tuple[np.ndarray, ...]:
    """The scaled data of these rows, or what a summary network says of them. epoch: with fresh noise."""
    if summary is None:
        return frame.data(catalog, rows, epoch)
    return (summary.summarise(catalog, rows, epoch),)


@dataclass(frozen=True)
class FlowModel:
    """weights: (M in all,) of the mixture. summary: the trained regressor that feeds the flow, if there is one.
    ancestor: the flow whose weights it started from."""

    frame: Frame
    support: Support
    stacks: tuple[Stack[ConditionalFlow], ...]
    weights: np.ndarray
    summary: RegressorModel | None = None
    ancestor: "FlowModel | None" = None
    kind = "flow"

    def data(self, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the flow is conditioned on."""
        return conditions(self.frame, self.summary, catalog, rows)

    def unnormalised(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, before a truncated flow is renormalised over the box."""
        z, log_det = self.support.forward(theta)
        data = self.data(catalog, rows)
        chunks = [slice(start, start + CHUNK) for start in range(0, len(rows), CHUNK)]
        parts = [self._mixture(z[chunk], self._contexts(tuple(part[chunk] for part in data)), 1) for chunk in chunks]
        return np.concatenate(parts) + log_det

    def log_prob(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, normalised over the box with ``draws`` draws a row."""
        log_prob = self.unnormalised(catalog, rows, theta)
        if not self.support.exact:
            data = self.data(catalog, rows)
            mass = [self._mass(tuple(part[n : n + 1] for part in data), draws, seed, row) for n, row in enumerate(rows)]
            log_prob -= np.log(mass)
        return np.where(self.frame.parameters.inside(theta), log_prob, -np.inf)

    def posterior(
        self, catalog: Catalog, rows: np.ndarray, draws: int, seed: int, listen: Listener, skip_failed: bool
    ) -> Posterior:
        """``draws`` draws of each row. The draws of a row depend on its number and the seed, on no other row."""
        kept, drawn = row_by_row(catalog, rows, lambda row: self._row(catalog, row, draws, seed), listen, skip_failed)
        samples, log_prob, errors = (np.stack(part) for part in zip(*drawn, strict=True))
        return Posterior(
            self.frame.parameters,
            catalog.index[kept],
            catalog.simulation[kept],
            self.frame.parts(catalog, kept),
            None if catalog.theta is None else catalog.theta[kept],
            samples,
            log_prob[:, :draws],
            None if catalog.theta is None else log_prob[:, draws],
            self.frame.references(catalog, kept),
            log_norm_error=None if self.support.exact else errors,
        )

    def _row(self, catalog: Catalog, row: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Draws (S, P), log q of each and, where it is known, of the truth, and the error of the normalisation."""
        data = self.data(catalog, np.array([row]))
        inside = self._draws(data, draws, seed, int(catalog.index[row]))
        truth = [] if catalog.theta is None else [catalog.theta[row : row + 1]]
        log_prob = self._log_prob_at(np.concatenate([inside.samples, *truth]), data) - inside.log_mass
        return inside.samples, log_prob, inside.error

    # ------------------------------------------------------------------------------------------------- one mixture
    @torch.no_grad()
    def _contexts(self, data: tuple[np.ndarray, ...]) -> list[torch.Tensor]:
        """The embedded data for each stack, (M, n, C)."""
        tensors = [torch.from_numpy(part).to(self.stacks[0].device) for part in data]
        contexts = []
        for stack in self.stacks:
            embedded = stack.network.embedding(*(stacked(part, stack.members) for part in tensors))
            contexts.append(embedded.reshape(stack.members, len(data[0]), -1))
        return contexts

    @torch.no_grad()
    def _mixture(self, z: np.ndarray, contexts: list[torch.Tensor], repeats: int) -> np.ndarray:
        """log sum_m w_m q_m(z | x), for z (n * repeats, P) of n contexts: the mean of densities, not of their logs."""
        points = torch.from_numpy(z.astype(np.float32)).to(self.stacks[0].device)
        terms = []
        for stack, context in zip(self.stacks, contexts, strict=True):
            wide = context.repeat_interleave(repeats, dim=1).flatten(0, 1)
            log_prob = stack.network.log_prob(stacked(points, stack.members), wide)
            terms.append(log_prob.reshape(stack.members, -1).double().cpu().numpy())
        return special.logsumexp(np.concatenate(terms), axis=0, b=self.weights[:, None])

    def _log_prob_at(self, theta: np.ndarray, data: tuple[np.ndarray, ...]) -> np.ndarray:
        """log q(theta | x) at many points (S, P) of one observation, before any renormalisation."""
        z, log_det = self.support.forward(theta)
        log_prob = self._mixture(z, self._contexts(data), len(theta)) + log_det
        return np.where(self.frame.parameters.inside(theta), log_prob, -np.inf)

    def _draws(self, data: tuple[np.ndarray, ...], draws: int, seed: int, row: int) -> Inside:
        """Of one observation."""
        contexts = self._contexts(data)
        generator = seeding.generator(seed, "draws", row)

        def propose(count: int) -> np.ndarray:
            return self.support.inverse(self._propose(contexts, count, generator))

        if self.support.exact:
            return Inside(propose(draws), 0.0, 0.0)
        return draw_inside(propose, self.frame.parameters, draws)

    @torch.no_grad()
    def _propose(self, contexts: list[torch.Tensor], count: int, generator: np.random.Generator) -> np.ndarray:
        """``count`` draws z (count, P) of the mixture: how many each member gives is multinomial; then shuffled.

        Network calls have one fixed shape for a given count, filled up and cut, so that no draw feels another row.
        """
        needs, parts, first = generator.multinomial(count, self.weights), [], 0
        for stack, context in zip(self.stacks, contexts, strict=True):
            own = slice(first, first + stack.members)
            first = own.stop
            need, share = needs[own], count * self.weights[own].max()
            width = int(share + 4 * np.sqrt(share)) + 1
            while need.max() > 0:
                shape = (stack.members, width, len(self.frame.parameters))
                noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(self.stacks[0].device)
                wide = context.expand(-1, width, -1).flatten(0, 1)
                z = stack.network.draw(noise.flatten(0, 1), wide).reshape(shape).double().cpu().numpy()
                parts += [z[member, : min(width, left)] for member, left in enumerate(need)]
                need = np.maximum(need - width, 0)
        return generator.permutation(np.concatenate(parts))

    def _mass(self, data: tuple[np.ndarray, ...], draws: int, seed: int, row: int) -> float:
        """The share of the mixture inside the box; at least half a draw, so that a comparison stays finite."""
        z = self._propose(self._contexts(data), draws, seeding.generator(seed, "mass", row))
        return max(self.frame.parameters.inside(self.support.inverse(z)).mean(), 0.5 / draws)

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield "support/shift", self.support.shift
        yield "support/scale", self.support.scale

    def config(self) -> dict[str, Any]:
        return {"support": self.support.name, "unconstrained": sorted(self.support.unconstrained)}

    def embedded(self) -> dict[str, Any]:
        """Other models that this one needs, or came from."""
        others = {"summary": self.summary, "ancestor": self.ancestor}
        return {name: model for name, model in others.items() if model is not None}

    @classmethod
    def from_arrays(
        cls, frame: Frame, config: dict[str, Any], arrays: dict[str, np.ndarray], embedded: dict[str, Any]
    ) -> "FlowModel":
        loose = frozenset(config["unconstrained"])
        support = Support(config["support"], frame.parameters, arrays["support/shift"], arrays["support/scale"], loose)
        return cls(frame, support, read_stacks(arrays, build_flow), arrays["mixture"], **embedded)


def stack_config(frame: Frame, shapes: tuple[tuple[int, ...], ...], recipe: StackRecipe) -> dict[str, Any]:
    """The JSON from which ``build_flow`` builds; plain lists and numbers only."""
    wraps = frame.periodic if len(frame.periodic) == len(shapes) else [False] * len(shapes)
    return {
        "flow": recipe.flow,
        "recipe": asdict(recipe.settings),
        "embedding": named(recipe.embedding, wraps),
        "features": recipe.features,
        "shapes": [list(shape) for shape in shapes],
        "parameters": len(frame.parameters),
    }
