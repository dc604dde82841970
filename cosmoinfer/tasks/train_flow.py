"""Train normalizing flows for p(theta | x)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from numpy.typing import ArrayLike

from cosmoinfer import models
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.models.flow import FlowModel, check_passes, continued_recipe, fit_flow, flow_recipe, flow_settings
from cosmoinfer.preprocessing.fit import with_compression_of
from cosmoinfer.split import Split
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, training_provenance
from cosmoinfer.tasks.reading import (
    CatalogSource,
    choose_split,
    fit_and_report_preprocessing,
    open_catalog,
    read_model_of_kind,
    read_noise_for,
)
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import RunSettings, TrainingRequest, select_keywords
from cosmoinfer.training.settings import TrainingContext

INPUTS = ("noise", "summary", "fine_tune")


@dataclass(frozen=True)
class TrainedFlow:
    """model: None where the output was complete already. rows: how many it was trained on, or sets of them."""

    output: Path | None
    rows: int
    sets: bool
    model: FlowModel | None

    @property
    def members(self) -> str:
        """How many of each architecture."""
        stacks = () if self.model is None else self.model.stacks
        return ", ".join(f"{stack.members} x {stack.config['flow']}" for stack in stacks)

    def describe(self) -> str:
        """In one line."""
        if self.model is None:
            return f"{self.output}: complete"
        learned = f"{self.rows} training {'sets of rows' if self.sets else 'rows'}"
        return f"{self.output}: {self.members}, support {self.model.support.name}, {learned}"


def train_flow(
    catalog: CatalogSource = None,
    *,
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
    arrays = {"theta": theta, "x": x, "low": low, "high": high, "prior": prior}
    path = None if output is None else Path(output)
    trained = _train_on(catalog, arrays, settings, path, force, reporter)
    return trained.model or cast(
        FlowModel, models.read(cast(Path, path), select_keywords(RunSettings, settings).prepare_device())
    )


def write_flow(
    catalog: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> TrainedFlow:
    """The same for the command line: a model that is complete already is not read.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    return _train_on(catalog, {}, keywords, output or default_output(catalog, "flow"), force, reporter)


def _train_on(
    source: CatalogSource,
    arrays: Mapping[str, Any],
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> TrainedFlow:
    settings = TrainingRequest.from_keywords("train_flow", keywords, flow_settings(), INPUTS)
    catalog = open_catalog(source, keywords, arrays)
    split = choose_split(catalog, settings.split)
    device = settings.run.prepare_device()
    return train_and_write(catalog, split, settings, device, output, force, reporter)


def check_target(catalog: Catalog) -> None:
    """Raises UserError if the target is a class: a flow infers parameters."""
    if catalog.classes:
        name = catalog.require_parameters()[0].names[0]
        raise UserError("a flow infers parameters; train-regressor tells classes apart", setting="target", value=name)


def train_and_write(
    catalog: Catalog,
    split: Split,
    settings: TrainingRequest,
    device: torch.device,
    output: Path | None,
    force: bool,
    reporter: Reporter,
    defaults_of: Split | None = None,
) -> TrainedFlow:
    """Train on a catalog that has been read and split, and write the model unless it is up to date, or has no output.

    defaults_of: the split for whose number of training rows the recipe is; by default this one. Raises UserError if a
    setting, an input or the catalog is not usable.
    """
    inputs, seed = settings.inputs, settings.run.seed
    regressor = None if inputs.summary is None else read_model_of_kind(inputs.summary, "regressor", device, "summary")
    ancestor = None if inputs.fine_tune is None else read_model_of_kind(inputs.fine_tune, "flow", device, "fine_tune")
    check_target(catalog)
    if regressor is not None and inputs.noise is not None:
        raise UserError("the regressor that `summary` names brings its own noise, or none", setting="noise")
    if regressor is not None and settings.recipe.get("compress"):
        raise UserError("the regressor that `summary` names is all that the flow sees", setting="compress")
    noise = read_noise_for(inputs.noise, catalog, seed)
    for trained in (regressor, ancestor):
        noise = trained.preprocessing.noise if noise is None and trained is not None else noise
    sets = settings.recipe.get("observation") == "simulation" or (ancestor is not None and bool(ancestor.set_size))
    rows, rows_of_defaults = (
        used.sizes[0] if sets else len(used.select_rows(catalog.simulation, "train"))
        for used in (split, defaults_of or split)
    )
    shapes = (
        [observable.row_shape for observable in catalog.observables] if regressor is None else [regressor.summary_shape]
    )
    options = dict(settings.recipe)
    if ancestor is None:
        recipe = flow_recipe(options, rows_of_defaults, shapes)
    else:
        configs, members = [stack.config for stack in ancestor.stacks], ancestor.stacks[0].members
        recipe = continued_recipe(configs, members, options, rows_of_defaults, shapes)
    for stack in recipe.stacks:
        for line in check_passes(stack.flow, stack.settings, len(catalog.require_parameters()[0]), force):
            reporter.report(line)
    meta = training_provenance("train-flow", recipe, seed, device, catalog, split, inputs.digests())
    if is_up_to_date(output, "model", meta, reporter, force, inputs.summary, inputs.fine_tune):
        return TrainedFlow(output, rows, sets, None)
    context = TrainingContext(device, seed, reporter.report, reporter.epochs())
    preprocessing = fit_and_report_preprocessing(catalog, split, recipe, context, noise, reporter)
    if ancestor is not None:
        preprocessing = with_compression_of(ancestor.preprocessing, preprocessing, catalog, split)
    model = replace(fit_flow(catalog, split, preprocessing, recipe, context, regressor, ancestor), provenance=meta)
    if output is not None:
        model.save(output, force)
    return TrainedFlow(output, rows, sets, model)
