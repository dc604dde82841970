"""Train networks that predict the parameters, or the probability of each class."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import models
from cosmoinfer.catalog import Catalog
from cosmoinfer.device import prepare_device
from cosmoinfer.losses import LOSSES
from cosmoinfer.models.overrides import NETWORK_SETTINGS, TRAINING_SETTINGS
from cosmoinfer.models.preprocessing import Preprocessing
from cosmoinfer.models.regressor import (
    ClassifierModel,
    RegressorModel,
    collapsed_parameters,
    fit_classifier,
    fit_regressor,
    regressor_recipe,
)
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, training_provenance
from cosmoinfer.tasks.reading import choose_split, fit_and_report_preprocessing, read_catalog, read_noise_for
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import TrainingSettings
from cosmoinfer.training.context import TrainingContext

RECIPE = (
    *("network", "trees", "depth", "loss", "compress", "augment", "ensemble", "transform"),
    *NETWORK_SETTINGS,
    *TRAINING_SETTINGS,
)
INPUTS = ("noise",)


@dataclass(frozen=True)
class TrainedRegressor:
    """model: None where the output was complete already. rows: how many it was trained on."""

    output: Path
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


def write_regressor(
    catalog: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> TrainedRegressor:
    """Train a regressor, or with a target a classifier, and write it unless it is up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    settings = TrainingSettings.from_keywords("train_regressor", keywords, RECIPE, INPUTS)
    output, seed = output or default_output(catalog, "regressor"), settings.run.seed
    simulations = read_catalog(catalog, settings.catalog)
    split = choose_split(simulations, settings.split)
    device = prepare_device(settings.run.device, settings.run.threads)
    rows = len(split.select_rows(simulations.simulation, "train"))
    shapes = [one.row_shape for one in simulations.observables]
    recipe = regressor_recipe(dict(settings.recipe), rows, shapes, len(simulations.classes))
    digests = settings.inputs.digests()
    meta = training_provenance("train-regressor", recipe, seed, device, simulations, split, digests)
    if is_up_to_date(output, "model", meta, reporter, force):
        return TrainedRegressor(output, rows, recipe, None)
    context = TrainingContext(device, seed, reporter.report, reporter.epochs())
    noise = read_noise_for(settings.inputs.noise, simulations, seed)
    frame = fit_and_report_preprocessing(simulations, split, recipe, context, noise, reporter)
    model = _fit(simulations, frame, recipe, context, reporter)
    models.write(output, model, meta, force)
    return TrainedRegressor(output, rows, recipe, model)


def _fit(
    simulations: Catalog, frame: Preprocessing, recipe: RegressorRecipe, context: TrainingContext, reporter: Reporter
) -> RegressorModel | ClassifierModel:
    """With a warning where the network found nothing in the data."""
    networks = f"training {describe_networks(recipe)}, loss {recipe.loss}"
    reporter.report(f"{networks}; the validation rows judge by {score_name(recipe)}")
    if simulations.classes:
        return fit_classifier(simulations, frame, recipe, context)
    model = fit_regressor(simulations, frame, recipe, context)
    constant = collapsed_parameters(model, simulations)
    if len(constant) == len(frame.parameters):
        reporter.warn(
            "the network returns the mean of the prior for every parameter: before any other setting, look at the "
            f"catalog (cosmoinfer inspect {simulations.path}): do the rows of parameters and data belong together?"
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
