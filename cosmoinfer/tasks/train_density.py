"""Train normalizing flows for the data themselves, p(x | theta) or p(x)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from numpy.typing import ArrayLike

from cosmoinfer import models
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import DensityModel, density_recipe, density_settings, fit_density
from cosmoinfer.models.density.recipe import DensityRecipe
from cosmoinfer.models.flow import check_passes
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, training_provenance
from cosmoinfer.tasks.reading import CatalogSource, choose_split, open_catalog, report_data
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import RunSettings, TrainingRequest, select_keywords
from cosmoinfer.training.settings import TrainingContext


@dataclass(frozen=True)
class TrainedDensity:
    """model: None where the output was complete already. rows: how many it was trained on. validation: mean log density
    of a validation row, natural logarithm, in catalog units."""

    output: Path | None
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


def train_density(
    catalog: CatalogSource = None,
    *,
    theta: ArrayLike | None = None,
    x: ArrayLike | Mapping[str, ArrayLike] | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> DensityModel:
    """Train a normalizing flow for the data themselves, p(x | theta), or p(x) with ``unconditional=True``.

    catalog: its path, or a ``Catalog``; or arrays, as of ``catalog.from_arrays``: theta (N, P), x (N, ...) or several
        by name, low and high (P,) the prior box, and among the settings names (P,) and simulation (N,).
    output: the file to write, if any; a complete one of the same settings is read in place of a training.
    settings: the options of ``cosmoinfer train-density`` by name, as ``learning_rate=0.001``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    arrays = {"theta": theta, "x": x, "low": low, "high": high}
    path = None if output is None else Path(output)
    trained = _train_on(catalog, arrays, settings, path, force, reporter)
    return trained.model or cast(
        DensityModel, models.read(cast(Path, path), select_keywords(RunSettings, settings).prepare_device())
    )


def write_density(
    catalog: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> TrainedDensity:
    """The same for the command line: a model that is complete already is not read.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    return _train_on(catalog, {}, keywords, output or default_output(catalog, "density"), force, reporter)


def _train_on(
    source: CatalogSource,
    arrays: Mapping[str, Any],
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> TrainedDensity:
    settings = TrainingRequest.from_keywords("train_density", keywords, density_settings(), ())
    seed = settings.run.seed
    catalog = open_catalog(source, keywords, arrays)
    if catalog.classes:
        target = catalog.require_parameters()[0].names[0]
        raise UserError("a density is of the data; train-regressor tells classes apart", setting="target", value=target)
    if settings.recipe.get("unconditional"):
        catalog = replace(catalog, parameters=None, theta=None)
    split = choose_split(catalog, settings.split)
    device = settings.run.prepare_device()
    rows = len(split.select_rows(catalog.simulation, "train"))
    kinds = tuple(observable.kind for observable in catalog.observables)
    recipe = density_recipe(dict(settings.recipe), rows, kinds, catalog.theta is not None)
    if kinds == ("vector",):
        for line in check_passes(recipe.flow, recipe.settings, catalog.observables[0].row_shape[0], force):
            reporter.report(line)
    meta = training_provenance("train-density", recipe, seed, device, catalog, split, {})
    if is_up_to_date(output, "model", meta, reporter, force):
        return TrainedDensity(output, rows, recipe, None, None)
    context = TrainingContext(device, seed, reporter.report, reporter.epochs())
    preprocessing = fit_preprocessing(catalog, split, catalog.read_options, recipe.transform)
    report_data(preprocessing, catalog, split, reporter)
    density = describe_density(recipe, preprocessing.parameters)
    reporter.report(f"training {recipe.ensemble} x {recipe.flow} for {density}")
    model = replace(fit_density(catalog, split, preprocessing, recipe, context), provenance=meta)
    if output is not None:
        model.save(output, force)
    validation_rows = split.select_rows(catalog.simulation, "validation")
    log_prob = model.log_prob_of_rows(catalog, validation_rows, reporter.rows("validation row"))
    return TrainedDensity(output, rows, recipe, float(log_prob.mean()), model)


def describe_density(recipe: DensityRecipe, parameters: Parameters) -> str:
    """p(x | theta) with the names of the parameters, or p(x)."""
    return f"p(x | {', '.join(parameters.names)})" if recipe.conditional else "p(x)"
