"""Training a flow or a regressor: rows in, a model out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, listed
from cosmoinfer.losses import LOSSES
from cosmoinfer.models.flow import ConditionalFlow, FlowModel, build_flow, stack_config
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.recipes import FlowRecipe, RegressorRecipe
from cosmoinfer.models.regressor import RegressorModel, build_regressor, regressor_config
from cosmoinfer.models.stack import Stack, generators
from cosmoinfer.scaling import SUPPORTS, fit_support
from cosmoinfer.training import Listener, Loss, Rows, train

COMPARING_DRAWS = 1000  # a row, for the mass inside the box when supports are compared
COMPARING_ROWS = 1000  # validation rows that decide between supports


@dataclass(frozen=True)
class Bench:
    """Where the work is done and to whom it is reported."""

    device: torch.device
    seed: int
    say: Callable[[str], None]
    listen: Listener


def fit_flow(
    catalog: Catalog, frame: Frame, recipe: FlowRecipe, bench: Bench, summary: RegressorModel | None = None
) -> FlowModel:
    """One flow ensemble; with ``--support auto`` one for each support, of which the validation rows pick one."""
    if summary is not None:
        _check_summary(summary, catalog, frame)
    names = SUPPORTS if recipe.support == "auto" and _any_bound(frame) else (recipe.support,)
    names = ("probit",) if names == ("auto",) else names
    models = [_fit_flow(catalog, frame, recipe, name, bench, summary) for name in names]
    if len(models) == 1:
        return models[0]
    rows = frame.split.rows(catalog.simulation, "validation")[:COMPARING_ROWS]
    _, theta = catalog.training()
    scores = [model.log_prob(catalog, rows, theta[rows], COMPARING_DRAWS, bench.seed) for model in models]
    chosen = prefer(scores, catalog.simulation[rows])
    told = ", ".join(f"{name} {score.mean():.2f}" for name, score in zip(names, scores, strict=True))
    bench.say(f"support {names[chosen]}: mean log_prob of the validation rows is {told}")
    return models[chosen]


def prefer(scores: Sequence[np.ndarray], simulation: np.ndarray) -> int:
    """The first whose paired shortfall from the best is within one error, clustered by simulation."""
    best = max(scores, key=np.mean)
    for number, score in enumerate(scores):
        shortfall = best - score
        if shortfall.mean() <= clustered_error(shortfall, simulation):
            return number
    raise AssertionError("the best falls short of itself")


def clustered_error(values: np.ndarray, simulation: np.ndarray) -> float:
    """Standard error of the mean of values (n,) when rows of one simulation move together."""
    _, cluster = np.unique(simulation, return_inverse=True)
    sums = np.bincount(cluster, weights=values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)) / len(values))


def fit_regressor(catalog: Catalog, frame: Frame, recipe: RegressorRecipe, bench: Bench) -> RegressorModel:
    """One regressor ensemble, on standardised catalog units of the parameters."""
    _, theta = catalog.training()
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    shift, scale = theta[rows[0]].mean(axis=0), theta[rows[0]].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    loss = LOSSES[recipe.loss]
    outputs = theta.shape[1] * (2 if loss.widths else 1)
    config = regressor_config(list(recipe.networks), frame.shapes, outputs, recipe.features)
    network = build_regressor(config, generators(bench.seed, "initialise", recipe.ensemble)).to(bench.device)
    parts = [_tensors(bench, (theta[some] - shift) / scale, *frame.data(catalog, some)) for some in rows]

    def terms(network: nn.Module, batch: Rows) -> torch.Tensor:
        return loss.terms(network(*batch[1:]), batch[0])

    order = generators(bench.seed, "order", recipe.ensemble)
    history = train(network, Loss(terms, loss.reduce), parts[0], parts[1], recipe.training, order, bench.listen)
    stack = Stack(config, recipe.ensemble, network, history)
    return RegressorModel(frame, recipe.loss, shift, scale, (stack,), _uniform(recipe.ensemble))


def _fit_flow(
    catalog: Catalog, frame: Frame, recipe: FlowRecipe, name: str, bench: Bench, summary: RegressorModel | None
) -> FlowModel:
    _, theta = catalog.training()
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    support = fit_support(name, frame.parameters, theta[rows[0]])
    model = FlowModel(frame, support, (), _uniform(recipe.ensemble), summary)
    data = [model.data(catalog, some) for some in rows]
    shapes = tuple(part.shape[1:] for part in data[0])
    config = stack_config(
        frame, shapes, recipe.flow, recipe.settings, recipe.embedding, recipe.features, recipe.mlp, recipe.cnn
    )
    network = build_flow(config, generators(bench.seed, "initialise", recipe.ensemble)).to(bench.device)
    scaled = [support.forward(theta[some]) for some in rows]
    parts = [_tensors(bench, z, log_det[:, None], *part) for (z, log_det), part in zip(scaled, data, strict=True)]
    bench.say(f"training {recipe.ensemble} x {recipe.flow}, support {name}")
    order = generators(bench.seed, "order", recipe.ensemble)
    history = train(network, _LIKELIHOOD, parts[0], parts[1], recipe.training, order, bench.listen)
    stack = Stack(config, recipe.ensemble, network, history)
    return FlowModel(frame, support, (stack,), model.weights, summary)


def _minus_log_prob(network: nn.Module, batch: Rows) -> torch.Tensor:
    """-log q(theta | x) in catalog units, (M*B, 1)."""
    assert isinstance(network, ConditionalFlow)
    z, log_det, *data = batch
    return -(network.log_prob(z, network.embedding(*data))[:, None] + log_det)


_LIKELIHOOD = Loss(_minus_log_prob, lambda terms: terms.mean((1, 2)))


def _tensors(bench: Bench, *arrays: np.ndarray) -> Rows:
    return tuple(torch.from_numpy(array.astype(np.float32)).to(bench.device) for array in arrays)


def _uniform(members: int) -> np.ndarray:
    return np.full(members, 1 / members)


def _any_bound(frame: Frame) -> bool:
    return bool(np.isfinite([frame.parameters.low, frame.parameters.high]).any())


def _check_summary(summary: RegressorModel, catalog: Catalog, frame: Frame) -> None:
    """A summary that has learned from this split's validation or test rows would make them training rows."""
    summary.frame.check(catalog)
    held_out = np.concatenate([frame.split.rows(catalog.simulation, part) for part in ("validation", "test")])
    known = held_out[summary.frame.trained_on(catalog, held_out)]
    if len(known):
        raise UserError(
            f"--summary: the regressor was trained on {len(known)} validation or test rows of this split (row "
            f"{listed(catalog.index[known])}); train it with the same --split-seed, --fractions and --split-file"
        )
