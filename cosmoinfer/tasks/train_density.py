"""Train normalizing flows for the data themselves, p(x | theta) or p(x)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cosmoinfer import models
from cosmoinfer.device import prepare_device
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import DensityModel, density_recipe, fit_density
from cosmoinfer.models.density.recipe import DensityRecipe
from cosmoinfer.models.fit_preprocessing import fit_preprocessing
from cosmoinfer.models.flow import check_passes
from cosmoinfer.models.overrides import TRAINING_SETTINGS
from cosmoinfer.parameters import Parameters
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, training_provenance
from cosmoinfer.tasks.reading import choose_split, read_catalog, report_data
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import TrainingSettings
from cosmoinfer.training.context import TrainingContext

RECIPE = (
    *("flow", "unconditional", "levels", "kernel", "bins", "augment", "ensemble", "transform"),
    *("layers", "hidden", "dropout", "activation", "blocks"),
    *TRAINING_SETTINGS,
)


@dataclass(frozen=True)
class TrainedDensity:
    """model: None where the output was complete already. rows: how many it was trained on. validation: mean log density
    of a validation row, natural logarithm, in catalog units."""

    output: Path
    rows: int
    recipe: DensityRecipe
    validation: float | None
    model: DensityModel | None

    def describe(self) -> str:
        """In one line."""
        if self.model is None:
            return f"{self.output}: complete"
        density = describe_density(self.recipe, self.model.preprocessing.parameters)
        flows = f"{self.recipe.ensemble} x {self.recipe.flow}"
        return f"{self.output}: {flows}, {density}; validation log density of a row {self.validation:.4f}"


def write_density(
    catalog: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> TrainedDensity:
    """Train a density of the data, and write it unless it is up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    settings = TrainingSettings.from_keywords("train_density", keywords, RECIPE, ())
    output, seed = output or default_output(catalog, "density"), settings.run.seed
    simulations = read_catalog(catalog, settings.catalog)
    if simulations.classes:
        target = settings.catalog.reading.target
        raise UserError("a density is of the data; train-regressor tells classes apart", setting="target", value=target)
    if settings.recipe.get("unconditional"):
        simulations = replace(simulations, parameters=None, theta=None)
    split = choose_split(simulations, settings.split)
    device = prepare_device(settings.run.device, settings.run.threads)
    rows = len(split.select_rows(simulations.simulation, "train"))
    kinds = tuple(one.kind for one in simulations.observables)
    recipe = density_recipe(dict(settings.recipe), rows, kinds, simulations.theta is not None)
    if kinds == ("vector",):
        for line in check_passes(recipe.flow, recipe.settings, simulations.observables[0].row_shape[0], force):
            reporter.report(line)
    meta = training_provenance("train-density", recipe, seed, device, simulations, split, {})
    if is_up_to_date(output, "model", meta, reporter, force):
        return TrainedDensity(output, rows, recipe, None, None)
    context = TrainingContext(device, seed, reporter.report, reporter.epochs())
    frame = fit_preprocessing(simulations, split, simulations.reading, recipe.transform)
    report_data(frame, simulations, split, reporter)
    density = describe_density(recipe, frame.parameters)
    reporter.report(f"training {recipe.ensemble} x {recipe.flow} for {density}")
    model = fit_density(simulations, frame, recipe, context)
    models.write(output, model, meta, force)
    validation_rows = split.select_rows(simulations.simulation, "validation")
    log_prob = model.log_prob(simulations, validation_rows, reporter.rows("validation row"))
    return TrainedDensity(output, rows, recipe, float(log_prob.mean()), model)


def describe_density(recipe: DensityRecipe, parameters: Parameters) -> str:
    """p(x | theta) with the names of the parameters, or p(x)."""
    return f"p(x | {', '.join(parameters.names)})" if recipe.conditional else "p(x)"
