"""Flows over the data themselves, p(x) or p(x | theta): their density, new data drawn from it, and how odd a row is."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special
from torch import nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS, Transform
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.memory import slices
from cosmoinfer.models.file import Saveable
from cosmoinfer.models.model import Stack, model_html, model_repr
from cosmoinfer.models.observations import Data, observations
from cosmoinfer.networks.layers import Generators, expand_members
from cosmoinfer.ood.typicality import Typicality
from cosmoinfer.preprocessing.null_modes import NullModeNoise
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.sampling.rejection import NoPrediction
from cosmoinfer.settings import recipe_of_config
from cosmoinfer.storage import JSONObject
from cosmoinfer.supports import Support

ROWS_PER_CHUNK = 256  # rows at once
Listener = Callable[[int, int], None]  # rows done, rows in all


class DensityFlow(nn.Module):
    """A transform from data to standard normal noise, M members of it."""

    transform: Transform

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def log_prob(self, x: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        """log q(x | theta) of rows (M, B, ...) under contexts (M, B, C), (M, B)."""
        noise, log_det = self.transform(x, context)
        return log_det - 0.5 * (noise.flatten(2) ** 2 + np.log(2 * np.pi)).sum(-1)

    def log_prob_and_kurtosis(self, x: torch.Tensor, context: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """log q, and the kurtosis of the noise over that of a normal, mean z^4 / 3 (mean z^2)^2: (M, B) each."""
        noise, log_det = self.transform(x, context)
        squares = noise.flatten(2) ** 2
        kurtosis = (squares**2).mean(-1) / (3 * squares.mean(-1) ** 2)
        return log_det - 0.5 * (squares + np.log(2 * np.pi)).sum(-1), kurtosis

    @staticmethod
    def from_config(config: JSONObject, generators: Generators) -> DensityFlow:
        """From the JSON of a stack, with fresh weights: the recipe by name, with its settings."""
        shape, context = tuple(config["shape"]), config["context"]
        if len(shape) == 1:
            recipe = recipe_of_config(FLOWS[config["flow"]], config["recipe"])
            return DensityFlow(recipe.build(shape[0], context, generators))
        map_recipe = recipe_of_config(MAP_FLOWS[config["flow"]], config["recipe"])
        return DensityFlow(map_recipe.build(shape, config["periodic"], context, generators))


@dataclass(frozen=True)
class DensityModel(Saveable):
    """condition: how theta is scaled; None for p(x). null_mode_noise: noise in the modes that never vary, if any.

    weights: (M,) of the mixture. typicality, kurtosis_typicality: what log densities, and what kurtoses of the noise,
    the validation rows have. A density of maps sees little but their power: that a map is not of
    their kind shows in its noise.
    """

    preprocessing: Preprocessing = field(metadata={"path": ""})
    training_record: TrainingRecord = field(metadata={"path": ""})
    condition: Support | None
    null_mode_noise: NullModeNoise | None
    stacks: tuple[Stack[DensityFlow], ...]
    weights: np.ndarray = field(metadata={"path": "mixture_weights"})
    typicality: Typicality
    kurtosis_typicality: Typicality
    provenance: JSONObject = field(default_factory=dict)
    kind: ClassVar[str] = "density"
    __repr__, _repr_html_ = model_repr, model_html

    def scale_parameters(self, theta: np.ndarray | None, path: object) -> np.ndarray | None:
        """theta (n, P) as the flow sees it, float32.

        Raises UserError if the density is conditional and theta is missing; path: what to name in it.
        """
        if self.condition is None:
            return None
        if theta is None:
            raise UserError(
                f"{path}: has no /parameters, and the model is p(x | theta); train one with `unconditional`"
            )
        unknown = int(np.isnan(theta).any(axis=1).sum())
        if unknown:
            raise UserError(f"{path}: /parameters are NaN in {unknown} rows, and the model is p(x | theta)")
        outside = int((~self.preprocessing.parameters.inside(theta)).sum())
        if outside:
            raise UserError(f"{path}: {outside} rows have parameters outside the box or region of the model")
        return self.condition.forward(theta)[0].astype(np.float32)

    def log_prob(self, x: Data, theta: ArrayLike | None = None) -> np.ndarray:
        """log q(x) or log q(x | theta), natural, in catalog units: () of one row, (n,) of n.

        x: of the shape of a row of the training catalog, or (n, ...). theta: (P,) or (n, P), of a conditional density.

        Raises UserError for other shapes, and for parameters that are missing, not asked for, or outside their box.
        """
        if self.condition is None and theta is not None:
            raise UserError("theta: the model is p(x), without parameters")
        observed = observations(self.preprocessing, x, theta)
        log_prob = self.log_prob_of_rows(observed.catalog, observed.rows, lambda done, total: None)
        return log_prob[0] if observed.single else log_prob

    def sample(self, theta: ArrayLike | None = None, draws: int = 1000, seed: int = 0) -> np.ndarray:
        """New rows (draws, ...), in catalog units, as ``cosmoinfer generate`` draws them. theta: (P,), if conditional.

        Raises UserError for parameters that are missing, not asked for, or outside their box.
        """
        if (self.condition is None) != (theta is None):
            expected = (
                "p(x), without parameters" if self.condition is None else "p(x | theta): expected (P,) parameters"
            )
            raise UserError(f"theta: the model is {expected}")
        point = None if theta is None else np.asarray(theta, np.float64)
        if point is not None and point.shape != (len(self.preprocessing.parameters),):
            raise UserError(f"theta: expected shape ({len(self.preprocessing.parameters)},), found {point.shape}")
        return self.generate(None if point is None else point.tolist(), draws, seed)

    def log_prob_of_rows(self, catalog: Catalog, rows: np.ndarray, listen: Listener) -> np.ndarray:
        """log q(x_n | theta_n), (n,), natural, in catalog units: over the modes that vary."""
        return self.log_prob_and_kurtosis(catalog, rows, listen)[0]

    def log_prob_and_kurtosis(
        self, catalog: Catalog, rows: np.ndarray, listen: Listener, theta: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, and the kurtosis of the noise over that of a normal, (n,): the mean of the members'.

        theta: (n, P) of these rows, by default those of the catalog.
        Raises NoPrediction where the density is NaN at every row.
        """
        chunks = []
        for chunk in slices(len(rows), ROWS_PER_CHUNK):
            positions = rows[chunk]
            points = theta[chunk] if theta is not None else None if catalog.theta is None else catalog.theta[positions]
            scaled, slope, log_prob_of_noise = self.network_inputs(catalog, positions)
            log_prob, kurtosis = self._scores_of_scaled(
                scaled, self.scale_parameters(points, catalog.path), log_prob_of_noise
            )
            chunks.append((slope + log_prob, kurtosis))
            listen(chunk.stop, len(rows))
        log_prob, kurtosis = map(np.concatenate, zip(*chunks, strict=True))
        if np.isnan(log_prob).all():  # of one row alone: it is unlike all others
            raise NoPrediction(f"the density is not defined at any of the {len(rows)} rows")
        return log_prob, kurtosis

    def network_inputs(self, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of rows (n,): the data as the flow takes them, (n, ...) float32, with the noise in the modes that never vary;
        ln |d scaled / d x| and the log density of that noise, which the row's log density is without, (n,) each."""
        scale = self.preprocessing.inputs[0].standardizer
        slope = scale.log_slope(catalog.observables[0].read(rows))
        (scaled,) = self.preprocessing.data(catalog, rows)
        if self.null_mode_noise is None:
            return scaled, slope, np.zeros(len(rows))
        noise = self.null_mode_noise.fixed(catalog.index[rows])
        noisy = (scaled + noise).astype(np.float32)
        return noisy, slope + self.null_mode_noise.log_volume(scale.std), self.null_mode_noise.log_prob(noise)

    def generate(self, theta: Sequence[float] | None, draws: int, seed: int) -> np.ndarray:
        """New rows, (draws, ...), in catalog units, at theta (P,). Raises NoPrediction where they are not finite."""
        generator = seeding.generator(seed, "generate")
        points = None if theta is None else np.tile(theta, (draws, 1))
        contexts = self.scale_parameters(points, "at")
        counts = generator.multinomial(draws, self.weights)
        draws_by_member: list[np.ndarray] = []
        first = 0
        for stack in self.stacks:
            for member in range(stack.members):
                count = int(counts[len(draws_by_member)])
                context = None if contexts is None else contexts[first : first + count]
                draws_by_member.append(self._draw(stack, member, count, context, generator))
                first += count
        scaled = generator.permutation(np.concatenate(draws_by_member))
        scaled = scaled if self.null_mode_noise is None else self.null_mode_noise.remove(scaled)
        data = self.preprocessing.inputs[0].standardizer.inverse(scaled)
        if not np.isfinite(data).all():
            raise NoPrediction("the draws of the density are not finite")
        return data

    @torch.no_grad()
    def _scores_of_scaled(
        self, scaled: np.ndarray, contexts: np.ndarray | None, log_prob_of_noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``log_prob_and_kurtosis`` in standardised units, (n,) each. scaled, log_prob_of_noise: of
        ``network_inputs``."""
        by_stack = []
        for stack in self.stacks:
            x, context = (_repeat_for_members(values, stack) for values in (scaled, contexts))
            log_prob_and_kurtosis = torch.stack(stack.network.log_prob_and_kurtosis(x, context))
            by_stack.append(log_prob_and_kurtosis.double().cpu().numpy())
        terms, kurtosis = np.concatenate(by_stack, axis=1)
        return special.logsumexp(terms, axis=0, b=self.weights[:, None]) - log_prob_of_noise, self.weights @ kurtosis

    @torch.no_grad()
    def _draw(
        self,
        stack: Stack[DensityFlow],
        member: int,
        count: int,
        contexts: np.ndarray | None,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """``count`` draws of one member, (count, ...), standardised, float64."""
        shape = self.preprocessing.shapes[0]
        drawn = []
        for chunk in slices(count, ROWS_PER_CHUNK):
            size = chunk.stop - chunk.start
            noise = generator.standard_normal((size, int(np.prod(shape))), dtype=np.float32)
            context = None if contexts is None else contexts[chunk]
            inputs = (_repeat_for_members(values, stack) for values in (noise, context))
            x, _ = stack.network.transform.inverse(*inputs)
            drawn.append(x[member].reshape(size, *shape).double().cpu().numpy())
        return np.concatenate([np.empty((0, *shape)), *drawn])


def _repeat_for_members(values: Any, stack: Stack[DensityFlow]) -> Any:
    """The same rows for every member, on its device; None stays None."""
    return None if values is None else expand_members(torch.from_numpy(values).to(stack.device), stack.members)


def density_config(
    recipe_name: str, settings: JSONObject, shape: Sequence[int], periodic: bool, context: int
) -> JSONObject:
    """The JSON from which ``DensityFlow.from_config`` builds; plain lists and numbers only."""
    return {"flow": recipe_name, "recipe": settings, "shape": list(shape), "periodic": periodic, "context": context}
