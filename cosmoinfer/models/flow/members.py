"""The members of one architecture, trained side by side, each on the line of its own support."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.errors import UserError
from cosmoinfer.flows.linear import initialise
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.flow.model import FlowModel, conditioning_data
from cosmoinfer.models.flow.network import ConditionalFlow, FlowStack, stack_config
from cosmoinfer.models.flow.recipe import StackRecipe
from cosmoinfer.models.model import Stack, fit_stack
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.supports import Support
from cosmoinfer.training.augmentation import Symmetries, training_hooks
from cosmoinfer.training.loaders import make_loader
from cosmoinfer.training.loop import Loss
from cosmoinfer.training.settings import Rows, TrainingContext
from cosmoinfer.training.streams import generators

MAX_INITIALISATION_ROWS = 5000  # from which layers that start from data do: a regression on the context, an ActNorm
MAX_INITIALISATION_VALUES = 1 << 22  # numbers of these rows' data
NO_FOLD = -1  # of rows that nobody leaves out


@dataclass(frozen=True)
class FlowTrainingData:
    """What a flow is trained on: rows of a catalog, as the preprocessing or a summary network shows them.

    initialised_from: a trained flow of the same architecture, from whose weights the training starts.
    set_size: of the sets of rows that are one observation; 0 if every row is one.
    """

    catalog: Catalog
    preprocessing: Preprocessing
    training_record: TrainingRecord
    summary: RegressorModel | None = None
    initialised_from: FlowModel | None = None
    set_size: int = 0

    def data(self, rows: np.ndarray, epoch: int | None = None) -> tuple[np.ndarray, ...]:
        """What the flow is conditioned on, (n, ...) an observable, of rows (n,); epoch: with its noise."""
        return conditioning_data(self.preprocessing, self.summary, self.catalog, rows, epoch, self.set_size)

    @cached_property
    def training_rows(self) -> np.ndarray:
        """Positions (n,) of those that train; of sets, their first rows."""
        return self._representatives(self.training_record.rows(self.catalog, "train"))

    @cached_property
    def validation_rows(self) -> np.ndarray:
        """Positions (n,) of those that judge; of sets, their first rows."""
        rows = self.training_record.rows(self.catalog, "validation")
        return self._representatives(select_judging_rows(self.preprocessing, self.catalog, rows))

    def _representatives(self, rows: np.ndarray) -> np.ndarray:
        return observation_sets.representatives(self.catalog, rows) if self.set_size else rows

    @property
    def theta(self) -> np.ndarray:
        return self.catalog.require_parameters()[1]

    def symmetries(self, text: str) -> tuple[Symmetries, ...]:
        """Those of the data; a summary network has used them up."""
        return self.preprocessing.symmetries(text) if self.summary is None else ()

    def model(self, stacks: Sequence[FlowStack], weights: np.ndarray) -> FlowModel:
        """The model of these stacks; weights: (M of all stacks,) of the mixture."""
        sources = self.summary, self.initialised_from
        return FlowModel(self.preprocessing, self.training_record, tuple(stacks), weights, *sources)


@dataclass(frozen=True)
class Folds:
    """Training rows that each member leaves out. of_rows: (n,), the fold of each. of_members: (M,), that it leaves."""

    of_rows: np.ndarray
    of_members: np.ndarray

    @classmethod
    def of_simulations(cls, simulation: np.ndarray, folds: int, members: int, seed: int) -> "Folds":
        """So many, of about as many simulations each; simulation: (n,) of the training rows."""
        ids, place = np.unique(simulation, return_inverse=True)
        fold = seeding.generator(seed, "folds").permutation(len(ids)) % folds
        return cls(fold[place], np.arange(members) % folds)

    def rows_of_members(self, max_rows: int) -> np.ndarray:
        """The first places (M, n) that each member does not leave out, as many for all and at most ``max_rows``."""
        places = [np.flatnonzero(self.of_rows != fold)[:max_rows] for fold in self.of_members]
        return np.stack([kept[: min(map(len, places))] for kept in places])


def fit_members(
    data: FlowTrainingData,
    recipe: StackRecipe,
    supports: Sequence[Support],
    context: TrainingContext,
    augment: str,
    start_from: FlowStack | None = None,
    folds: Folds | None = None,
) -> list[FlowStack]:
    """The members of one architecture, trained side by side: a stack of each support.

    supports: (M,), of each member; those with the same follow each other. start_from: with whose weights they begin.
    folds: of the training rows, each member learning from all but one.
    """
    members, distinct = len(supports), {support.name: support for support in supports}
    rows = data.training_rows, data.validation_rows
    shapes = tuple(array.shape[1:] for array in data.data(rows[0][:1]))
    config = stack_config(data.preprocessing, shapes, recipe, data.set_size)
    network = ConditionalFlow.from_config(config, generators(context.seed, "initialise", members))
    if start_from is not None:
        _check_shapes(start_from.config["shapes"], config["shapes"])
        network.load_state_dict(start_from.first(members), strict=True)
    network.to(context.device)
    leading: list[tuple[np.ndarray, ...]] = [
        _on_lines([*distinct.values()], data.theta[positions]) for positions in rows
    ]
    loss = _likelihood([[*distinct].index(support.name) for support in supports], context.device)
    if folds is not None:
        loss = _leaving_out(loss, torch.from_numpy(folds.of_members).to(context.device))
        fold_of_rows = folds.of_rows, np.full(len(rows[1]), NO_FOLD)
        leading = [(fold, *arrays) for fold, arrays in zip(fold_of_rows, leading, strict=True)]
    if start_from is None:
        max_rows = max(1, min(MAX_INITIALISATION_ROWS, MAX_INITIALISATION_VALUES // sum(map(prod, shapes))))
        first = np.arange(min(max_rows, len(rows[0])))[None] if folds is None else folds.rows_of_members(max_rows)
        used, places = np.unique(first, return_inverse=True)
        index = torch.from_numpy(places.reshape(first.shape)).to(context.device)
        read = context.tensors(*(array[used] for array in leading[0]), *data.data(rows[0][used]))
        start = tuple(array[index].expand(members, *[-1] * array.dim()) for array in read)
        initialise(network, lambda: loss.terms(network, start))
    loaders = [
        make_loader(data.catalog, positions, arrays, data.data, context)
        for positions, arrays in zip(rows, leading, strict=True)
    ]
    noisy = (data.summary.preprocessing if data.summary else data.preprocessing).noise is not None
    fresh = (lambda epoch: data.data(rows[0], epoch)) if noisy else None
    symmetries = data.symmetries(augment)
    hooks = training_hooks(context, members, symmetries, context.tensors(*leading[0]), fresh, sets=data.set_size > 0)
    key = {
        "supports": [support.name for support in supports],
        "augment": augment,
        "folds": None if folds is None else folds.of_members.tolist(),
        "start_from": None if start_from is None else start_from.history.best_validation.tolist(),
    }
    stack = fit_stack(config, members, network, loss, loaders, recipe.training, context, hooks, key=key)
    return _split_by_support(stack, supports)


def _on_lines(supports: Sequence[Support], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """theta (n, P) -> z (n, S, P) on the line of each support, and ln |dz/dtheta| (n, S)."""
    z, log_det = zip(*(support.forward(theta) for support in supports), strict=True)
    return np.stack(z, axis=1), np.stack(log_det, axis=1)


def _likelihood(places: Sequence[int], device: torch.device) -> Loss:
    """-log q(theta | x) in catalog units, (M, B, 1). places: (M,), of each member's support among those of a batch."""
    members, supports = torch.arange(len(places), device=device), torch.tensor(places, device=device)

    def minus_log_prob(network: nn.Module, batch: Rows) -> Tensor:
        assert isinstance(network, ConditionalFlow)
        z, log_det, *data = batch  # (M, B, S, P), (M, B, S)
        if z.shape[2] == 1:
            z, log_det = z[:, :, 0], log_det[:, :, 0]
        else:
            z, log_det = z[members, :, supports], log_det[members, :, supports]
        return -(network.log_prob(z, network.embedding(*data)) + log_det)[..., None]

    return Loss(minus_log_prob)


def _leaving_out(loss: Loss, fold_of_members: Tensor) -> Loss:
    """The same of all rows but those of one fold, (M,), each; the fold of each row (M, B) comes first in a batch."""

    def terms(network: nn.Module, batch: Rows) -> Tensor:
        fold, *fields = batch
        used = (fold != fold_of_members[:, None]).float()[..., None]
        return torch.cat([loss.terms(network, tuple(fields)) * used, used], dim=2)

    def mean_over_used_rows(terms: Tensor) -> Tensor:
        sums, counts = terms.sum(1).unbind(1)  # (M,) each
        return sums / counts.clamp(min=1)

    return Loss(terms, mean_over_used_rows)


def _split_by_support(stack: Stack[ConditionalFlow], supports: Sequence[Support]) -> list[FlowStack]:
    """supports: (M,), of each member."""
    stacks, first = [], 0
    for _, equal in groupby(supports, key=lambda support: support.name):
        group = list(equal)
        chosen = stack.select(slice(first, first + len(group)))
        stacks.append(FlowStack(chosen.config, chosen.members, chosen.network, chosen.history, group[0]))
        first += len(group)
    return stacks


def _check_shapes(expected: list[list[int]], shapes_now: list[list[int]]) -> None:
    """Of what a flow sees of a row, which compression, gaps and a summary network decide."""
    if expected != shapes_now:
        shapes = (" and ".join(str(tuple(shape)) for shape in group) for group in (expected, shapes_now))
        raise UserError(
            "the flow sees numbers of shape {} a row, and here {}; `compress`, `missing` and `summary` must be as they "
            "were".format(*shapes),
            setting="fine_tune",
        )
