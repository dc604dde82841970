"""Training flows: rows in, a model out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from scipy import special
from torch import Tensor, nn

from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.errors import UserError
from cosmoinfer.flows.linear import initialise
from cosmoinfer.leakage import TrainingRecord, check_held_out
from cosmoinfer.models.flow.model import FlowModel, conditioning_data
from cosmoinfer.models.flow.network import ConditionalFlow, stack_config
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.models.model import Stack, fit_stack
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.r2 import r2_score
from cosmoinfer.split import Split
from cosmoinfer.supports import SUPPORTS, Support, fit_support
from cosmoinfer.training.augmentation import Symmetries, training_hooks
from cosmoinfer.training.loaders import make_loader
from cosmoinfer.training.loop import Loss
from cosmoinfer.training.settings import Rows, TrainingContext, generators, uniform

SUPPORT_COMPARISON_DRAWS = 1000  # a row, for the mass inside the box when supports are compared
PILOT_MEMBERS = 2
PILOT_EPOCH_DIVISOR = 3  # a pilot trains for a third of the epochs
MIN_MIXTURE_WEIGHT = 0.02  # of the mixture; an architecture that gets less is left out
MAX_INITIALISATION_ROWS = 5000  # from which layers that start from data do: a regression on the context, an ActNorm
MAX_INITIALISATION_VALUES = 1 << 22  # numbers of these rows' data
SUPPORT_COMPARISON_ROWS = 500  # validation rows that decide between supports
MIN_RIDGE_R2 = 0.1  # of the ridge estimate on validation rows, below which a parameter takes probit
TIE_NATS = 0.02  # nat: what is not worth a flow that overflows its box


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

    def rows(self, partition: str) -> np.ndarray:
        """Positions of those that train, or that judge; of sets, their first rows."""
        rows = self.training_record.rows(self.catalog, partition)
        if partition == "validation":
            rows = select_judging_rows(self.preprocessing, self.catalog, rows)
        return observation_sets.representatives(self.catalog, rows) if self.set_size else rows

    @property
    def theta(self) -> np.ndarray:
        return self.catalog.require_parameters()[1]

    def symmetries(self, text: str) -> tuple[Symmetries, ...]:
        """Those of the data; a summary network has used them up."""
        return self.preprocessing.symmetries(text) if self.summary is None else ()

    def model(self, support: Support, stacks: Sequence[Stack[ConditionalFlow]], weights: np.ndarray) -> FlowModel:
        """The model of these stacks; weights: (M of all stacks,) of the mixture."""
        sources = self.summary, self.initialised_from
        return FlowModel(self.preprocessing, self.training_record, support, tuple(stacks), weights, *sources)


def fit_flow(
    catalog: Catalog,
    split: Split,
    preprocessing: Preprocessing,
    recipe: FlowRecipe,
    context: TrainingContext,
    summary: RegressorModel | None = None,
    initialised_from: FlowModel | None = None,
) -> FlowModel:
    """An ensemble of each architecture; the validation rows weigh them, and pick the support if it is ``auto``.

    Raises UserError where a model that it is made from has learned from validation or test rows of this split.
    """
    training_record = TrainingRecord.from_catalog(catalog, split)
    for setting, model in (("summary", summary), ("fine_tune", initialised_from)):
        if model is not None:
            model.preprocessing.check_data(catalog)
            check_held_out(model.kind, model.training_record, catalog, split, setting)
            training_record = training_record.including(model.training_record)
    if initialised_from is not None:
        initialised_from.preprocessing.check_catalog(catalog)
    if recipe.observation == "simulation":
        catalog.require_in_memory("`observation=simulation`")
    size = observation_sets.rows_per_simulation(catalog) if recipe.observation == "simulation" else 0
    data = FlowTrainingData(catalog, preprocessing, training_record, summary, initialised_from, size)
    support = _choose_support(data, recipe, context)
    stacks = []
    for number, stack in enumerate(recipe.stacks):
        context.info(f"training {recipe.ensemble} x {stack.architecture}, support {support.name}")
        stacks.append(_fit_architecture(data, stack, number, recipe.ensemble, support, context, recipe.augment))
    models = [data.model(support, (stack_alone,), uniform(recipe.ensemble)) for stack_alone in stacks]
    shares = _weigh_architectures(data, models, recipe, context)
    kept = [number for number, share in enumerate(shares) if share >= MIN_MIXTURE_WEIGHT]
    weights = np.concatenate([shares[number] * models[number].weights for number in kept])
    model = data.model(support, [stacks[number] for number in kept], weights / weights.sum())
    return model.with_recalibration(catalog, context.seed)


def fit_mixture_weights(log_probs: np.ndarray) -> np.ndarray:
    """The shares (K,) that maximise the mean log of a mixture of K densities, log_probs (K, n), by EM."""
    shares = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(500):
        with np.errstate(divide="ignore"):
            responsible = special.softmax(np.log(shares)[:, None] + log_probs, axis=0)
        shares = responsible.mean(axis=1)
    return shares


def select_support(scores: Sequence[np.ndarray], simulation: np.ndarray) -> int:
    """The position of the support to take, by the scores (n,) of each: mean log_prob of validation rows.

    The first whose paired shortfall from the best is a tie: within one error, clustered by simulation (n,), or tiny.
    Supports come in the order of ``SUPPORTS``: what cannot overflow the box before what can.
    """
    best = max(scores, key=np.mean)
    shortfalls = [best - score for score in scores]
    ties = [shortfall.mean() <= max(clustered_error(shortfall, simulation), TIE_NATS) for shortfall in shortfalls]
    return ties.index(True)


def _choose_support(data: FlowTrainingData, recipe: FlowRecipe, context: TrainingContext) -> Support:
    """The one that was asked for, or the one that the validation rows prefer after a pilot of each.

    A pilot is the first architecture with fewer members and epochs: three full trainings for one choice would be dear.
    """
    preprocessing, theta = data.preprocessing, data.theta
    train = theta[data.rows("train")]
    auto = recipe.support == "auto"
    bounded = np.isfinite([preprocessing.parameters.low, preprocessing.parameters.high]).any()
    names = (tuple(SUPPORTS) if bounded else tuple(SUPPORTS)[:1]) if auto else (recipe.support,)
    rows = data.rows("validation")[:SUPPORT_COMPARISON_ROWS]
    probit_only = _unconstrained(data, rows) if auto else frozenset()
    supports = [fit_support(name, preprocessing.parameters, train, probit_only) for name in names]
    if len(names) == 1:
        return supports[0]
    stack, members = recipe.stacks[0], min(PILOT_MEMBERS, recipe.ensemble)
    epochs = max(1, stack.training.epochs // PILOT_EPOCH_DIVISOR)
    pilot = replace(stack, training=replace(stack.training, epochs=epochs, warm_up=0))
    if probit_only:
        context.info(
            f"probit in any case, since ridge finds next to nothing about them: {', '.join(sorted(probit_only))}"
        )
    scores = []
    for support in supports:
        context.info(f"pilot: support {support.name}")
        trained = _fit_architecture(data, pilot, 0, members, support, context, recipe.augment)
        model = data.model(support, (trained,), uniform(members))
        scores.append(model.log_prob_of_rows(data.catalog, rows, theta[rows], SUPPORT_COMPARISON_DRAWS, context.seed))
    chosen = select_support(scores, data.catalog.simulation[rows])
    means = ", ".join(f"{name} {score.mean():.2f}" for name, score in zip(names, scores, strict=True))
    context.info(f"mean log_prob of the validation rows: {means}; taken: support {names[chosen]}")
    return supports[chosen]


def _unconstrained(data: FlowTrainingData, rows: np.ndarray) -> frozenset[str]:
    """Parameters of which the ridge reference explains next to nothing on the validation rows."""
    r2 = r2_score(data.theta[rows], data.preprocessing.estimate_parameters(data.catalog, rows))
    pairs = zip(data.preprocessing.parameters.names, r2, strict=True)
    return frozenset(name for name, r2_of_parameter in pairs if r2_of_parameter < MIN_RIDGE_R2)


def _fit_architecture(
    data: FlowTrainingData,
    stack: StackRecipe,
    number: int,
    members: int,
    support: Support,
    context: TrainingContext,
    augment: str,
) -> Stack[ConditionalFlow]:
    """The members of one architecture, the ``number``-th of the recipe, side by side."""
    rows = [data.rows(array) for array in ("train", "validation")]
    shapes = tuple(array.shape[1:] for array in data.data(rows[0][:1]))
    config = stack_config(data.preprocessing, shapes, stack, data.set_size)
    network = ConditionalFlow.from_config(config, generators(context.seed, "initialise", members))
    if data.initialised_from is not None:
        start_from = data.initialised_from.stacks[number]
        _check_shapes(start_from.config["shapes"], config["shapes"])
        network.load_state_dict(start_from.first(members), strict=True)
    network.to(context.device)
    leading = []
    for positions in rows:
        z, log_det = support.forward(data.theta[positions])
        leading.append((z, log_det[:, None]))
    if data.initialised_from is None:
        max_rows = max(1, min(MAX_INITIALISATION_ROWS, MAX_INITIALISATION_VALUES // sum(map(prod, shapes))))
        first = context.tensors(*(array[:max_rows] for array in leading[0]), *data.data(rows[0][:max_rows]))
        start = tuple(expand_members(array, members) for array in first)
        initialise(network, lambda: _minus_log_prob(network, start))
    loaders = [
        make_loader(data.catalog, positions, arrays, data.data, context)
        for positions, arrays in zip(rows, leading, strict=True)
    ]
    noisy = (data.summary.preprocessing if data.summary else data.preprocessing).noise is not None
    fresh = (lambda epoch: data.data(rows[0], epoch)) if noisy else None
    symmetries = data.symmetries(augment)
    hooks = training_hooks(context, members, symmetries, context.tensors(*leading[0]), fresh, sets=data.set_size > 0)
    return fit_stack(config, members, network, _LIKELIHOOD, loaders, stack.training, context, hooks)


def _weigh_architectures(
    data: FlowTrainingData, models: list[FlowModel], recipe: FlowRecipe, context: TrainingContext
) -> np.ndarray:
    """The share of each architecture in the mixture, (K,).

    Of truncated flows before renormalisation: it is their unnormalised mixture that is renormalised.
    """
    if len(models) == 1:
        return np.ones(1)
    rows = data.rows("validation")
    log_probs = [model.log_prob_untruncated(data.catalog, rows, data.theta[rows]) for model in models]
    shares = fit_mixture_weights(np.stack(log_probs))
    pairs = zip(shares, recipe.stacks, strict=True)
    weighted = ", ".join(f"{share:.2f} {stack.architecture}" for share, stack in pairs)
    context.info(f"the validation rows mix {weighted}")
    return shares


def _minus_log_prob(network: nn.Module, batch: Rows) -> Tensor:
    """-log q(theta | x) in catalog units, (M, B, 1)."""
    assert isinstance(network, ConditionalFlow)
    z, log_det, *data = batch
    return -(network.log_prob(z, network.embedding(*data))[..., None] + log_det)


_LIKELIHOOD = Loss(_minus_log_prob)


def _check_shapes(expected: list[list[int]], shapes_now: list[list[int]]) -> None:
    """Of what a flow sees of a row, which compression, gaps and a summary network decide."""
    if expected != shapes_now:
        shapes = (" and ".join(str(tuple(shape)) for shape in group) for group in (expected, shapes_now))
        raise UserError(
            "the flow sees numbers of shape {} a row, and here {}; `compress`, `missing` and `summary` must be as they "
            "were".format(*shapes),
            setting="fine_tune",
        )
