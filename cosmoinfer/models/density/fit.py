"""Training a density of the data: rows in, a model out."""

from dataclasses import asdict, replace

import numpy as np
from torch import Tensor, nn

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.flows import initialise
from cosmoinfer.leakage import TrainingRecord
from cosmoinfer.models.density.model import DensityFlow, DensityModel, density_config
from cosmoinfer.models.density.recipe import DensityRecipe
from cosmoinfer.models.model import Stack, fit_stack
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.ood.typicality import Typicality, fit_typicality
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.null_modes import fit_null_mode_noise
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.split import Split
from cosmoinfer.supports import MIN_EDGE_DISTANCE, fit_support
from cosmoinfer.training.augmentation import training_hooks
from cosmoinfer.training.loaders import InMemoryLoader
from cosmoinfer.training.loop import Loss
from cosmoinfer.training.settings import Rows, TrainingContext, uniform
from cosmoinfer.training.streams import generators

MAX_INITIALISATION_ROWS = 1024  # from which what starts from data does: a regression on theta, an ActNorm


def fit_density(
    catalog: Catalog, split: Split, preprocessing: Preprocessing, recipe: DensityRecipe, context: TrainingContext
) -> DensityModel:
    """One flow ensemble by maximum likelihood; the validation rows say which log densities are typical."""
    catalog.require_in_memory("a density of the data")
    preprocessing, condition = _without_floor(preprocessing), None
    rows = [split.select_rows(catalog.simulation, partition) for partition in ("train", "validation")]
    rows[1] = select_judging_rows(preprocessing, catalog, rows[1])
    if recipe.conditional:
        condition = fit_support("truncate", preprocessing.parameters, catalog.require_parameters()[1][rows[0]])
    else:
        preprocessing = replace(preprocessing, parameters=Parameters.from_names(()))
    scaled = [preprocessing.data(catalog, positions)[0] for positions in rows]
    null_mode_noise = fit_null_mode_noise(scaled[0])
    if null_mode_noise is not None:
        context.info(null_mode_noise.description)
    unknown = Typicality(np.zeros(1), np.zeros(1))
    record = TrainingRecord.from_catalog(catalog, split)
    model = DensityModel(
        preprocessing, record, condition, null_mode_noise, (), uniform(recipe.ensemble), unknown, unknown
    )
    model = replace(model, stacks=(_fit_members(catalog, model, recipe, rows, scaled, context),))
    contexts = _contexts(model, catalog, rows[1])
    scores = model.log_prob_and_kurtosis(catalog, rows[1], lambda done, total: None)
    typicality, kurtosis_typicality = (fit_typicality(values, contexts) for values in scores)
    return replace(model, typicality=typicality, kurtosis_typicality=kurtosis_typicality)


def _fit_members(
    catalog: Catalog,
    model: DensityModel,
    recipe: DensityRecipe,
    rows: list[np.ndarray],
    scaled: list[np.ndarray],
    context: TrainingContext,
) -> Stack[DensityFlow]:
    """The members side by side; rows, scaled: of the training and the validation partition."""
    preprocessing, null_mode_noise = model.preprocessing, model.null_mode_noise
    leading = [_leading_fields(model, catalog, positions) for positions in rows]
    fixed = [0.0 if null_mode_noise is None else null_mode_noise.fixed(catalog.index[positions]) for positions in rows]
    tensors = [
        context.tensors(*arrays, data + noise) for arrays, data, noise in zip(leading, scaled, fixed, strict=True)
    ]

    def fresh(epoch: int) -> tuple[np.ndarray, ...]:
        assert null_mode_noise is not None
        return (scaled[0] + null_mode_noise.draw(len(rows[0]), seeding.generator(context.seed, "jitter", epoch)),)

    size = 0 if model.condition is None else len(preprocessing.parameters)
    config = density_config(
        recipe.flow, asdict(recipe.settings), preprocessing.shapes[0], preprocessing.periodic[0], size
    )
    network = DensityFlow.from_config(config, generators(context.seed, "initialise", recipe.ensemble)).to(
        context.device
    )
    start = tuple(expand_members(tensor[:MAX_INITIALISATION_ROWS], recipe.ensemble) for tensor in tensors[0])
    initialise(network, lambda: _minus_log_prob(network, start))
    symmetries, fresh_noise = preprocessing.symmetries(recipe.augment), None if null_mode_noise is None else fresh
    hooks = training_hooks(context, recipe.ensemble, symmetries, tensors[0][:-1], fresh_noise)
    loss, loaders = Loss(_minus_log_prob), [InMemoryLoader(partition) for partition in tensors]
    return fit_stack(config, recipe.ensemble, network, loss, loaders, recipe.training, context, hooks)


def _without_floor(preprocessing: Preprocessing) -> Preprocessing:
    """Where no training value lay below the floor of a logarithm, it would only make alike what is less than them."""
    (summary,) = preprocessing.inputs
    if summary.masked:
        raise UserError(
            "a density is of whole rows; `drop_nonfinite` leaves those with gaps out", setting="missing", value="mask"
        )
    if summary.standardizer.n_floored:
        return preprocessing
    scale = replace(summary.standardizer, floor=np.full_like(summary.standardizer.floor, MIN_EDGE_DISTANCE))
    return replace(preprocessing, inputs=(replace(summary, standardizer=scale),))


def _leading_fields(model: DensityModel, catalog: Catalog, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """What comes before the data in a batch: the scaling's log-determinant (n, 1), and the condition, if any."""
    scale, contexts = model.preprocessing.inputs[0].standardizer, _contexts(model, catalog, rows)
    log_det = np.concatenate([scale.log_slope(block) for block in catalog.observables[0].blocks(rows)])[:, None]
    return (log_det,) if contexts is None else (log_det, contexts)


def _contexts(model: DensityModel, catalog: Catalog, rows: np.ndarray) -> np.ndarray | None:
    return model.scale_parameters(None if catalog.theta is None else catalog.theta[rows], catalog.path)


def _minus_log_prob(network: nn.Module, batch: Rows) -> Tensor:
    """-log q(x | theta) in catalog units, (M, B, 1)."""
    assert isinstance(network, DensityFlow)
    log_det, *context, x = batch
    return -(network.log_prob(x, context[0] if context else None)[..., None] + log_det)
