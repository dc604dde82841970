"""Train networks that predict the parameters, or the probability of each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from numpy.typing import ArrayLike

from cosmoinfer import models
from cosmoinfer.catalog import Catalog
from cosmoinfer.losses import LOSSES
from cosmoinfer.models.regressor import (
    ClassifierModel,
    RegressorModel,
    collapsed_parameters,
    fit_classifier,
    fit_regressor,
    regressor_recipe,
    regressor_settings,
)
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.split import Split
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, training_provenance
from cosmoinfer.tasks.reading import (
    CatalogSource,
    choose_split,
    fit_and_report_preprocessing,
    open_catalog,
    read_noise_for,
)
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import RunSettings, TrainingRequest, select_keywords
from cosmoinfer.training.settings import TrainingContext

INPUTS = ("noise",)


@dataclass(frozen=True)
class TrainedRegressor:
    """model: None where the output was complete already. rows: how many it was trained on."""

    output: Path | None
    rows: int
    recipe: RegressorRecipe
    model: RegressorModel | ClassifierModel | None

    @property
    def score_name(self) -> str:
        """What the validation rows choose the epoch by."""
        return score_name(self.recipe)

    @property
    def validation(self) -> float | None:
        """The best validation score, the mean over members."""
        return None if self.model is None else float(self.model.stacks[0].history.best_validation.mean())

    def describe(self) -> str:
        """In one line."""
        if self.validation is None:
            return f"{self.output}: complete"
        score = f"validation {self.score_name} of a member {self.validation:.4f}"
        return f"{self.output}: {describe_networks(self.recipe)}; {score}"


def train_regressor(
    catalog: CatalogSource = None,
    *,
    theta: ArrayLike | None = None,
    x: ArrayLike | Mapping[str, ArrayLike] | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> RegressorModel | ClassifierModel:
    """Train networks that predict the parameters, or with a target (arrays: classes) the probability of each class.

    catalog: its path, or a ``Catalog``; or arrays, as of ``catalog.from_arrays``: theta (N, P), x (N, ...) or several
        by name, low and high (P,) the prior box, classes (C,) names where theta (N,) is a class number, and among the
        settings names (P,) and simulation (N,).
    output: the file to write, if any; a complete one of the same settings is read in place of a training.
    settings: the options of ``cosmoinfer train-regressor`` by name, as ``learning_rate=0.001``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    arrays = {"theta": theta, "x": x, "low": low, "high": high, "classes": classes}
    path = None if output is None else Path(output)
    trained = _train_on(catalog, arrays, settings, path, force, reporter)
    if trained.model is not None:
        return trained.model
    model = models.read(cast(Path, path), select_keywords(RunSettings, settings).prepare_device())
    return cast(RegressorModel | ClassifierModel, model)


def write_regressor(
    catalog: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> TrainedRegressor:
    """The same for the command line: a model that is complete already is not read.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    return _train_on(catalog, {}, keywords, output or default_output(catalog, "regressor"), force, reporter)


def _train_on(
    source: CatalogSource,
    arrays: Mapping[str, Any],
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> TrainedRegressor:
    settings = TrainingRequest.from_keywords("train_regressor", keywords, regressor_settings(), INPUTS)
    seed = settings.run.seed
    catalog = open_catalog(source, keywords, arrays)
    split = choose_split(catalog, settings.split)
    device = settings.run.prepare_device()
    rows = len(split.select_rows(catalog.simulation, "train"))
    shapes = [observable.row_shape for observable in catalog.observables]
    recipe = regressor_recipe(dict(settings.recipe), rows, shapes, len(catalog.classes))
    digests = settings.inputs.digests()
    meta = training_provenance("train-regressor", recipe, seed, device, catalog, split, digests)
    if is_up_to_date(output, "model", meta, reporter, force):
        return TrainedRegressor(output, rows, recipe, None)
    context = TrainingContext(device, seed, reporter.report, reporter.epochs())
    noise = read_noise_for(settings.inputs.noise, catalog, seed)
    preprocessing = fit_and_report_preprocessing(catalog, split, recipe, context, noise, reporter)
    model = replace(_fit(catalog, split, preprocessing, recipe, context, reporter), provenance=meta)
    if output is not None:
        model.save(output, force)
    return TrainedRegressor(output, rows, recipe, model)


def _fit(
    catalog: Catalog,
    split: Split,
    preprocessing: Preprocessing,
    recipe: RegressorRecipe,
    context: TrainingContext,
    reporter: Reporter,
) -> RegressorModel | ClassifierModel:
    """With a warning where the network found nothing in the data."""
    networks = f"training {describe_networks(recipe)}, loss {recipe.loss}"
    reporter.report(f"{networks}; the validation rows judge by {score_name(recipe)}")
    if catalog.classes:
        return fit_classifier(catalog, split, preprocessing, recipe, context)
    model = fit_regressor(catalog, split, preprocessing, recipe, context)
    constant = collapsed_parameters(model, catalog)
    if len(constant) == len(preprocessing.parameters):
        reporter.warn(
            "the network returns the mean of the prior for every parameter: before any other setting, look at the "
            f"catalog (cosmoinfer inspect {catalog.path}): do the rows of parameters and data belong together?"
        )
    elif constant:
        reporter.warn(f"the network returns the mean of the prior for {', '.join(constant)}")
    return model


def describe_networks(recipe: RegressorRecipe) -> str:
    """How many of which are trained."""
    return f"{recipe.ensemble} x {', '.join(name for name, _ in recipe.networks)}"


def score_name(recipe: RegressorRecipe) -> str:
    """What the validation rows choose the epoch by."""
    return LOSSES[recipe.loss].validation_score_name or recipe.loss if recipe.loss in LOSSES else recipe.loss
