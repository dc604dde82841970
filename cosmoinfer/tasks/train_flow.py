"""Train normalizing flows for p(theta | x)."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from cosmoinfer import storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.models.flow import (
    FlowModel,
    best_pilot,
    check_passes,
    continued_recipe,
    fit_flow,
    flow_recipe,
    flow_settings,
    recipe_like,
    recipe_of_document,
)
from cosmoinfer.models.flow.recipe import EMBEDDING, FlowRecipe, StackRecipe
from cosmoinfer.models.recipe import Shapes, prefixed_errors
from cosmoinfer.models.regressor import RegressorModel
from cosmoinfer.preprocessing.fit import with_compression_of
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.model_sources import read_model_of_kind
from cosmoinfer.tasks.reading import CatalogSource, check_source
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.training import Trainer, TrainingJob, TrainingPlan, check_networks
from cosmoinfer.training.settings import TrainingContext
from cosmoinfer.training.streams import generators


def train_flow(
    catalog: CatalogSource = None,
    *unnamed: object,
    theta: ArrayLike | None = None,
    x: ArrayLike | Mapping[str, ArrayLike] | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    prior: str | Sequence[str] | None = None,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> FlowModel:
    """Train normalizing flows for p(theta | x), and give the mixture of them.

    catalog: its path, or a ``Catalog``; or arrays, as of ``catalog.from_arrays``: theta (N, P), x (N, ...) or several
        by name, low and high (P,) the prior box, prior, and among the settings names (P,) and simulation (N,).
    output: the file to write, if any; a complete one of the same settings is read in place of a training.
    settings: the options of ``cosmoinfer train-flow`` by name, as ``learning_rate=0.001``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    check_source(catalog, *unnamed)
    arrays = {"theta": theta, "x": x, "low": low, "high": high, "prior": prior}
    return FLOW_TRAINER.train(catalog, arrays, settings, output, force, reporter)


@dataclass(frozen=True)
class FlowSources:
    """What a flow is made from beside its catalog.

    summary: the regressor on whose output it is conditioned, if any. ancestor: the flow from whose weights it starts,
    if any. noise: which every epoch draws anew.
    """

    summary: RegressorModel | None
    ancestor: FlowModel | None
    noise: Noise | None

    @classmethod
    def read(cls, job: TrainingJob) -> FlowSources:
        """Raises UserError if a file is not usable with the catalog, or a setting has no effect beside it."""
        inputs, device, noise = job.request.inputs, job.device, job.read_noise()
        summary = ancestor = None
        if inputs.summary is not None:
            summary = read_model_of_kind(inputs.summary, "regressor", device, "summary")
        if inputs.fine_tune is not None:
            ancestor = read_model_of_kind(inputs.fine_tune, "flow", device, "fine_tune")
        if summary is not None and noise is not None:
            raise UserError("has no effect beside `summary`: the noise is that of the regressor", setting="noise")
        if summary is not None and job.request.recipe.get("compress"):
            raise UserError(
                "has no effect beside `summary`: the flow is conditioned on the output of the regressor",
                setting="compress",
            )
        for model in (summary, ancestor):
            if model is not None:
                model.preprocessing.check_data(job.catalog)
                noise = model.preprocessing.noise if noise is None else noise
        return cls(summary, ancestor, noise)


@dataclass(frozen=True)
class FlowPlan(TrainingPlan[FlowModel]):
    """rows: how many it is trained on, or sets of them. sources: what it is made from beside the catalog."""

    recipe: FlowRecipe
    rows: int
    sources: FlowSources

    def fit(self, context: TrainingContext) -> FlowModel:
        """Flows of every architecture, with the preprocessing of the ancestor where there is one."""
        job, recipe, sources = self.job, self.recipe, self.sources
        preprocessing = job.fit_preprocessing(context, recipe.transform, recipe.compress, sources.noise)
        if sources.ancestor is not None:
            preprocessing = with_compression_of(sources.ancestor.preprocessing, preprocessing, job.catalog, job.split)
        return fit_flow(job.catalog, job.split, preprocessing, recipe, context, sources.summary, sources.ancestor)

    def best_pilot(self, context: TrainingContext) -> tuple[StackRecipe, str]:
        """The architecture and the support that the pilots are best on; of a flow that is made of a catalog alone."""
        job, recipe = self.job, self.recipe
        preprocessing = job.fit_preprocessing(context, recipe.transform, recipe.compress, self.sources.noise)
        return best_pilot(job.catalog, job.split, preprocessing, recipe, context)

    def describe(self, model: FlowModel) -> tuple[str, JSONObject]:
        """How many of each architecture and support, of how many rows, and the mean log_prob of the validation rows."""
        stacks = [
            {"members": stack.members, "architecture": stack.architecture, "support": stack.support.label}
            for stack in model.stacks
        ]
        rows = "sets of rows" if model.set_size else "rows"
        line = f"{'; '.join(stack.describe() for stack in model.stacks)}; {self.rows} training {rows}"
        candidates = [asdict(candidate) for candidate in model.race]
        validation = None if model.recalibration is None else model.recalibration.before
        return line, {"stacks": stacks, "rows": self.rows, "validation": validation, "candidates": candidates}


def check_target(catalog: Catalog) -> None:
    """Raises UserError if the target is a class: a flow infers parameters."""
    if catalog.classes:
        name = catalog.require_parameters()[0].names[0]
        raise UserError("a flow infers parameters; train-regressor classifies", setting="target", value=name)


def plan_flow(job: TrainingJob) -> FlowPlan:
    """The architectures for the rows and shapes of a catalog, and what a flow is made from.

    Raises UserError if a setting, an input or the catalog is not usable.
    """
    check_target(job.catalog)
    sources, catalog = FlowSources.read(job), job.catalog
    sets = job.request.recipe.get("observation") == "simulation"
    sets |= sources.ancestor is not None and bool(sources.ancestor.set_size)
    rows, rows_of_defaults = (
        split.sizes[0] if sets else len(split.select_rows(catalog.simulation, "train"))
        for split in (job.split, job.defaults_of or job.split)
    )
    recipe = _choose_recipe(job, sources, rows_of_defaults)
    for stack in recipe.stacks:
        for line in check_passes(stack.flow, stack.settings, len(catalog.require_parameters()[0]), job.force):
            job.reporter.info(line)
    _check_recipe(job, sources, recipe)
    return FlowPlan(job, recipe, rows, sources)


def _choose_recipe(job: TrainingJob, sources: FlowSources, rows: int) -> FlowRecipe:
    """For so many rows or sets of them; that of the ancestor, or of another model, where there is one."""
    summary, ancestor, settings = sources.summary, sources.ancestor, dict(job.request.recipe)
    shapes = (
        [observable.row_shape for observable in job.catalog.observables] if summary is None else [summary.summary_shape]
    )
    if job.request.inputs.like is not None:
        return _recipe_like(job, shapes)
    if ancestor is None:
        return flow_recipe(settings, rows, shapes)
    configs = [stack.config for stack in ancestor.stacks]
    return continued_recipe(configs, ancestor.stacks[0].members, settings, rows, shapes)


def _recipe_like(job: TrainingJob, shapes: Shapes) -> FlowRecipe:
    """That which the file `like` was made by, with the settings that were given in place of its own."""
    path, request = job.request.inputs.like, job.request
    assert path is not None
    if request.inputs.fine_tune is not None:
        raise UserError("has no effect beside `fine_tune`: the architecture is that of the other flow", setting="like")
    model = read_model_of_kind(path, "flow", job.device, "like")
    axes = [[len(shape) for shape in stack.config["shapes"]] for stack in model.stacks]
    now = [len(shape) for shape in shapes]
    if len(now) == len(axes[0]) and now not in axes:
        raise UserError(f"was trained on data of {axes[0]} axes a row, here they have {now}", "like", path)
    meta = model.provenance
    document = meta.get("settings", {}).get("recipe")
    if document is None:
        task = meta.get("command", "another tool")
        raise UserError(f"was made by {task}, without a recipe; name one of the flows of train-flow", "like", path)
    with storage.interpreted(path, "a recipe in its /meta"):
        recipe = recipe_of_document(document)
    return recipe_like(recipe, request.recipe, shapes)


def _check_recipe(job: TrainingJob, sources: FlowSources, recipe: FlowRecipe) -> None:
    """Raises UserError where a setting does not go with the data, or a network cannot be built for them."""
    if sources.summary is None:
        shapes = job.check_settings_of_data(recipe.augment, recipe.compress, sources.noise)
    else:
        shapes = [sources.summary.summary_shape]
    for stack in recipe.stacks if sources.ancestor is None else ():
        with prefixed_errors(EMBEDDING):
            check_networks(stack.embedding, shapes)
        stack.settings.build(len(job.catalog.require_parameters()[0]), 1, generators(0, "check", 1))


FLOW_TRAINER = Trainer("flow", flow_settings, ("noise", "summary", "fine_tune", "like"), plan_flow)
