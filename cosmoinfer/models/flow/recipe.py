"""What flows to train: architectures, support, ensemble and training, by the rows and the shape of the data."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.flows import FLOWS
from cosmoinfer.models.architecture import architecture_name
from cosmoinfer.models.flow.menu import EFFORTS, menu
from cosmoinfer.models.recipe import (
    FEW_TRAINING_ROWS,
    MANY_TRAINING_ROWS,
    OPTIMIZER_SETTINGS,
    ExpandedOverrides,
    InlineSettings,
    MissingSettingError,
    Overrides,
    Shapes,
    are_vectors,
    default_members,
    default_network,
    default_training,
    ensemble_size,
    expand_inline_settings,
    override,
    override_each,
    override_training,
    recipe_of_size,
    select,
)
from cosmoinfer.networks import NETWORKS
from cosmoinfer.preprocessing.standardizer import TRANSFORMS
from cosmoinfer.settings import Limits, check_choice, check_value, settings_of
from cosmoinfer.supports import SUPPORTS
from cosmoinfer.training.settings import TrainingSettings

EMBEDDING = "embedding_"  # begins the names of its settings
OBSERVATIONS = ("row", "simulation")  # what one observation is: a row, or all rows of a simulation
WARN_PASSES, MAX_PASSES = 10, 30  # network passes a density: what takes more is warned about, or wants `force`


@dataclass(frozen=True)
class StackRecipe:
    """One architecture: the flow's own settings, and an embedding a summary, to ``features`` numbers each.

    embedding: (name, settings) of a network; ("none", None) passes the summary as it is.
    """

    flow: str
    settings: Any
    embedding: tuple[tuple[str, Any], ...]
    features: int
    training: TrainingSettings

    @property
    def architecture(self) -> str:
        """Its name in a report."""
        return architecture_name(self.flow, asdict(self.settings), self.embedding)


@dataclass(frozen=True)
class FlowRecipe:
    """stacks: the architectures that are raced. ensemble: members of the best, of all together up to about twice as
    many. observation: ``row``, or ``simulation`` where the rows of a simulation are one observation. effort: how many
    are trained in full. may_extend: whether what does not overfit trains for more epochs than it says. left_out: why
    others are not raced, a line each.
    """

    stacks: tuple[StackRecipe, ...]
    supports: tuple[str, ...]
    transform: str
    compress: str
    augment: str
    ensemble: int
    observation: str = "row"
    effort: str = "medium"
    may_extend: bool = False
    left_out: tuple[str, ...] = ()


def flow_settings() -> tuple[str, ...]:
    """Names of the settings that ``flow_recipe`` takes; those of an embedding begin with ``embedding_``."""
    return (
        *("flow", "embedding", "support", "transform", "compress", "augment", "ensemble", "effort", "observation"),
        *settings_of(*FLOWS.values()),
        *(EMBEDDING + name for name in _embedding_settings()),
        *settings_of(TrainingSettings),
    )


def _embedding_settings() -> tuple[str, ...]:
    return ("features", *settings_of(*NETWORKS.values()))


def expand_flow_settings(overrides: Overrides) -> ExpandedOverrides:
    """The same overrides without inline settings. Raises UserError where one is not understood."""
    embeddings = {name: ("features", *settings_of(network)) for name, network in NETWORKS.items()}
    embedding = InlineSettings({**embeddings, "none": ()}, EMBEDDING)
    inline = {"flow": InlineSettings.from_recipes(FLOWS), "embedding": embedding, "optimizer": OPTIMIZER_SETTINGS}
    return expand_inline_settings(overrides, inline)


def flow_recipe(overrides: Overrides, rows: int, shapes: Shapes) -> FlowRecipe:
    """The defaults for so many training rows of these shapes, overridden by settings.

    Raises UserError if a setting is not known, not allowed, or one that the flow does not have.
    """
    flows, colon, _ = str(overrides.get("flow") or "").partition(":")
    if colon and "," in flows:
        raise UserError("several flows have no settings behind them; give each as an option", "flow", overrides["flow"])
    expanded = expand_flow_settings(overrides)
    with expanded.errors_naming_origin():
        return _flow_recipe(expanded.overrides, rows, shapes)


def _flow_recipe(overrides: Overrides, rows: int, shapes: Shapes) -> FlowRecipe:
    names = _names("flow", overrides.get("flow") or ("auto" if are_vectors(shapes) else "nsf"), FLOWS)
    sets = overrides.get("observation") == "simulation"
    effort = check_choice("effort", overrides.get("effort") or FlowRecipe.effort, EFFORTS)
    if names == ("auto",) or len(names) > 1:
        defaults = mixed_defaults(rows, shapes, effort, sets, names)
    else:
        defaults = [flow_defaults(names[0], rows, shapes, sets)]
    stacks, lacking, left_out = [], [], []
    for default in defaults:
        try:
            stacks.append(override_stack(default, overrides, shapes))
        except MissingSettingError as error:  # of a mixture, only those that have what was asked for
            lacking.append(error)
            left_out.append(f"{default.architecture} has no `{error.setting}`")
    if not stacks:
        raise lacking[-1]
    stacks = list(dict.fromkeys(stacks))  # which overrides may make alike
    members = max(1, round(default_members(shapes) * EFFORTS[effort].members))
    support = "auto" if are_vectors(shapes) else "soft"
    recipe = recipe_of_stacks(stacks, overrides, support, members)
    may_extend = rows < MANY_TRAINING_ROWS and overrides.get("epochs") is None
    return replace(recipe, effort=effort, may_extend=may_extend, left_out=tuple(left_out))


def recipe_of_stacks(
    stacks: Sequence[StackRecipe], overrides: Overrides, default_support: str, default_ensemble: int
) -> FlowRecipe:
    """These architectures, with the settings that are common to them. Raises UserError if one is not allowed."""
    return FlowRecipe(
        tuple(stacks),
        parse_supports(overrides.get("support") or default_support),
        check_choice("transform", overrides.get("transform") or "auto", TRANSFORMS),
        overrides.get("compress") or "",
        overrides.get("augment") or "auto",
        ensemble_size(overrides, default_ensemble),
        check_choice("observation", overrides.get("observation") or "row", OBSERVATIONS),
    )


def parse_supports(text: str) -> tuple[str, ...]:
    """Names with commas, or ``auto``; behind ``auto:`` those among which it chooses."""
    auto, colon, names = text.partition(":")
    if not colon or auto.strip() != "auto":
        return _names("support", text, SUPPORTS)
    if (chosen := _names("support", names, SUPPORTS)) == ("auto",):
        raise UserError(f"expected names behind auto:; {list_choices('', SUPPORTS)}", "support", text)
    return ("auto", *chosen)


def _names(setting: str, text: str, table: Collection[str]) -> tuple[str, ...]:
    """``auto``, or one or several names of a table with commas, in its order."""
    names = {name.strip(): None for name in text.split(",")}
    if len(names) == 1:
        return (check_choice(setting, next(iter(names)), (*table, "auto")),)
    if "auto" in names:
        raise UserError(f"auto goes with no other name; {list_choices('', table)}", setting, text)
    for name in names:
        check_choice(setting, name, table)
    return tuple(name for name in table if name in names)


def mixed_defaults(rows: int, shapes: Shapes, effort: str, sets: bool, names: Sequence[str]) -> list[StackRecipe]:
    """The architectures that are raced for a place in the mixture, for so many training rows of vectors.

    names: of the flows that they are of, or ``auto`` alone for all on the menu. Raises UserError where one is not on
    it, and for several of what has axes.
    """
    entries = menu(rows, effort)
    if names != ("auto",):
        if not are_vectors(shapes):
            raise UserError(
                "several flows are raced for vectors alone; one is trained for what has axes", "flow", ",".join(names)
            )
        on_menu = sorted({entry.flow for entry in entries})
        for name in names:
            if name not in on_menu:
                raise UserError(f"{name} is not raced; {list_choices(name, on_menu)}", "flow", ",".join(names))
        entries = [entry for entry in entries if entry.flow in names]
    network = tuple(default_network(shape) for shape in shapes)
    defaults = flow_defaults("maf", rows, shapes, sets)
    return [
        replace(
            defaults,
            flow=entry.flow,
            settings=FLOWS[entry.flow](**entry.settings),
            embedding=network if entry.behind_network else defaults.embedding,
        )
        for entry in entries
    ]


def flow_defaults(name: str, rows: int, shapes: Shapes, sets: bool = False) -> StackRecipe:
    """The architecture for so many training rows when a flow is chosen by name, or where data have axes.

    Of vectors from 1,000 rows on an NSF sees the data through a small MLP; what has axes goes through a CNN. Dropout
    helps where the data are noisy and hurts where they are precise. Rows that are taken together in sets always go
    through a network: the flow sees the mean of its outputs. Measured: tests/benchmarks/DEFAULTS.md.
    """
    of_splines = {"nsf": (50, 0.0), "nsf-ar": (50, 0.0)} if rows >= FEW_TRAINING_ROWS else {}
    usual = (128, 0.2) if rows < FEW_TRAINING_ROWS else (64, 0.1 if rows < MANY_TRAINING_ROWS else 0.0)
    hidden, dropout = of_splines.get(name, usual)
    settings = recipe_of_size(FLOWS[name], {"hidden": hidden, "dropout": dropout})
    through = sets or (name.startswith("nsf") and rows >= FEW_TRAINING_ROWS)
    embedding = tuple(default_network(shape) if len(shape) > 1 or through else ("none", None) for shape in shapes)
    return StackRecipe(name, settings, embedding, 16, default_training(rows, shapes))


def override_stack(stack: StackRecipe, overrides: Overrides, shapes: Shapes) -> StackRecipe:
    """The architecture with other settings. Raises MissingSettingError where it has no such setting."""
    name = check_choice("embedding", overrides.get("embedding") or "auto", ("auto", "none", *NETWORKS))
    embedded = dict(select(overrides, _embedding_settings(), EMBEDDING))
    features = embedded.pop("features", stack.features)
    check_value(f"{EMBEDDING}features", features, int, Limits(minimum=1, maximum=8192))
    embedding = [
        network if name in ("auto", network[0]) else (name, NETWORKS[name]() if name != "none" else None)
        for network in stack.embedding
    ]
    if embedded and all(settings is None for _, settings in embedding):
        raise MissingSettingError("there is no embedding to set; `embedding=mlp` or cnn makes one", setting="embedding")
    return replace(
        stack,
        settings=override(stack.settings, select(overrides, settings_of(*FLOWS.values())), f"`flow={stack.flow}`"),
        embedding=override_each(embedding, embedded, "embedding", EMBEDDING),
        features=features,
        training=override_training(stack.training, overrides),
    )


def check_passes(flow: str, settings: Any, features: int, force: bool) -> list[str]:
    """Warnings of a flow that takes many network passes for one density, a line each.

    Raises UserError when they are too many, unless forced.
    """
    passes, _ = settings.passes(features)
    if passes > MAX_PASSES and not force:
        raise UserError(
            f"one density takes {passes} network passes, one a dimension; `force` trains it all the "
            "same, `flow=maf` takes one pass",
            setting="flow",
            value=flow,
        )
    if passes > WARN_PASSES:
        return [f"{flow}: one density takes {passes} network passes, and so does every step of the training"]
    return []
