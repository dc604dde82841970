"""Train normalizing flows for the data themselves, p(x | theta) or p(x)."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from cosmoinfer.catalog.catalog import UNKNOWN_THETA
from cosmoinfer.errors import UserError
from cosmoinfer.models.density import DensityModel, density_recipe, density_settings, fit_density
from cosmoinfer.models.density.recipe import DensityRecipe
from cosmoinfer.models.flow import check_passes
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.reading import CatalogSource, check_source
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.training import Trainer, TrainingJob, TrainingPlan
from cosmoinfer.training.settings import TrainingContext


def train_density(
    catalog: CatalogSource = None,
    *unnamed: object,
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

    catalog, output: as of ``train_flow``; arrays too: theta (N, P), x (N, ...), low and high (P,) the prior box.
    settings: the options of ``cosmoinfer train-density`` by name, as ``learning_rate=0.001``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    check_source(catalog, *unnamed)
    arrays = {"theta": theta, "x": x, "low": low, "high": high}
    return DENSITY_TRAINER.train(catalog, arrays, settings, output, force, reporter)


@dataclass(frozen=True)
class DensityPlan(TrainingPlan[DensityModel]):
    """rows: how many it is trained on."""

    recipe: DensityRecipe
    rows: int

    def fit(self, context: TrainingContext) -> DensityModel:
        """One flow ensemble."""
        job, recipe = self.job, self.recipe
        preprocessing = job.fit_preprocessing(context, recipe.transform)
        context.info(f"training {self._flows(preprocessing.parameters, ' for ')}")
        return fit_density(job.catalog, job.split, preprocessing, recipe, context)

    def describe(self, model: DensityModel) -> tuple[str, JSONObject]:
        """The flows, and the mean log density of a validation row, natural, in catalog units."""
        catalog, progress = self.job.catalog, self.job.reporter.rows("validation row")
        rows = self.job.split.select_rows(catalog.simulation, "validation")
        rows = select_judging_rows(model.preprocessing, catalog, rows)
        validation = float(model.log_prob_of_rows(catalog, rows, progress).mean())
        flows = self._flows(model.preprocessing.parameters, ", ")
        line = f"{flows}; validation log density of a row {validation:.4f}"
        return line, {"validation": validation, "rows": self.rows}

    def _flows(self, parameters: Parameters, joint: str) -> str:
        """How many of which, and of what: p(x | theta) with the names of the parameters, or p(x)."""
        density = f"p(x | {', '.join(parameters.names)})" if self.recipe.conditional else "p(x)"
        return f"{self.recipe.ensemble} x {self.recipe.flow}{joint}{density}"


def plan_density(job: TrainingJob) -> DensityPlan:
    """The flow for the rows and the kind of a catalog's data. Raises UserError if a setting or they are not usable."""
    if job.catalog.classes:
        target = job.catalog.require_parameters()[0].names[0]
        raise UserError("a density describes the data; train-regressor classifies", setting="target", value=target)
    if job.request.recipe.get("unconditional"):
        job = replace(job, catalog=replace(job.catalog, parameters=None, theta=None))
    elif UNKNOWN_THETA in job.catalog.notes:
        raise UserError(f"{job.catalog.path}: {UNKNOWN_THETA}; `unconditional` learns p(x) without them")
    catalog, rows = job.catalog, len(job.split.select_rows(job.catalog.simulation, "train"))
    kinds = tuple(observable.kind for observable in catalog.observables)
    recipe = density_recipe(dict(job.request.recipe), rows, kinds, catalog.theta is not None)
    if kinds == ("vector",):
        for line in check_passes(recipe.flow, recipe.settings, catalog.observables[0].row_shape[0], job.force):
            job.reporter.info(line)
    job.check_settings_of_data(recipe.augment)
    return DensityPlan(job, recipe, rows)


DENSITY_TRAINER = Trainer("density", density_settings, (), plan_density)
