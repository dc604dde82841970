"""Training flows: rows in, a model out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.leakage import TrainingRecord, check_held_out
from cosmoinfer.models.flow.candidate import Candidate
from cosmoinfer.models.flow.members import FlowTrainingData, fit_members
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.models.flow.race import Finalist, race
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.models.flow.shares import choose_mixture, score_stacks
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.r2 import r2_score
from cosmoinfer.split import Split
from cosmoinfer.supports import SUPPORTS, Support, fit_support
from cosmoinfer.training.loop import DivergedError
from cosmoinfer.training.settings import TrainingContext

MIN_RIDGE_R2 = 0.1  # of the ridge estimate on validation rows, below which a parameter takes probit


def fit_flow(
    catalog: Catalog,
    split: Split,
    preprocessing: Preprocessing,
    recipe: FlowRecipe,
    context: TrainingContext,
    summary: RegressorModel | None = None,
    initialised_from: FlowModel | None = None,
) -> FlowModel:
    """A mixture of architectures and supports that are raced, or of the one that is asked for, or another flow's.

    Raises UserError where a model that it is made from has learned from validation or test rows of this split.
    """
    data = _training_data(catalog, split, preprocessing, recipe, summary, initialised_from)
    if initialised_from is not None:
        stacks = _continue_training(data, recipe, initialised_from, context)
        model = _mix(data, stacks, [], [], context)
    else:
        finalists, candidates = _choose_finalists(data, recipe, _fit_supports(data, recipe, context), context)
        stacks, origins = _train_finalists(data, recipe, finalists, context)
        model = _mix(data, stacks, origins, candidates, context)
    return model.with_recalibration(catalog, context.seed)


def best_pilot(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: FlowRecipe, context: TrainingContext
) -> tuple[StackRecipe, str]:
    """The architecture and the name of the support with the largest shares of the pilots, without a further training.

    Where nothing is raced they are those that were asked for.
    """
    data = _training_data(catalog, split, preprocessing, recipe)
    supports = _fit_supports(data, recipe, context)
    finalists, candidates = _choose_finalists(data, recipe, supports, context)
    shares = dict.fromkeys((support.label for support in supports), 0.0)
    for candidate in candidates:
        shares[candidate.support] += candidate.pilot_share
    support = max(supports, key=lambda support: shares[support.label])
    best = max(finalists, key=lambda finalist: sum(candidates[n].pilot_share for n in {*finalist.candidates}))
    return best.recipe, support.name


def _training_data(
    catalog: Catalog,
    split: Split,
    preprocessing: Preprocessing,
    recipe: FlowRecipe,
    summary: RegressorModel | None = None,
    initialised_from: FlowModel | None = None,
) -> FlowTrainingData:
    """Raises UserError as ``fit_flow``."""
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
    return FlowTrainingData(catalog, preprocessing, training_record, summary, initialised_from, size)


def _choose_finalists(
    data: FlowTrainingData, recipe: FlowRecipe, supports: Sequence[Support], context: TrainingContext
) -> tuple[list[Finalist], list[Candidate]]:
    """By a race, if there is a choice; and what became of the candidates."""
    if len(recipe.stacks) * len(supports) > 1:
        return race(data, recipe, supports, context)
    return [Finalist(recipe.stacks[0], tuple(supports) * recipe.ensemble)], []


def _train_finalists(
    data: FlowTrainingData, recipe: FlowRecipe, finalists: Sequence[Finalist], context: TrainingContext
) -> tuple[list[FlowStack], list[int]]:
    """A stack of each architecture and support, and the numbers of the candidates that they come from.

    Of several, one that diverges is left out, with a line. Raises DivergedError, which names the architecture, where
    none is left.
    """
    stacks: list[FlowStack] = []
    origins: list[int] = []
    for number, finalist in enumerate(finalists, 1):
        architecture = finalist.recipe.architecture
        context.info(f"training {finalist.describe()}")
        try:
            stacks += fit_members(data, finalist.recipe, finalist.supports, context, recipe.augment)
        except DivergedError as error:
            if number == len(finalists) and not stacks:
                raise DivergedError(f"{architecture}: {error.message}") from error
            context.info(f"left out: {architecture}: its loss is not finite")
        else:
            origins += dict.fromkeys(finalist.candidates)
    return stacks, origins


def _mix(
    data: FlowTrainingData,
    stacks: Sequence[FlowStack],
    origins: Sequence[int],
    candidates: Sequence[Candidate],
    context: TrainingContext,
) -> FlowModel:
    """The mixture of stacks that the validation rows ask for, without those that get next to nothing.

    origins: (S,) numbers of the candidates that the stacks come from; empty where nothing was raced.
    """
    expected = np.array([candidates[number].pilot_share for number in origins] or [1.0] * len(stacks))
    kept, weights, shares = [0], np.ones(1), np.ones(1)
    if len(stacks) > 1:
        kept, weights, shares = choose_mixture(score_stacks(data, stacks, context.seed), expected)
    mixed = [stacks[number] for number in kept]
    by_member = np.concatenate(
        [np.full(stack.members, weight / stack.members) for stack, weight in zip(mixed, weights, strict=True)]
    )
    share_of_stack = dict.fromkeys(range(len(stacks)), 0.0) | dict(zip(kept, shares.tolist(), strict=True))
    if len(stacks) > 1:
        for place, stack in enumerate(stacks):
            context.info(f"{stack.describe()}: final share {share_of_stack[place]:.2f}")
    outcomes = list(candidates)
    for place, number in enumerate(origins):
        stack, pilot = stacks[place], candidates[number]
        spent, share = pilot.epochs + stack.epochs, share_of_stack[place]
        outcomes[number] = replace(pilot, epochs=spent, members=stack.members, final_share=share)
    return replace(data.model(mixed, by_member), race=tuple(outcomes))


def _continue_training(
    data: FlowTrainingData, recipe: FlowRecipe, ancestor: FlowModel, context: TrainingContext
) -> list[FlowStack]:
    """Each stack of another flow from its weights, on its own support unless the recipe names one."""
    parameters, train = data.preprocessing.parameters, data.theta[data.training_rows]
    stacks = []
    for stack_recipe, start_from in zip(recipe.stacks, ancestor.stacks, strict=True):
        if recipe.supports == ("auto",):
            support = fit_support(start_from.support.name, parameters, train, start_from.support.probit_only)
        else:
            (support,) = _fit_supports(data, recipe, context)
        supports = [support] * start_from.members
        context.info(f"training {Finalist(stack_recipe, tuple(supports)).describe()}")
        stacks += fit_members(data, stack_recipe, supports, context, recipe.augment, start_from)
    return stacks


def _fit_supports(data: FlowTrainingData, recipe: FlowRecipe, context: TrainingContext) -> list[Support]:
    """Those that were asked for; if none was, those that are raced, with probit for parameters of which the data say
    next to nothing."""
    parameters, theta = data.preprocessing.parameters, data.theta
    names, probit_only = recipe.supports, frozenset[str]()
    if names[0] == "auto":
        bounded = np.isfinite([parameters.low, parameters.high]).any()
        raced = names[1:] or tuple(name for name, support in SUPPORTS.items() if support.is_raced)
        names = raced if bounded else tuple(SUPPORTS)[:1]
        probit_only = _unconstrained(data)
    if probit_only:
        context.info(
            f"probit in any case, since ridge finds next to nothing about them: {', '.join(sorted(probit_only))}"
        )
    train = theta[data.training_rows]
    return [fit_support(name, parameters, train, probit_only) for name in names]


def _unconstrained(data: FlowTrainingData) -> frozenset[str]:
    """Parameters of which the ridge reference explains next to nothing on the validation rows."""
    rows = data.validation_rows
    r2 = r2_score(data.theta[rows], data.preprocessing.estimate_parameters(data.catalog, rows))
    pairs = zip(data.preprocessing.parameters.names, r2, strict=True)
    return frozenset(name for name, r2_of_parameter in pairs if r2_of_parameter < MIN_RIDGE_R2)
