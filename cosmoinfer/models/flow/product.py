"""Products of a flow's posteriors: one posterior of each simulation, from those of its rows."""

from dataclasses import replace

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.posterior_model import score_observations
from cosmoinfer.posterior import Diagnostics, PointEstimate, Posterior
from cosmoinfer.sampling.options import SamplingOptions, require_sampled
from cosmoinfer.sampling.product import DRAWS_PER_SINGLE_POSTERIOR, Product, SinglePosterior, multiply


def product_posterior(model: FlowModel, catalog: Catalog, rows: np.ndarray, options: SamplingOptions) -> Posterior:
    """One posterior of each simulation, of those of its rows that were asked for; it goes by the first of them.

    rows: (n,), by position.

    Raises UserError where a prior is not known, no simulation has two rows, or a simulation cannot be sampled.
    """
    parameters = model.preprocessing.parameters
    if not parameters.has_prior.all():
        unknown = [
            name for name, has_prior in zip(parameters.names, parameters.has_prior, strict=True) if not has_prior
        ]
        raise UserError(
            f"the product divides by the prior, and the prior of {join_first(unknown)} is not known",
            "combine",
            "product",
        )
    selection = options.selected(rows)
    groups = {int(group[0]): group for group in _groups(catalog, rows, selection)}
    first_rows = np.array(list(groups))
    buffer = options.buffer(len(first_rows), len(parameters))
    sampled: list[int] = []
    products = []
    for first in options.rows_with_progress(first_rows):
        with options.failures_skipped(catalog, first):
            singles = [_single_posterior(model, catalog, row, options) for row in groups[first].tolist()]
            truth = np.empty((0, len(parameters)))
            if catalog.theta is not None and catalog.has_theta[first]:
                truth = catalog.theta[first : first + 1]
            generator = seeding.generator(options.seed, "product", *catalog.index[groups[first]].tolist())
            product = multiply(singles, parameters, options.draws, generator, truth)
            buffer.put(len(sampled), 0, product.samples, product.log_prob)
            sampled.append(first)
            products.append(replace(product, samples=np.empty(0), log_prob=np.empty(0)))  # they are in the buffer
    kept = require_sampled(catalog, first_rows, sampled)
    rows = np.concatenate([groups[first] for first in sampled])
    member = np.repeat(np.arange(len(kept)), [len(groups[first]) for first in sampled])
    estimates = model.preprocessing.estimate_parameters(catalog, rows)
    partition = model.training_record.partition_of(catalog, rows)
    anomaly = score_observations(model, catalog, rows, selection, options.seed)
    percentile = None if anomaly.percentile is None else _combined_percentile(anomaly.percentile, member)
    return Posterior(
        parameters,
        catalog.index[kept],
        catalog.simulation[kept],
        partition[np.searchsorted(member, np.arange(len(kept)))],  # of the first row of each group
        None if catalog.theta is None else catalog.theta[kept],
        None if catalog.theta is None else np.array([*map(_log_prob_of_truth, products)]),
        buffer.draws(len(kept), np.array([product.log_norm_error for product in products])),
        PointEstimate(
            np.stack([product.mean for product in products]), np.stack([product.std for product in products])
        ),
        diagnostics=Diagnostics(
            np.stack([estimates[member == number].mean(axis=0) for number in range(len(kept))]),
            consistency_p_value=np.array([product.consistency_p_value for product in products]),
            ess=np.array([product.ess for product in products]),
            n_observations=np.bincount(member).astype(np.float64),
            temperature=None if model.temperature == 1 else model.temperature,
            ood_percentile=percentile,
            ood_set_p_value=anomaly.set_p_value,
        ),
    )


def _log_prob_of_truth(product: Product) -> float:
    """NaN where the truth is not known."""
    return float(product.log_prob_at[0]) if len(product.log_prob_at) else np.nan


def _combined_percentile(percentile: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Percentiles (n,) of rows -> (G,): each group's largest, among the largest of groups of as many rows."""
    largest = np.zeros(member.max() + 1)
    np.maximum.at(largest, member, percentile)
    return 100 * (largest / 100) ** np.bincount(member)


def _single_posterior(model: FlowModel, catalog: Catalog, row: int, options: SamplingOptions) -> SinglePosterior:
    contexts = model.embed(catalog, np.array([row]))
    stream = model.mixture.draw(contexts, DRAWS_PER_SINGLE_POSTERIOR, options.generator(catalog.index[row]))
    draws = np.concatenate([piece.theta for piece in stream])
    return SinglePosterior(draws, lambda theta: model.mixture.log_prob(theta, contexts) - stream.mass.log)


def _groups(catalog: Catalog, rows: np.ndarray, selection: np.ndarray) -> list[np.ndarray]:
    """The rows (by position) of each simulation.

    Raises UserError where no simulation of the selection has two rows, or rows of one differ in their parameters.
    """
    groups = observation_sets.group_by_simulation(catalog, rows)
    if len(np.unique(catalog.simulation[selection])) == len(selection):
        raise UserError(
            f"{catalog.path}: no two of these rows share a simulation; `simulation` or `rows_per_simulation` defines "
            "which belong together",
            "combine",
            "product",
        )
    for group in groups:
        observation_sets.check_same_parameters(catalog, group)
    return groups
