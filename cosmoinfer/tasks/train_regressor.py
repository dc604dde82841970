"""Train networks that predict the parameters, or the probability of each class."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from cosmoinfer.errors import UserError
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
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.storage import JSONObject
from cosmoinfer.tasks.reading import CatalogSource, check_source
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.training import Trainer, TrainingJob, TrainingPlan, check_networks
from cosmoinfer.training.settings import TrainingContext


def train_regressor(
    catalog: CatalogSource = None,
    *unnamed: object,
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

    catalog, output: as of ``train_flow``; arrays too: theta (N, P), x (N, ...) or several by name, low and high (P,)
        the prior box, classes (C,) names where theta (N,) is a class number.
    settings: the options of ``cosmoinfer train-regressor`` by name, as ``learning_rate=0.001``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    check_source(catalog, *unnamed)
    arrays = {"theta": theta, "x": x, "low": low, "high": high, "classes": classes}
    return REGRESSOR_TRAINER.train(catalog, arrays, settings, output, force, reporter)


@dataclass(frozen=True)
class RegressorPlan(TrainingPlan[RegressorModel | ClassifierModel]):
    """rows: how many it is trained on. noise: which every epoch draws anew."""

    recipe: RegressorRecipe
    rows: int
    noise: Noise | None

    def fit(self, context: TrainingContext) -> RegressorModel | ClassifierModel:
        """Networks of parameters or classes; warns where they found nothing in the data."""
        job, recipe = self.job, self.recipe
        preprocessing = job.fit_preprocessing(context, recipe.transform, recipe.compress, self.noise)
        context.info(f"training {self.networks}, loss {recipe.loss}; the validation rows judge by {self.score_name}")
        if job.catalog.classes:
            return fit_classifier(job.catalog, job.split, preprocessing, recipe, context)
        model = fit_regressor(job.catalog, job.split, preprocessing, recipe, context)
        constant = collapsed_parameters(model, job.catalog)
        if len(constant) == len(preprocessing.parameters):
            job.reporter.warn(
                "the network returns the mean of the prior for every parameter: before any other setting, look at the "
                f"catalog (cosmoinfer inspect {job.catalog.path}): do the rows of parameters and data belong together?"
            )
        elif constant:
            job.reporter.warn(f"the network returns the mean of the prior for {', '.join(constant)}")
        return model

    def describe(self, model: RegressorModel | ClassifierModel) -> tuple[str, JSONObject]:
        """The networks, and the best validation score, the mean over members."""
        validation = float(model.stacks[0].history.best_validation.mean())
        line = f"{self.networks}; validation {self.score_name} of a member {validation:.4f}"
        return line, {"validation": validation, "score": self.score_name, "rows": self.rows}

    @property
    def networks(self) -> str:
        """How many of which."""
        return f"{self.recipe.ensemble} x {', '.join(name for name, _ in self.recipe.networks)}"

    @property
    def score_name(self) -> str:
        """What the validation rows choose the epoch by."""
        loss = self.recipe.loss
        return (LOSSES[loss].validation_score_name if loss in LOSSES else "") or loss


def plan_regressor(job: TrainingJob) -> RegressorPlan:
    """The networks for the rows and shapes of a catalog. Raises UserError if a setting or the catalog is not usable."""
    catalog, rows = job.catalog, len(job.split.select_rows(job.catalog.simulation, "train"))
    shapes = [observable.row_shape for observable in catalog.observables]
    recipe, noise = regressor_recipe(dict(job.request.recipe), rows, shapes, len(catalog.classes)), job.read_noise()
    if recipe.is_baseline and job.ranks.count > 1:
        raise UserError(f"has no effect with `network={recipe.networks[0][0]}`, which has no batches", setting="ranks")
    check_networks(recipe.networks, job.check_settings_of_data(recipe.augment, recipe.compress, noise))
    return RegressorPlan(job, recipe, rows, noise)


REGRESSOR_TRAINER = Trainer("regressor", regressor_settings, ("noise",), plan_regressor)
