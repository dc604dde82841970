"""Training regressors: rows in, a model out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from cosmoinfer import losses
from cosmoinfer.catalog import Catalog
from cosmoinfer.models.bench import Bench, uniform
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.regressor.model import RegressorModel, build_regressor, regressor_config
from cosmoinfer.models.regressor.recipe import RegressorRecipe
from cosmoinfer.models.stack import Stack, generators
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.training import Loss, train


def fit_regressor(catalog: Catalog, frame: Frame, recipe: RegressorRecipe, bench: Bench) -> RegressorModel:
    """One regressor ensemble, on standardised catalog units of the parameters."""
    _, theta = catalog.training()
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    shift, scale = theta[rows[0]].mean(axis=0), theta[rows[0]].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    loss = losses.LOSSES[recipe.loss]
    outputs = theta.shape[1] * (2 if loss.widths else 1)
    networks = [
        (name, replace(settings, periodic=wraps) if isinstance(settings, CNN) else settings)
        for (name, settings), wraps in zip(recipe.networks, frame.periodic, strict=True)
    ]
    config = regressor_config(networks, frame.shapes, outputs, recipe.features)
    network = build_regressor(config, generators(bench.seed, "initialise", recipe.ensemble)).to(bench.device)
    parts = [bench.tensors((theta[some] - shift) / scale, *frame.data(catalog, some)) for some in rows]

    def of_rows(terms: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda network, batch: terms(network(*batch[1:]), batch[0])

    fitted = Loss(of_rows(loss.terms), loss.reduce)
    score = None if loss.score is None else Loss(of_rows(loss.score), losses.mean)
    order = generators(bench.seed, "order", recipe.ensemble)
    history = train(network, fitted, parts[0], parts[1], recipe.training, order, bench.listen, score)
    stack = Stack(config, recipe.ensemble, network, history)
    return RegressorModel(frame, recipe.loss, shift, scale, (stack,), uniform(recipe.ensemble))
