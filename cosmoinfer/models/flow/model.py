"""Flows conditioned on the data: p(theta | x) by maximum likelihood, as a mixture of M members."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.flows import FLOWS, Transform
from cosmoinfer.models import sets
from cosmoinfer.models.box import Inside, Listener, Proposed, draw_inside, row_by_row
from cosmoinfer.models.flow.recipe import StackRecipe
from cosmoinfer.models.frame import Frame, Spaces, in_chunks
from cosmoinfer.models.recalibration import (
    NORMALISING_ROWS,
    PROPOSING,
    LogProbs,
    Recalibration,
    fit_recalibration,
    log_mass,
)
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.stack import Stack, read_stacks
from cosmoinfer.networks.embedding import Embedding, SetEmbedding, build_embedding, named
from cosmoinfer.networks.stacked import Generators
from cosmoinfer.posterior import Posterior
from cosmoinfer.scaling import Support
from cosmoinfer.training import stacked

TOGETHER = 256  # rows whose truths go through a network at once
POINTS = 1 << 13  # a member, that go through a network at once
PROPOSALS = 50  # at each temperature, of one row, for its mass inside the box


class ConditionalFlow(nn.Module):
    """An embedding of the data and a transform from parameters to standard normal noise, M members of each."""

    embedding: Embedding | SetEmbedding
    transform: Transform

    def __init__(self, embedding: Embedding | SetEmbedding, transform: Transform) -> None:
        super().__init__()
        self.embedding, self.transform = embedding, transform

    def log_prob(self, z: torch.Tensor, context: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """log q(z | x) of rows (M*B, P) under the contexts (M*B, C) of their members, or (M, C) of one row, (M*B,).

        temperature: the standard deviation of the noise.
        """
        noise, log_det = self.transform(z, context)
        return log_det + _log_normal(noise, temperature)

    def draw(self, noise: torch.Tensor, context: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """z of standard normal noise (M*B, P), and log q(z | x), (M*B,); contexts (M*B, C), or (M, C) of one row."""
        noise = noise * temperature
        z, log_det = self.transform.inverse(noise, context)
        return z, _log_normal(noise, temperature) - log_det


def _log_normal(noise: torch.Tensor, temperature: float) -> torch.Tensor:
    """log density of independent normals of this width, (n, P) -> (n,)."""
    squares = (noise / temperature).square()
    return -0.5 * (squares + np.log(2 * np.pi)).sum(-1) - noise.shape[-1] * np.log(temperature)


def build_flow(config: dict[str, Any], generators: Generators) -> ConditionalFlow:
    """From the JSON of a stack: recipe and embedding by name, with their settings."""
    size = config.get("rows", 0)
    shapes = [tuple(shape[1:] if size else shape) for shape in config["shapes"]]
    each = build_embedding(config["embedding"], shapes, config["features"], generators)
    embedding = SetEmbedding(each) if size else each
    recipe = FLOWS[config["flow"]](**config["recipe"])
    return ConditionalFlow(embedding, recipe.build(config["parameters"], embedding.size, generators))


def conditions(
    frame: Frame,
    summary: RegressorModel | None,
    catalog: Catalog,
    rows: np.ndarray,
    epoch: int | None = None,
    size: int = 0,
) -> tuple[np.ndarray, ...]:
    """The scaled data of these rows, or what a summary network says of them. epoch: with fresh noise.

    size: of the sets that rows stand for, if they do: then (n, size, ...), of all rows of their simulations.
    """
    if size:
        every = conditions(frame, summary, catalog, sets.members(catalog, rows, size).ravel(), epoch)
        return tuple(one.reshape(len(rows), size, *one.shape[1:]) for one in every)
    if summary is None:
        return frame.data(catalog, rows, epoch)
    return (summary.summarise(catalog, rows, epoch),)


@dataclass(frozen=True)
class _Row:
    """Of one observation: its contexts (M, 1, C) by stack, draws (S, P) and log q of each, and of the box the log mass
    and its error."""

    contexts: list[torch.Tensor]
    samples: np.ndarray
    log_prob: np.ndarray
    log_mass: float
    error: float


@dataclass(frozen=True)
class FlowModel:
    """weights: (M in all,) of the mixture. summary: the trained regressor that feeds the flow, if there is one.
    ancestor: the flow whose weights it started from. temperature: the standard deviation of the noise of every member;
    recalibration: that which the validation rows ask for, taken only on demand."""

    frame: Frame
    support: Support
    stacks: tuple[Stack[ConditionalFlow], ...]
    weights: np.ndarray
    summary: RegressorModel | None = None
    ancestor: "FlowModel | None" = None
    temperature: float = 1.0
    recalibration: Recalibration | None = None
    kind = "flow"

    def data(self, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the flow is conditioned on."""
        return conditions(self.frame, self.summary, catalog, rows, size=self.set_size)

    @property
    def set_size(self) -> int:
        """Rows of one simulation that it takes together; 0 if every row stands for itself."""
        return int(self.stacks[0].config.get("rows", 0))

    def heads(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        """The rows that stand for these: of a set, the first of its simulation."""
        return sets.heads(catalog, rows) if self.set_size else rows

    def unnormalised(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, before a truncated flow is renormalised over the box."""
        z, log_det = self.support.forward(theta)
        parts = [
            self._mixture(z[some], self._contexts(self.data(catalog, rows[some])))
            for some in in_chunks(np.arange(len(rows)), self.frame.at_once)
        ]
        return np.concatenate(parts) + log_det

    def log_prob(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """log q(theta_n | x_n), (n,), in catalog units, normalised over the box with ``draws`` draws a row."""
        log_prob = self.unnormalised(catalog, rows, theta)
        if not self.support.exact:
            mass = [self._mass(self.data(catalog, rows[n : n + 1]), draws, seed, row) for n, row in enumerate(rows)]
            log_prob -= np.log(mass)
        return np.where(self.frame.parameters.inside(theta), log_prob, -np.inf)

    def posterior(
        self, catalog: Catalog, rows: np.ndarray, draws: int, seed: int, listen: Listener, skip_failed: bool
    ) -> Posterior:
        """``draws`` draws of each row. The draws of a row depend on its number and the seed, on no other row."""
        kept, drawn = row_by_row(catalog, rows, lambda row: self._row(catalog, row, draws, seed), listen, skip_failed)
        return Posterior(
            self.frame.parameters,
            catalog.index[kept],
            catalog.simulation[kept],
            self.frame.parts(catalog, kept),
            None if catalog.theta is None else catalog.theta[kept],
            np.stack([one.samples for one in drawn]),
            np.stack([one.log_prob for one in drawn]),
            None if catalog.theta is None else self._at_truths(catalog.theta[kept], drawn),
            self._references(catalog, kept),
            log_norm_error=None if self.support.exact else np.array([one.error for one in drawn]),
            temperature=None if self.temperature == 1 else self.temperature,
            **self.frame.oddness(catalog, kept, self.spaces, seed),
        )

    def calibrated(self, catalog: Catalog, seed: int) -> "FlowModel":
        """With what the validation rows say: the temperature that they ask for, and how far from the training rows
        they lie themselves."""
        rows = self.heads(catalog, self.frame.split.rows(catalog.simulation, "validation"))
        log_probs = self._of_temperature(catalog, rows, catalog.training()[1][rows], seed)
        frame = self.frame.acquainted(catalog, self.spaces)
        return replace(self, frame=frame, recalibration=fit_recalibration(log_probs, catalog.simulation[rows]))

    def spaces(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """In which rows are told from the training's: those of the data, and what the flow's networks make of them."""
        if len(heads := self.heads(catalog, rows)) < len(rows):  # once a set, and the same for all of its rows
            place = {one: number for number, one in enumerate(catalog.simulation[heads].tolist())}
            back = [place[one] for one in catalog.simulation[rows].tolist()]
            return [one[back] for one in self.spaces(catalog, heads)]
        learned = [] if self.summary is None else self._of_sets(self._summaries, catalog, rows)
        taught = [any(name != "none" for name, _ in stack.config["embedding"]) for stack in self.stacks]
        if any(taught):
            found = []
            for some in in_chunks(rows, self.frame.at_once):
                contexts = self._contexts(self.data(catalog, some))
                own = [one for one, learns in zip(contexts, taught, strict=True) if learns]
                found.append(np.concatenate([one.transpose(0, 1).flatten(1).cpu().numpy() for one in own], axis=1))
            learned.append(np.concatenate(found))
        return [*self._of_sets(self.frame.spaces, catalog, rows), *learned]

    def _summaries(self, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        return list(conditions(self.frame, self.summary, catalog, rows))

    def _references(self, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
        (found,) = self._of_sets(lambda *which: [self.frame.references(*which)], catalog, rows)
        return found

    def _of_sets(self, told: Spaces, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
        """What is told of rows, (n, F) each; where they stand for sets, the mean over their sets."""
        if not self.set_size:
            return told(catalog, rows)
        every = told(catalog, sets.members(catalog, rows, self.set_size).ravel())
        return [one.reshape(len(rows), self.set_size, -1).mean(axis=1) for one in every]

    def _row(self, catalog: Catalog, row: int, draws: int, seed: int) -> "_Row":
        contexts = self._contexts(self.data(catalog, np.array([row])))
        inside = self._draws(contexts, draws, seed, int(catalog.index[row]))
        log_prob = self._log_prob_at(inside.samples, contexts) if inside.log_prob is None else inside.log_prob
        return _Row(contexts, inside.samples, log_prob - inside.log_mass, inside.log_mass, inside.error)

    def _at_truths(self, theta: np.ndarray, drawn: Sequence["_Row"]) -> np.ndarray:
        """log q at the truth (n, P) of each row that was drawn, (n,): many rows a network call, always as many."""
        found = []
        for some in in_chunks(np.arange(len(drawn)), TOGETHER):
            full = np.resize(some, TOGETHER)  # repeated, so that a row does not feel how many others there are
            together = zip(*(drawn[number].contexts for number in full), strict=True)
            log_prob = self._log_prob_at(theta[full], [torch.cat(one, dim=1) for one in together])
            found.append(log_prob[: len(some)])
        return np.concatenate(found) - np.array([one.log_mass for one in drawn])

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
    def _mixture(self, z: np.ndarray, contexts: list[torch.Tensor]) -> np.ndarray:
        """log sum_m w_m q_m(z | x), (n,), for z (n, P) of as many contexts, or of one: the mean of densities."""
        found = []
        for points, given in self._pieces(z, contexts):
            terms = []
            for stack, context in zip(self.stacks, given, strict=True):
                log_prob = stack.network.log_prob(stacked(points, stack.members), context, self.temperature)
                terms.append(log_prob.reshape(stack.members, -1).double().cpu().numpy())
            found.append(special.logsumexp(np.concatenate(terms), axis=0, b=self.weights[:, None]))
        return np.concatenate(found)

    def _pieces(self, z: np.ndarray, contexts: list[torch.Tensor]) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
        """Some points (n, P) at a time, on the device, with their contexts (M*n, C) by stack, or (M, C) of one."""
        points = torch.from_numpy(z.astype(np.float32)).to(self.stacks[0].device)
        for start in range(0, max(1, len(z)), POINTS):
            some = slice(start, start + POINTS)
            given = [one[:, 0] if one.shape[1] == 1 else one[:, some].flatten(0, 1) for one in contexts]
            yield points[some], given

    def _log_prob_at(self, theta: np.ndarray, contexts: list[torch.Tensor]) -> np.ndarray:
        """log q(theta | x) at points (S, P) of one observation, or of as many, before any renormalisation."""
        z, log_det = self.support.forward(theta)
        log_prob = self._mixture(z, contexts) + log_det
        return np.where(self.frame.parameters.inside(theta), log_prob, -np.inf)

    def _draws(self, contexts: list[torch.Tensor], draws: int, seed: int, row: int) -> Inside:
        """Of one observation."""
        generator = seeding.generator(seed, "draws", row)

        def propose(count: int) -> Proposed:
            z, log_prob = self._propose(contexts, count, generator)
            theta = self.support.inverse(z)
            return Proposed(theta, None if log_prob is None else log_prob + self.support.forward(theta)[1])

        if self.support.exact:
            found = propose(draws)
            return Inside(found.theta, 0.0, 0.0, found.log_prob)
        return draw_inside(propose, self.frame.parameters, draws)

    @torch.no_grad()
    def _propose(
        self, contexts: list[torch.Tensor], count: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``count`` draws z (count, P) of the mixture: how many each member gives is multinomial; then shuffled.

        Where there is one member alone, log q(z | x) of each too, (count,). Network calls have one fixed shape for a
        given count, filled up and cut, so that no draw feels another row.
        """
        needs, first = generator.multinomial(count, self.weights), 0
        parts, log_probs = [], []
        for stack, context in zip(self.stacks, contexts, strict=True):
            own = slice(first, first + stack.members)
            first = own.stop
            need, share = needs[own], count * self.weights[own].max()
            width = min(POINTS, int(share + 4 * np.sqrt(share)) + 1 if len(self.weights) > 1 else count)
            while need.max() > 0:
                shape = (stack.members, width, len(self.frame.parameters))
                noise = torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).to(self.stacks[0].device)
                z, log_prob = stack.network.draw(noise.flatten(0, 1), context[:, 0], self.temperature)
                for member, left in enumerate(need):
                    parts.append(z.reshape(shape)[member, :left].double().cpu().numpy())
                    log_probs.append(log_prob.reshape(shape[:2])[member, :left].double().cpu().numpy())
                need = np.maximum(need - width, 0)
        if len(self.weights) == 1:
            return np.concatenate(parts), np.concatenate(log_probs)
        return generator.permutation(np.concatenate(parts)), None

    def _mass(self, data: tuple[np.ndarray, ...], draws: int, seed: int, row: int) -> float:
        """The share of the mixture inside the box; at least half a draw, so that a comparison stays finite."""
        z, _ = self._propose(self._contexts(data), draws, seeding.generator(seed, "mass", row))
        return max(self.frame.parameters.inside(self.support.inverse(z)).mean(), 0.5 / draws)

    # ------------------------------------------------------------------------------------------------ temperature
    def _of_temperature(self, catalog: Catalog, rows: np.ndarray, theta: np.ndarray, seed: int) -> LogProbs:
        """log q_T of these truths, (n,), for any T, after one pass of the networks.

        A truncated mixture loses its mean log mass at T: that of a few rows, which varies little from row to row.
        """
        z, log_det = self.support.forward(theta)
        found = [
            self._noise(z[some], self._contexts(self.data(catalog, rows[some])))
            for some in in_chunks(np.arange(len(rows)), self.frame.at_once)
        ]
        squares, log_dets = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        masses: list[Callable[[float], float]] = []
        if not self.support.exact:
            some = range(0, len(rows), -(-len(rows) // NORMALISING_ROWS))
            masses = [self._log_mass(self.data(catalog, rows[n : n + 1]), seed, int(rows[n])) for n in some]

        def log_probs(temperature: float) -> np.ndarray:
            outside = np.mean([mass(temperature) for mass in masses]) if masses else 0.0
            return self._tempered(squares, log_dets, temperature) + log_det - outside

        return log_probs

    def _log_mass(self, data: tuple[np.ndarray, ...], seed: int, row: int) -> Callable[[float], float]:
        """log of the share of the mixture inside the box, for any T."""
        contexts, generator = self._contexts(data), seeding.generator(seed, "temperature", row)
        hotter = [replace(self, temperature=temperature) for temperature in PROPOSING]
        z = np.concatenate([one._propose(contexts, PROPOSALS, generator)[0] for one in hotter])
        noise = self._noise(z, contexts)
        inside = self.frame.parameters.inside(self.support.inverse(z))
        return log_mass(lambda temperature: self._tempered(*noise, temperature), inside)

    @torch.no_grad()
    def _noise(self, z: np.ndarray, contexts: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Of every member, the noise of z (n, P) squared and summed, and log |det|: (M, n) each."""
        pieces = []
        for points, given in self._pieces(z, contexts):
            found = []
            for stack, context in zip(self.stacks, given, strict=True):
                noise, log_det = stack.network.transform(stacked(points, stack.members), context)
                both = torch.stack([(noise.double() ** 2).sum(-1), log_det.double()])
                found.append(both.reshape(2, stack.members, -1).cpu().numpy())
            pieces.append(np.concatenate(found, axis=1))
        squares, log_dets = np.concatenate(pieces, axis=2)
        return squares, log_dets

    def _tempered(self, squares: np.ndarray, log_dets: np.ndarray, temperature: float) -> np.ndarray:
        """log of the mixture at this temperature, (n,)."""
        terms = special.logsumexp(log_dets - 0.5 * squares / temperature**2, axis=0, b=self.weights[:, None])
        return terms - len(self.frame.parameters) * np.log(temperature * np.sqrt(2 * np.pi))

    # -------------------------------------------------------------------------------------------------- the file
    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield "support/shift", self.support.shift
        yield "support/scale", self.support.scale
        yield from ({} if self.recalibration is None else self.recalibration.arrays()).items()

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
        recalibration = Recalibration.from_arrays(arrays)
        stacks = read_stacks(arrays, build_flow)
        return cls(frame, support, stacks, arrays["mixture"], **embedded, recalibration=recalibration)


def stack_config(
    frame: Frame, shapes: tuple[tuple[int, ...], ...], recipe: StackRecipe, size: int = 0
) -> dict[str, Any]:
    """The JSON from which ``build_flow`` builds; plain lists and numbers only. size: of sets that rows stand for."""
    wraps = frame.periodic if len(frame.periodic) == len(shapes) else [False] * len(shapes)
    return {
        "flow": recipe.flow,
        "recipe": asdict(recipe.settings),
        "embedding": named(recipe.embedding, wraps),
        "features": recipe.features,
        "shapes": [list(shape) for shape in shapes],
        "parameters": len(frame.parameters),
        **({"rows": size} if size else {}),
    }
