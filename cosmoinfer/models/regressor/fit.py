"""Training regressors and classifiers: rows in, a model out."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from cosmoinfer import losses
from cosmoinfer.catalog import Catalog
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.models.ensemble import Stack
from cosmoinfer.models.preprocessing import Frame
from cosmoinfer.models.regressor.classifier import ClassifierModel
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.regressor.network import Regressor, build_regressor, regressor_config
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.networks.embedding import use_mixed_precision
from cosmoinfer.training import augmentation
from cosmoinfer.training.context import Bench, Rows, generators, uniform
from cosmoinfer.training.history import History
from cosmoinfer.training.hooks import training_hooks
from cosmoinfer.training.loaders import make_loader
from cosmoinfer.training.loop import evaluate, train
from cosmoinfer.training.loss import Loss

COLLAPSED = 0.05  # R2 on the validation rows


def fit_regressor(catalog: Catalog, frame: Frame, recipe: RegressorRecipe, bench: Bench) -> RegressorModel:
    """One regressor ensemble, on standardised catalog units of the parameters."""
    _, theta = catalog.training()
    train_rows = theta[frame.split.rows(catalog.simulation, "train")]
    shift, scale = train_rows.mean(axis=0), train_rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    loss = LOSSES[recipe.loss]
    fitted = Loss(_of_rows(loss.terms), loss.reduce)
    score = None if loss.validation_score is None else Loss(_of_rows(loss.validation_score), losses.mean)
    outputs = loss.n_outputs(theta.shape[1])
    stack = _fit_stack(catalog, frame, recipe, bench, (theta - shift) / scale, outputs, loss.output_head, fitted, score)
    model = RegressorModel(frame, recipe.loss, shift, scale, (stack,), uniform(recipe.ensemble))
    return model.calibrated(catalog, bench.seed)


def fit_classifier(catalog: Catalog, frame: Frame, recipe: RegressorRecipe, bench: Bench) -> ClassifierModel:
    """One classifier ensemble; its temperature, and what is unlike its training rows, from the validation rows."""
    _, labels = catalog.training()
    loss = CLASSIFICATION_LOSSES[recipe.loss]

    def terms(network: nn.Module, batch: Rows) -> Tensor:
        return loss.terms(network(*batch[1:]), batch[0][:, 0])

    outputs = loss.n_outputs(len(frame.classes))
    fitted = Loss(terms, losses.mean)
    stack = _fit_stack(catalog, frame, recipe, bench, labels, outputs, "point", fitted, None)
    model = ClassifierModel(frame, recipe.loss, (stack,), uniform(recipe.ensemble), 1.0)
    return model.acquainted(catalog).calibrated(catalog, frame.split.rows(catalog.simulation, "validation"))


def collapsed(model: RegressorModel, catalog: Catalog) -> tuple[str, ...]:
    """The parameters for which the network returns the prior's mean: R2 of the validation rows next to nothing."""
    _, theta = catalog.training()
    rows = model.frame.split.rows(catalog.simulation, "validation")
    truth, missed = theta[rows], theta[rows] - model.means(catalog, rows)
    r2 = 1 - (missed**2).sum(axis=0) / np.maximum(((truth - truth.mean(axis=0)) ** 2).sum(axis=0), 1e-300)
    return tuple(name for name, one in zip(model.frame.parameters.names, r2, strict=True) if one <= COLLAPSED)


def _fit_stack(
    catalog: Catalog,
    frame: Frame,
    recipe: RegressorRecipe,
    bench: Bench,
    targets: np.ndarray,
    outputs: int,
    head: str,
    loss: Loss,
    score: Loss | None,
) -> Stack[Regressor]:
    """The members side by side; targets: (N, T), what the network is to say of every row of the catalog."""
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    config = regressor_config(recipe, frame.shapes, frame.periodic, outputs, head)
    network = build_regressor(config, generators(bench.seed, "initialise", recipe.ensemble))
    if recipe.solved:
        (_, baseline), part = recipe.networks[0], network.parts.networks[0]
        catalog.must_be_held(f"--network {recipe.networks[0][0]}")
        data = [frame.data(catalog, some)[0] for some in rows]
        baseline.fit(part, data[0], targets[rows[0]], data[1], targets[rows[1]], bench.seed)
    network.to(bench.device)
    feeds = [make_loader(catalog, some, [targets[some]], partial(frame.data, catalog), bench) for some in rows]
    if recipe.solved:
        curves = [evaluate(network, loss, one, 1).cpu().numpy()[None] for one in feeds]
        return Stack(config, 1, network, History(curves[0], curves[1], np.zeros(1), np.zeros(1, dtype=np.int64)))
    fresh = None if frame.noise is None else lambda epoch: frame.data(catalog, rows[0], epoch)
    symmetric = augmentation.parse(recipe.augment, [one.kind for one in frame.inputs], frame.periodic)
    warm = Loss(_of_rows(losses.squared_error), losses.mean) if head != "point" else None
    hooks = training_hooks(bench, recipe.ensemble, symmetric, bench.tensors(targets[rows[0]]), fresh, warm)
    order = generators(bench.seed, "order", recipe.ensemble)
    if recipe.training.mixed_precision:
        use_mixed_precision(network, bench.device)
    history = train(network, loss, feeds[0], feeds[1], recipe.training, order, bench.listen, score, hooks)
    return Stack(config, recipe.ensemble, network, history)


def _of_rows(terms: Callable[[Tensor, Tensor], Tensor]) -> Callable[[nn.Module, Rows], torch.Tensor]:
    """A loss of outputs and targets, as one of a network and rows (targets, data)."""
    return lambda network, batch: terms(network(*batch[1:]), batch[0])
