"""A posterior under another prior, by importance weights of its draws.

A posterior without draws cannot be reweighted, and none is known outside the box and region that it was trained in.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Draws, PointEstimate, Posterior
from cosmoinfer.priors import Unknown
from cosmoinfer.reweighting.chain_prior import ChainPrior

MIN_ROW_DRAWS = 3.0  # effective ones of one observation; fewer do not determine a width


def reweight(
    posterior: Posterior,
    parameters: Parameters,
    draws: int | None = None,
    seed: int = 0,
    skip_failed: bool = False,
    chain: ChainPrior | None = None,
) -> Posterior:
    """Under the prior of ``parameters``: equally weighted draws of each observation, resampled from its own.

    w = p_new(theta) / p_old(theta); log_prob gains ln w less the ln of its mean, and log_norm_error the error of that;
    mean and std are weighted; ess is the effective sample size.
    draws: number of draws an observation, by default as many as it has.
    skip_failed: leave out observations with fewer than MIN_ROW_DRAWS effective draws, which are an error otherwise.
    chain: the prior of the parameters that it shares, for which ``parameters`` have none.

    Raises UserError where the posterior has no draws, or too few of them under the new prior.
    """
    samples, log_prob = np.asarray(posterior.samples), posterior.require_draws().log_prob  # a marginal has no density
    draws = samples.shape[1] if draws is None else draws
    if not 1 <= draws <= samples.shape[1]:
        raise UserError(
            f"expected 1 to {samples.shape[1]}, as many as the posterior has, found {draws}", setting="draws"
        )
    log_ratio = _log_ratio(posterior, parameters, chain)
    log_weights = [log_ratio(row) for row in samples]
    if parameters.where:
        accepted = [parameters.accepts(row) for row in samples]
        log_weights = [np.where(*row, -np.inf) for row in zip(accepted, log_weights, strict=True)]
    weighted = [_importance_weights(*row) for row in zip(log_weights, samples, strict=True)]
    covered = np.array([ess >= MIN_ROW_DRAWS for _, ess in weighted])
    if not covered.all() and not (skip_failed and covered.any()):
        raise UserError(
            f"under the new prior fewer than {MIN_ROW_DRAWS:g} draws are left of {int((~covered).sum())} "
            f"observations (row {join_first(posterior.index[~covered])}); more draws (sample `draws`) may reach it, "
            "`skip_failed` leaves them out"
        )
    rows = np.flatnonzero(covered)
    kept = posterior.select(rows)
    importance = [weighted[row][0] for row in rows]
    ess = np.array([weighted[row][1] for row in rows])
    error = np.array([weights.log_mean_error(worth) for weights, worth in zip(importance, ess.tolist(), strict=True)])
    log_mean = np.array([weights.log_mean for weights in importance])
    norm_error = kept.require_draws().log_norm_error
    log_prob_truth = None
    if kept.log_prob_truth is not None and kept.truth is not None:
        log_prob_truth = kept.log_prob_truth + log_ratio(kept.truth) - log_mean
    new_samples, new_log_prob = [], []
    for row, index, weights in zip(rows.tolist(), kept.index.tolist(), importance, strict=True):
        chosen = weights.resample(draws, seeding.generator(seed, "reweight", index))
        new_samples.append(samples[row][chosen])
        if log_prob is not None:
            new_log_prob.append((np.asarray(log_prob[row]) + log_weights[row] - weights.log_mean)[chosen])
    pairs = [(weights, samples[row]) for row, weights in zip(rows.tolist(), importance, strict=True)]
    if chain is not None and set(chain.names) & set(posterior.derived):  # a factor of the prior of the others
        parameters = replace(parameters, prior=(Unknown.name,) * len(parameters), correlation=None)
    return replace(
        kept,
        parameters=parameters,
        log_prob_truth=log_prob_truth,
        draws=Draws(
            np.stack(new_samples),
            None if log_prob is None else np.stack(new_log_prob),
            None if log_prob is None else error if norm_error is None else np.hypot(error, norm_error),
        ),
        point=PointEstimate(
            np.stack([weights.mean(values) for weights, values in pairs]),
            np.stack([weights.std(values) for weights, values in pairs]),
        ),
        diagnostics=replace(kept.diagnostics, ess=ess),
        reweighted=True,
        exact=False,
    )


def _log_ratio(posterior: Posterior, new: Parameters, chain: ChainPrior | None) -> Callable[[np.ndarray], np.ndarray]:
    """theta (..., P) -> log p_new - log p_old (...), of the parameters whose prior has changed, up to a constant.

    A derived parameter has no density of its own: the prior that it is given multiplies that of the others.
    """
    old = posterior.parameters
    columns = [place for place, pair in enumerate(zip(old.priors, new.priors, strict=True)) if pair[0] != pair[1]]
    shared = [] if chain is None else old.columns(chain.names)
    tied = old.joint_prior.tied or new.joint_prior.tied

    def ratio(theta: np.ndarray) -> np.ndarray:
        log_ratio = np.zeros(theta.shape[:-1])
        for column in columns:
            pair = (new.priors[column], old.priors[column])  # one of them unknown: of the chain, or derived
            densities = [
                prior.log_density(theta[..., column]) if prior.is_known else np.zeros(log_ratio.shape) for prior in pair
            ]
            log_ratio = log_ratio + _difference(*densities)
        if chain is not None:
            log_ratio = log_ratio + chain.log_density(theta[..., shared])
        if tied:
            log_ratio += _difference(new.joint_prior.log_factor(theta), old.joint_prior.log_factor(theta))
        return log_ratio

    return ratio


def _difference(log_new: np.ndarray, log_old: np.ndarray) -> np.ndarray:
    """log_new - log_old, -inf where either prior excludes a point."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(log_new) | np.isneginf(log_old), -np.inf, log_new - log_old)


def _importance_weights(log_weights: np.ndarray, samples: np.ndarray) -> tuple[ImportanceWeights, float]:
    """The weights, and their effective sample size: 0 where all weights are zero."""
    if not np.isfinite(log_weights).any():
        return ImportanceWeights(np.zeros(len(log_weights)), -np.inf), 0.0
    importance = ImportanceWeights.from_log_weights(log_weights)
    return importance, effective_sample_size(importance.weights, samples)
