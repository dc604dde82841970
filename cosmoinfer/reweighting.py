"""A posterior under another prior, by importance weights of its draws; and parameters derived from others.

A posterior without draws cannot be reweighted, and none is known outside the box that it was trained in.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer import expressions, seeding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Draws, PointEstimate, Posterior
from cosmoinfer.priors import BOX, BOX_TOLERANCE, PRIORS

MIN_MASS_IN_BOX = 0.01  # probability of a normal prior that must lie inside the box
MIN_ROW_DRAWS = 3.0  # effective ones of one observation; fewer do not determine a width


# ------------------------------------------------------------------------------------------------ another prior
@dataclass(frozen=True)
class PriorChange:
    """Another prior for one parameter, as a user writes it: ``Omega_m=normal:0.31:0.01``.

    kind: of ``PRIORS``. numbers: its two arguments, which are the box, or mean and std.
    """

    parameter: str
    kind: str
    numbers: tuple[float, float]

    @classmethod
    def parse(cls, text: str) -> "PriorChange":
        """Raises UserError where the text is not understood."""
        name, equals, written = text.rpartition("=")
        kind, *numbers = (word.strip() for word in written.split(":"))
        try:
            first, second = (float(number) for number in numbers)
        except ValueError:
            first = second = np.nan
        if not equals or not (kind in PRIORS and PRIORS[kind].arguments) or not np.isfinite([first, second]).all():
            forms = [f"name={kind}:{':'.join(prior.arguments)}" for kind, prior in PRIORS.items() if prior.arguments]
            raise UserError(f"{text!r} is not understood; expected one of {', '.join(forms)}", setting="prior")
        return cls(name.strip(), kind, (first, second))

    def apply_to(self, parameters: Parameters) -> Parameters:
        """The parameters with this prior in the place of the one that they had.

        Raises UserError where the old prior is unknown, and where the new one lies outside the box.
        """
        (column,) = parameters.columns([self.parameter])
        if not parameters.has_prior[column]:
            raise UserError(
                "its own prior is not known, so it cannot be divided out", setting="prior", value=self.parameter
            )
        numbers = self.numbers
        if PRIORS[self.kind].arguments == BOX:
            low, high = parameters.low[column], parameters.high[column]
            self._check_inside(low, high)
            numbers = max(numbers[0], low), min(numbers[1], high)
        fields: dict[str, Any] = {field: np.array(getattr(parameters, field)) for field in PRIORS[self.kind].arguments}
        for values, number in zip(fields.values(), numbers, strict=True):
            values[column] = number
        kinds = [self.kind if place == column else kind for place, kind in enumerate(parameters.prior)]
        changed = replace(parameters, prior=tuple(kinds), **fields)
        prior = changed.priors[column]
        if prior.mass_in_box() < MIN_MASS_IN_BOX:
            raise UserError(
                f"{100 * prior.mass_in_box():.2g} % of {prior} lie in the box "
                f"{prior.low:g}..{prior.high:g}, outside which the posterior is not known; "
                "train with simulations from that prior",
                setting="prior",
                value=self.parameter,
            )
        return changed

    def describe(self, parameters: Parameters) -> str:
        """In words, as it stands now among the parameters."""
        (prior,) = parameters.select([self.parameter]).priors
        box = f"{prior.low:g}..{prior.high:g}"
        if prior.arguments == BOX:
            return f"{self.parameter}: {prior} in {box}"
        mass = prior.mass_in_box()
        truncation = "" if mass == 1 else f", truncated to the box {box}, which holds {100 * mass:.4g} % of it"
        return f"{self.parameter}: {prior}{truncation}"

    def _check_inside(self, low: float, high: float) -> None:
        tolerance = BOX_TOLERANCE * (high - low) if np.isfinite(high - low) else 0.0
        if self.numbers[0] < low - tolerance or self.numbers[1] > high + tolerance:
            written = ":".join(f"{number:g}" for number in self.numbers)
            raise UserError(
                f"reaches outside the box {low:g}..{high:g}, where the posterior is not known; train with simulations "
                "from there",
                setting="prior",
                value=f"{self.parameter}={self.kind}:{written}",
            )


def _importance_weights(log_weights: np.ndarray, samples: np.ndarray) -> tuple[ImportanceWeights, float]:
    """The weights, and their effective sample size: 0 where all weights are zero."""
    if not np.isfinite(log_weights).any():
        return ImportanceWeights(np.zeros(len(log_weights)), -np.inf), 0.0
    importance = ImportanceWeights.from_log_weights(log_weights)
    return importance, effective_sample_size(importance.weights, samples)


def with_priors(parameters: Parameters, changes: Sequence[PriorChange]) -> Parameters:
    """The parameters under these priors. Raises UserError where two changes name one parameter."""
    names = [change.parameter for change in changes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"expected one prior, found {names.count(repeated[0])}", setting="prior", value=repeated[0])
    for change in changes:
        parameters = change.apply_to(parameters)
    return parameters


def reweight(
    posterior: Posterior, parameters: Parameters, draws: int | None = None, seed: int = 0, skip_failed: bool = False
) -> Posterior:
    """Under the prior of ``parameters``: equally weighted draws of each observation, resampled from its own.

    w = p_new(theta) / p_old(theta); log_prob gains ln w less the ln of its mean, and log_norm_error the error of that;
    mean and std are weighted; ess is the effective sample size.
    draws: number of draws an observation, by default as many as it has.
    skip_failed: leave out observations with fewer than MIN_ROW_DRAWS effective draws, which are an error otherwise.

    Raises UserError where the posterior has no draws, or too few of them under the new prior.
    """
    samples, log_prob = _draws_in_memory(posterior)
    draws = samples.shape[1] if draws is None else draws
    if not 1 <= draws <= samples.shape[1]:
        raise UserError(
            f"expected 1 to {samples.shape[1]}, as many as the posterior has, found {draws}", setting="draws"
        )
    log_ratio = _log_ratio(posterior.parameters, parameters)
    log_weights = [log_ratio(row) for row in samples]
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
        new_log_prob.append((log_prob[row] + log_weights[row] - weights.log_mean)[chosen])
    pairs = [(weights, samples[row]) for row, weights in zip(rows.tolist(), importance, strict=True)]
    return replace(
        kept,
        parameters=parameters,
        log_prob_truth=log_prob_truth,
        draws=Draws(
            np.stack(new_samples),
            np.stack(new_log_prob),
            error if norm_error is None else np.hypot(error, norm_error),
        ),
        point=PointEstimate(
            np.stack([weights.mean(values) for weights, values in pairs]),
            np.stack([weights.std(values) for weights, values in pairs]),
        ),
        diagnostics=replace(kept.diagnostics, ess=ess),
        reweighted=True,
        exact=False,
    )


def _log_ratio(old: Parameters, new: Parameters) -> Callable[[np.ndarray], np.ndarray]:
    """theta (..., P) -> log p_new - log p_old (...), over the parameters whose prior has changed."""
    names = [name for name in old.names if not _same_prior(old.select([name]), new.select([name]))]
    columns, before, after = old.columns(names), old.select(names), new.select(names)

    def ratio(theta: np.ndarray) -> np.ndarray:
        log_new, log_old = after.log_prior(theta[..., columns]), before.log_prior(theta[..., columns])
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(log_new) | np.isneginf(log_old), -np.inf, log_new - log_old).sum(axis=-1)

    return ratio if names else lambda theta: np.zeros(theta.shape[:-1])


def _same_prior(old: Parameters, new: Parameters) -> bool:
    pairs = zip(old.attributes().values(), new.attributes().values(), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def _draws_in_memory(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """samples (n, S, P) and log_prob (n, S). Raises UserError where there are none."""
    return np.asarray(posterior.samples), np.asarray(posterior.log_prob)


# ------------------------------------------------------------------------------------------- derived parameters
def derive(posterior: Posterior, definitions: Sequence[str]) -> Posterior:
    """More columns, each ``name=expression`` of those before it, for draws, truths and ridge estimates.

    ``log_prob`` stays the density of the original parameters; a derived one has no box and no prior. Where the
    posterior holds exact means and widths, those of a derived parameter are estimated from its draws. A Fisher matrix
    is left out.

    Raises UserError where a definition is not understood, repeats a name, or has no finite value in some draw.
    """
    samples, log_prob = _draws_in_memory(posterior)
    posterior = replace(posterior, draws=replace(posterior.require_draws(), samples=samples, log_prob=log_prob))
    for text in definitions:
        name, expression = _parse_definition(text, posterior.parameters.names)
        posterior = _with_column(posterior, name, expression)
    return posterior


def check_changes(parameters: Parameters, definitions: Sequence[str], changes: Sequence[PriorChange]) -> None:
    """Before any draw is read. Raises UserError where a definition is not understood, or a prior does not apply."""
    names = parameters.names
    for text in definitions:
        names = (*names, _parse_definition(text, names)[0])
    derived = set(names) - set(parameters.names)
    with_priors(parameters, [change for change in changes if change.parameter not in derived])


def _parse_definition(text: str, names: tuple[str, ...]) -> tuple[str, expressions.Expression]:
    """The new name and its expression of those that there are. Raises UserError where either is not valid."""
    name, equals, written = (word.strip() for word in text.partition("="))
    if not equals or not name:
        raise UserError(f"{text!r} is not understood; expected 'S_8=sigma_8*(Omega_m/0.3)**0.5'", setting="derive")
    if not re.fullmatch(r"[^\W\d]\w*", name) or name == "all":  # what gates and expressions can name
        raise UserError(
            "expected a name of letters, digits and underscores, other than 'all'", setting="derive", value=name
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
        std = None if point.std is None else np.column_stack([point.std, derived.std(axis=1, ddof=1)])
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
