"""A posterior of some of its parameters: the others are marginalised."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cosmoinfer.errors import UserError, blame
from cosmoinfer.memory import check_memory
from cosmoinfer.posterior import Draws, PointEstimate, Posterior, map_rows
from cosmoinfer.priors import Unknown


def marginalise(posterior: Posterior, names: Sequence[str]) -> Posterior:
    """The posterior of these parameters, in this order, derived ones last.

    Draws, truths, means, widths and ridge estimates lose the columns of the others. The density of a marginal is not
    known, so that log_prob is left out unless only derived parameters are; a Fisher matrix is left out. The prior is
    that of draws without the others, unknown where it is of no known form.

    Raises UserError where a name is not a parameter, none is named, or memory does not take the draws.
    """
    draws, parameters = posterior.draws, posterior.parameters
    if posterior.classes is not None:
        raise UserError("the posterior holds probabilities of classes; expected one of parameters", setting="keep")
    with blame("keep"):
        parameters.columns(names)
        if not names:
            raise UserError(f"expected names of parameters to keep, of {', '.join(parameters.names)}; found none")
    independent = [name for name in dict.fromkeys(names) if name not in posterior.derived]
    derived = [name for name in dict.fromkeys(names) if name in posterior.derived]
    kept = [*independent, *derived]
    columns = parameters.columns(kept)
    complete = len(independent) == len(parameters) - len(posterior.derived)  # the parameters of log_prob
    selected = parameters.select(kept)
    lost_factor = any(
        prior.is_known
        for name, prior in zip(parameters.names, parameters.priors, strict=True)
        if name in posterior.derived and (name not in derived or not independent)
    )
    lost_condition = any(
        set(condition.names) & set(posterior.derived) and not set(condition.names) <= set(kept)
        for condition in parameters.conditions
    )
    if lost_factor or lost_condition:  # a factor of the prior of the others
        selected = selected.untied.with_prior([Unknown.name] * len(kept))
    diagnostics, point = posterior.diagnostics, posterior.point
    ridge = diagnostics.ridge_estimate

    def of_kept(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[..., columns]

    return replace(
        posterior,
        parameters=selected,
        truth=of_kept(posterior.truth),
        log_prob_truth=posterior.log_prob_truth if complete else None,
        draws=None if draws is None else _marginal_draws(draws, columns, complete),
        point=None if point is None else PointEstimate(point.mean[..., columns], of_kept(point.std)),
        diagnostics=replace(diagnostics, ridge_estimate=of_kept(ridge), fisher=None),
        derived=tuple(derived) if independent else (),
    )


def _marginal_draws(draws: Draws, columns: list[int], complete: bool) -> Draws:
    """complete: whether log_prob is a density of what these columns hold."""
    n, count = draws.samples.shape[:2]
    check_memory(n * count * len(columns), f"{n} times {count} draws of {len(columns)} parameters")
    samples = map_rows(draws.samples, lambda rows: rows[..., columns])
    return replace(draws, samples=samples) if complete else Draws(samples)
