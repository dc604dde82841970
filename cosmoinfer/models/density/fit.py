"""Training a density of the data: rows in, a model out."""

from dataclasses import asdict, replace

import numpy as np
from torch import Tensor, nn

from cosmoinfer import losses, seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.flows import initialise
from cosmoinfer.models.density.model import DensityFlow, DensityModel, build_density, density_config
from cosmoinfer.models.density.recipe import DensityRecipe
from cosmoinfer.models.ensemble import Stack
from cosmoinfer.models.preprocessing import Frame
from cosmoinfer.networks.embedding import use_mixed_precision
from cosmoinfer.networks.members import expand_members
from cosmoinfer.ood.typicality import Typicality, fit_typicality
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.null_modes import fit_jitter
from cosmoinfer.supports import MIN_EDGE_DISTANCE, fit_support
from cosmoinfer.training import augmentation
from cosmoinfer.training.context import Bench, Rows, generators, uniform
from cosmoinfer.training.hooks import training_hooks
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.loop import train
from cosmoinfer.training.loss import Loss

INITIAL_ROWS = 1024  # from which what starts from data does: a regression on theta, an ActNorm


def fit_density(catalog: Catalog, frame: Frame, recipe: DensityRecipe, bench: Bench) -> DensityModel:
    """One flow ensemble by maximum likelihood; the validation rows say which log densities are typical."""
    catalog.must_be_held("a density of the data")
    frame, condition = _unfloored(frame), None
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    if recipe.conditional:
        condition = fit_support("truncate", frame.parameters, catalog.training()[1][rows[0]])
    else:
        frame = replace(frame, parameters=Parameters.from_names(()))
    scaled = [frame.data(catalog, some)[0] for some in rows]
    jitter = fit_jitter(scaled[0])
    if jitter is not None:
        bench.say(jitter.told)
    unknown = Typicality(np.zeros(1), np.zeros(1))
    model = DensityModel(frame, condition, jitter, (), uniform(recipe.ensemble), unknown, unknown)
    model = replace(model, stacks=(_fit_stack(catalog, model, recipe, rows, scaled, bench),))
    contexts = _contexts(model, catalog, rows[1])
    judged = model.judge(catalog, rows[1], lambda done, total: None)
    typicality, shape = (fit_typicality(values, contexts) for values in judged)
    return replace(model, typicality=typicality, shape=shape)


def _fit_stack(
    catalog: Catalog,
    model: DensityModel,
    recipe: DensityRecipe,
    rows: list[np.ndarray],
    scaled: list[np.ndarray],
    bench: Bench,
) -> Stack[DensityFlow]:
    """The members side by side; rows, scaled: of the training and the validation part."""
    frame, jitter = model.frame, model.jitter
    known = [_known(model, catalog, some) for some in rows]
    fixed = [0.0 if jitter is None else jitter.fixed(catalog.index[some]) for some in rows]
    parts = [bench.tensors(*one, data + noise) for one, data, noise in zip(known, scaled, fixed, strict=True)]

    def fresh(epoch: int) -> tuple[np.ndarray, ...]:
        assert jitter is not None
        return (scaled[0] + jitter.draw(len(rows[0]), seeding.generator(bench.seed, "jitter", epoch)),)

    size = 0 if model.condition is None else len(frame.parameters)
    config = density_config(recipe.flow, asdict(recipe.settings), frame.shapes[0], frame.periodic[0], size)
    network = build_density(config, generators(bench.seed, "initialise", recipe.ensemble)).to(bench.device)
    start = tuple(expand_members(part[:INITIAL_ROWS], recipe.ensemble) for part in parts[0])
    initialise(network, lambda: _minus_log_prob(network, start))
    symmetric = augmentation.parse(recipe.augment, [one.kind for one in frame.inputs], frame.periodic)
    hooks = training_hooks(bench, recipe.ensemble, symmetric, parts[0][:-1], None if jitter is None else fresh)
    order = generators(bench.seed, "order", recipe.ensemble)
    loss = Loss(_minus_log_prob, losses.mean)
    if recipe.training.mixed_precision:
        use_mixed_precision(network, bench.device)
    history = train(
        network,
        loss,
        InMemoryLoader(parts[0]),
        InMemoryLoader(parts[1]),
        recipe.training,
        order,
        bench.listen,
        hooks=hooks,
    )
    return Stack(config, recipe.ensemble, network, history)


def _unfloored(frame: Frame) -> Frame:
    """Where no training value lay below the floor of a logarithm, it would only make alike what is less than them."""
    (own,) = frame.inputs
    if own.masked:
        raise UserError("--missing mask: a density is of whole rows; --drop-nonfinite leaves those with gaps out")
    if own.standardizer.floored:
        return frame
    scale = replace(own.standardizer, floor=np.full_like(own.standardizer.floor, MIN_EDGE_DISTANCE))
    return replace(frame, inputs=(replace(own, standardizer=scale),))


def _known(model: DensityModel, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """What comes before the data in a batch: the scaling's log-determinant (n, 1), and the condition, if any."""
    scale, contexts = model.frame.inputs[0].standardizer, _contexts(model, catalog, rows)
    log_det = np.concatenate([scale.log_slope(block) for block in catalog.summaries[0].blocks(rows)])[:, None]
    return (log_det,) if contexts is None else (log_det, contexts)


def _contexts(model: DensityModel, catalog: Catalog, rows: np.ndarray) -> np.ndarray | None:
    return model.contexts(None if catalog.theta is None else catalog.theta[rows], catalog.path)


def _minus_log_prob(network: nn.Module, batch: Rows) -> Tensor:
    """-log q(x | theta) in catalog units, (M*B, 1)."""
    assert isinstance(network, DensityFlow)
    log_det, *context, x = batch
    return -(network.log_prob(x, context[0] if context else None)[:, None] + log_det)
