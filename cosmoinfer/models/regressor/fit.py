"""Training regressors and classifiers: rows in, a model out."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cosmoinfer import losses
from cosmoinfer.catalog import Catalog
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.models.model import Stack, fit_stack, with_ood_detector
from cosmoinfer.models.regressor.classifier import ClassifierModel
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.regressor.network import Regressor, regressor_config
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.r2 import UNCONSTRAINED_R2, r2_score
from cosmoinfer.split import Split
from cosmoinfer.training.augmentation import training_hooks
from cosmoinfer.training.loaders import make_loader
from cosmoinfer.training.loop import History, Loss, evaluate
from cosmoinfer.training.settings import Rows, TrainingContext, generators, uniform


def fit_regressor(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: RegressorRecipe, context: TrainingContext
) -> RegressorModel:
    """One regressor ensemble, on standardised catalog units of the parameters."""
    _, theta = catalog.require_parameters()
    train_rows = theta[split.select_rows(catalog.simulation, "train")]
    shift, scale = train_rows.mean(axis=0), train_rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    loss = LOSSES[recipe.loss]
    fitted = Loss(_loss_of_outputs(loss.terms), loss.reduce)
    score = None if loss.validation_score is None else Loss(_loss_of_outputs(loss.validation_score))
    outputs = loss.n_outputs(theta.shape[1])
    stack = _fit_networks(
        catalog,
        split,
        preprocessing,
        recipe,
        context,
        (theta - shift) / scale,
        outputs,
        loss.output_head,
        fitted,
        score,
    )
    model = RegressorModel(
        preprocessing,
        TrainingRecord.from_catalog(catalog, split),
        recipe.loss,
        shift,
        scale,
        (stack,),
        uniform(recipe.ensemble),
    )
    return model.with_recalibration(catalog, context.seed)


def fit_classifier(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: RegressorRecipe, context: TrainingContext
) -> ClassifierModel:
    """One classifier ensemble; its temperature, and what is unlike its training rows, from the validation rows."""
    _, labels = catalog.require_parameters()
    loss = CLASSIFICATION_LOSSES[recipe.loss]

    def terms(network: nn.Module, batch: Rows) -> Tensor:
        return loss.terms(network(*batch[1:]), batch[0][..., 0])

    outputs = loss.n_outputs(len(preprocessing.classes))
    fitted = Loss(terms)
    stack = _fit_networks(catalog, split, preprocessing, recipe, context, labels, outputs, "point", fitted, None)
    model = ClassifierModel(
        preprocessing, TrainingRecord.from_catalog(catalog, split), recipe.loss, (stack,), uniform(recipe.ensemble), 1.0
    )
    rows = split.select_rows(catalog.simulation, "validation")
    return with_ood_detector(model, catalog).with_temperature(catalog, rows)


def collapsed_parameters(model: RegressorModel, catalog: Catalog) -> tuple[str, ...]:
    """The parameters for which the network returns the prior's mean: R2 of the validation rows next to nothing."""
    _, theta = catalog.require_parameters()
    rows = model.training_record.rows(catalog, "validation")
    pairs = zip(model.preprocessing.parameters.names, r2_score(theta[rows], model.means(catalog, rows)), strict=True)
    return tuple(name for name, r2_of_parameter in pairs if r2_of_parameter <= UNCONSTRAINED_R2)


def _fit_networks(
    catalog: Catalog,
    split: Split,
    preprocessing: Preprocessing,
    recipe: RegressorRecipe,
    context: TrainingContext,
    targets: np.ndarray,
    outputs: int,
    head: str,
    loss: Loss,
    score: Loss | None,
) -> Stack[Regressor]:
    """The members side by side; targets: (N, T), what the network is to say of every row of the catalog."""
    rows = [split.select_rows(catalog.simulation, partition) for partition in ("train", "validation")]
    config = regressor_config(recipe, preprocessing.shapes, preprocessing.periodic, outputs, head)
    network = Regressor.from_config(config, generators(context.seed, "initialise", recipe.ensemble))
    if recipe.is_baseline:
        (_, baseline), fitted = recipe.networks[0], network.embedding.networks[0]
        catalog.require_in_memory(f"`network={recipe.networks[0][0]}`")
        data = [preprocessing.data(catalog, positions)[0] for positions in rows]
        baseline.fit(fitted, data[0], targets[rows[0]], data[1], targets[rows[1]], context.seed)
    network.to(context.device)
    loaders = [
        make_loader(catalog, positions, [targets[positions]], partial(preprocessing.data, catalog), context)
        for positions in rows
    ]
    if recipe.is_baseline:
        curves = [evaluate(network, loss, loader, 1).cpu().numpy()[None] for loader in loaders]
        return Stack(config, 1, network, History(curves[0], curves[1], np.zeros(1), np.zeros(1, dtype=np.int64)))
    fresh = None if preprocessing.noise is None else lambda epoch: preprocessing.data(catalog, rows[0], epoch)
    symmetries = preprocessing.symmetries(recipe.augment)
    warm = Loss(_loss_of_outputs(losses.squared_error)) if head != "point" else None
    hooks = training_hooks(context, recipe.ensemble, symmetries, context.tensors(targets[rows[0]]), fresh, warm)
    return fit_stack(config, recipe.ensemble, network, loss, loaders, recipe.training, context, hooks, score)


def _loss_of_outputs(terms: Callable[[Tensor, Tensor], Tensor]) -> Callable[[nn.Module, Rows], torch.Tensor]:
    """A loss of outputs and targets, as one of a network and rows (targets, data)."""
    return lambda network, batch: terms(network(*batch[1:]), batch[0])
