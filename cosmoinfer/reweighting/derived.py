"""Parameters derived from others, as more columns of a posterior."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cosmoinfer import expressions
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import PointEstimate, Posterior
from cosmoinfer.quoting import split, unquote


def derive(posterior: Posterior, definitions: Sequence[str]) -> Posterior:
    """More columns, each ``name=expression`` of those before it, for draws, truths and ridge estimates.

    ``log_prob`` stays the density of the original parameters; a derived one has no box and no prior. Where the
    posterior holds exact means and widths, those of a derived parameter are estimated from its draws. A Fisher matrix
    is left out.

    Raises UserError where a definition is not understood, repeats a name, or has no finite value in some draw.
    """
    draws = posterior.require_draws()
    log_prob = None if draws.log_prob is None else np.asarray(draws.log_prob)
    posterior = replace(posterior, draws=replace(draws, samples=np.asarray(draws.samples), log_prob=log_prob))
    for text in definitions:
        name, expression = _parse_definition(text, posterior.parameters.names)
        posterior = _with_column(posterior, name, expression)
    return posterior


def derived_names(definitions: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that definitions add to those of a posterior. Raises UserError where one is not understood."""
    added: tuple[str, ...] = ()
    for text in definitions:
        added = (*added, _parse_definition(text, (*names, *added))[0])
    return added


def _parse_definition(text: str, names: tuple[str, ...]) -> tuple[str, expressions.Expression]:
    """The new name and its expression of those that there are. Raises UserError where either is not valid."""
    quoted, *following = split(text, "=")
    name, written = unquote(quoted), "=".join(following).strip()
    if not following or not name:
        raise UserError(f"{text!r} is not understood; expected 'S_8=sigma_8*(Omega_m/0.3)**0.5'", setting="derive")
    if (name == quoted.strip() and not re.fullmatch(r"[^\W\d]\w*", name)) or name == "all":  # which means every one
        raise UserError(
            "expected a name of letters, digits and underscores, or in braces, other than 'all'",
            setting="derive",
            value=name,
        )
    if name in names:
        raise UserError("is the name of a parameter of the posterior; choose another", setting="derive", value=name)
    try:
        return name, expressions.parse(written, names)
    except UserError as error:
        raise UserError(f"{error}", setting="derive", value=name) from error


def _with_column(posterior: Posterior, name: str, expression: expressions.Expression) -> Posterior:
    """The posterior with one more parameter."""
    draws, point, diagnostics = posterior.require_draws(), posterior.point, posterior.diagnostics

    def extended(theta: np.ndarray) -> np.ndarray:
        """theta (..., P) -> (..., P + 1)."""
        columns = {column: theta[..., number] for number, column in enumerate(posterior.parameters.names)}
        return np.concatenate([theta, expression(columns)[..., None]], axis=-1)

    samples = extended(np.asarray(draws.samples))
    derived = samples[..., -1]
    _check_finite(name, "draws", derived, posterior.index)
    if derived.size > 1 and np.ptp(derived) == 0:
        raise UserError(
            f"is {derived.flat[0]:g} in every draw; there is nothing to infer", setting="derive", value=name
        )
    truth = None
    if posterior.truth is not None:
        truth = extended(posterior.truth)
        _check_finite(name, "true values", truth[posterior.has_truth, -1], posterior.index[posterior.has_truth])
    if diagnostics.ridge_estimate is not None:
        diagnostics = replace(diagnostics, ridge_estimate=extended(diagnostics.ridge_estimate))
    if point is not None:
        std = (
            None if point.std is None else np.column_stack([point.std, replace(draws, samples=samples[..., -1:]).std()])
        )
        point = PointEstimate(np.column_stack([point.mean, derived.mean(axis=1)]), std)
    return replace(
        posterior,
        parameters=posterior.parameters.concatenated(Parameters.from_names([name])),
        truth=truth,
        draws=replace(draws, samples=samples),
        point=point,
        diagnostics=replace(diagnostics, fisher=None),
        derived=(*posterior.derived, name),
        exact=False,
    )


def _check_finite(name: str, content: str, values: np.ndarray, index: np.ndarray) -> None:
    """values: (n, ...), derived. Raises UserError where one is not finite."""
    bad = ~np.isfinite(values.reshape(len(values), -1))
    if bad.any():
        raise UserError(
            f"has no finite value for {int(bad.sum())} of {bad.size} {content} "
            f"(row {join_first(index[bad.any(axis=1)])})",
            setting="derive",
            value=name,
        )
