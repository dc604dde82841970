"""Training regressors and classifiers: rows in, a model out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cosmoinfer import losses
from cosmoinfer.catalog import Catalog
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.models.model import Stack, fit_stack
from cosmoinfer.models.posterior_model import with_ood_detector
from cosmoinfer.models.regressor.classifier import ClassifierModel
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.regressor.network import Regressor, regressor_config
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.r2 import UNCONSTRAINED_R2, r2_score
from cosmoinfer.split import Split
from cosmoinfer.training.augmentation import training_hooks
from cosmoinfer.training.loaders import make_loader
from cosmoinfer.training.loop import Loss, evaluate
from cosmoinfer.training.settings import Rows, TrainingContext, uniform
from cosmoinfer.training.state import History
from cosmoinfer.training.streams import generators


@dataclass(frozen=True)
class RegressorTrainingData:
    """What a regressor or classifier is trained on: rows of a catalog, as the preprocessing shows them.

    targets: (N, T), of every row of the catalog, in the units of the outputs.
    """

    catalog: Catalog
    split: Split
    preprocessing: Preprocessing
    targets: np.ndarray

    def data(self, rows: np.ndarray, epoch: int | None = None) -> tuple[np.ndarray, ...]:
        """What the networks see, (n, ...) an observable, of rows (n,); epoch: with its noise."""
        return self.preprocessing.data(self.catalog, rows, epoch)

    def rows(self, partition: str) -> np.ndarray:
        """Positions of those that train, or that judge."""
        rows = self.split.select_rows(self.catalog.simulation, partition)
        return select_judging_rows(self.preprocessing, self.catalog, rows) if partition == "validation" else rows


@dataclass(frozen=True)
class Objective:
    """What the networks are trained for.

    outputs: of the last layer. head: of the outputs, in ``OUTPUT_HEADS``. loss: what a training minimises.
    validation_score: what judges the validation rows, if not the loss.
    """

    outputs: int
    head: str
    loss: Loss
    validation_score: Loss | None = None


def fit_regressor(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: RegressorRecipe, context: TrainingContext
) -> RegressorModel:
    """One regressor ensemble, on standardised catalog units of the parameters.

    Raises UserError if the catalog has no parameters, a network cannot be built for its data, a baseline requires data
    in memory, or a loss is no longer finite.
    """
    _, theta = catalog.require_parameters()
    train_rows = theta[split.select_rows(catalog.simulation, "train")]
    shift, scale = train_rows.mean(axis=0), train_rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    loss = LOSSES[recipe.loss]
    objective = Objective(
        loss.n_outputs(theta.shape[1]),
        loss.output_head,
        Loss(_loss_of_outputs(loss.terms), loss.reduce),
        None if loss.validation_score is None else Loss(_loss_of_outputs(loss.validation_score)),
    )
    data = RegressorTrainingData(catalog, split, preprocessing, (theta - shift) / scale)
    model = RegressorModel(
        preprocessing,
        TrainingRecord.from_catalog(catalog, split),
        recipe.loss,
        shift,
        scale,
        (_fit_networks(data, objective, recipe, context),),
        uniform(recipe.ensemble),
    )
    return model.with_recalibration(catalog, context.seed)


def fit_classifier(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: RegressorRecipe, context: TrainingContext
) -> ClassifierModel:
    """One classifier ensemble; its temperature, and what is unlike its training rows, from the validation rows.

    Raises UserError as ``fit_regressor``, and if the loss does not allow this number of classes.
    """
    _, labels = catalog.require_parameters()
    loss = CLASSIFICATION_LOSSES[recipe.loss]

    def terms(network: nn.Module, batch: Rows) -> Tensor:
        return loss.terms(network(*batch[1:]), batch[0][..., 0])

    objective = Objective(loss.n_outputs(len(preprocessing.classes)), "point", Loss(terms))
    stack = _fit_networks(RegressorTrainingData(catalog, split, preprocessing, labels), objective, recipe, context)
    model = ClassifierModel(
        preprocessing, TrainingRecord.from_catalog(catalog, split), recipe.loss, (stack,), uniform(recipe.ensemble), 1.0
    )
    rows = select_judging_rows(preprocessing, catalog, split.select_rows(catalog.simulation, "validation"))
    return with_ood_detector(model, catalog).with_temperature(catalog, rows)


def collapsed_parameters(model: RegressorModel, catalog: Catalog) -> tuple[str, ...]:
    """The parameters for which the network returns the prior's mean: R2 of the validation rows next to nothing."""
    _, theta = catalog.require_parameters()
    rows = select_judging_rows(model.preprocessing, catalog, model.training_record.rows(catalog, "validation"))
    pairs = zip(model.preprocessing.parameters.names, r2_score(theta[rows], model.means(catalog, rows)), strict=True)
    return tuple(name for name, r2_of_parameter in pairs if r2_of_parameter <= UNCONSTRAINED_R2)


def _fit_networks(
    data: RegressorTrainingData, objective: Objective, recipe: RegressorRecipe, context: TrainingContext
) -> Stack[Regressor]:
    """The members, trained side by side."""
    preprocessing, targets = data.preprocessing, data.targets
    rows = [data.rows(partition) for partition in ("train", "validation")]
    config = regressor_config(recipe, preprocessing.shapes, preprocessing.periodic, objective.outputs, objective.head)
    network = Regressor.from_config(config, generators(context.seed, "initialise", recipe.ensemble))
    if recipe.is_baseline:
        (name, baseline), regression = recipe.networks[0], network.embedding.networks[0]
        data.catalog.require_in_memory(f"`network={name}`")
        features = [data.data(positions)[0] for positions in rows]
        baseline.fit(regression, features[0], targets[rows[0]], features[1], targets[rows[1]], context.seed)
    network.to(context.device)
    loaders = [make_loader(data.catalog, positions, [targets[positions]], data.data, context) for positions in rows]
    if recipe.is_baseline:
        curves = [evaluate(network, objective.loss, loader, 1).cpu().numpy()[None] for loader in loaders]
        return Stack(config, 1, network, History(curves[0], curves[1], np.zeros(1), np.zeros(1, dtype=np.int64)))
    fresh = None if preprocessing.noise is None else lambda epoch: data.data(rows[0], epoch)
    symmetries = preprocessing.symmetries(recipe.augment)
    warm = Loss(_loss_of_outputs(losses.squared_error)) if objective.head != "point" else None
    hooks = training_hooks(context, recipe.ensemble, symmetries, context.tensors(targets[rows[0]]), fresh, warm)
    return fit_stack(
        config,
        recipe.ensemble,
        network,
        objective.loss,
        loaders,
        recipe.training,
        context,
        hooks,
        objective.validation_score,
    )


def _loss_of_outputs(terms: Callable[[Tensor, Tensor], Tensor]) -> Callable[[nn.Module, Rows], torch.Tensor]:
    """A loss of outputs and targets, as one of a network and rows (targets, data)."""
    return lambda network, batch: terms(network(*batch[1:]), batch[0])
