"""A posterior under another prior, by importance weights of its draws; and parameters derived from others.

What has no draws cannot be reweighted, and nothing is known of a posterior outside the box that it was trained in.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from cosmoinfer import expressions, seeding
from cosmoinfer.errors import UserError, listed
from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.parameters import BOX_TOLERANCE, Parameters
from cosmoinfer.posterior import Posterior

LEAST_MASS = 0.01  # of a normal prior that must lie inside the box
LEAST_WORTH = 3.0  # draws; fewer say nothing of a width


# ------------------------------------------------------------------------------------------------ another prior
@dataclass(frozen=True)
class Prior:
    """What a user writes: ``Omega_m=normal:0.31:0.01``."""

    name: str
    kind: str
    first: float
    second: float

    @classmethod
    def parse(cls, text: str) -> "Prior":
        name, equals, rest = text.rpartition("=")
        kind, *numbers = (part.strip() for part in rest.split(":"))
        try:
            first, second = (float(number) for number in numbers)
        except ValueError:
            first = second = np.nan
        if not equals or kind not in _FORMS or not np.isfinite([first, second]).all():
            forms = ", ".join(f"name={kind}:{form}" for kind, form in _FORMS.items())
            raise UserError(f"--prior: {text!r} is not understood; expected one of {forms}")
        return cls(name.strip(), kind, first, second)

    def of(self, parameters: Parameters) -> Parameters:
        """The parameters with this prior in the place of the one that they had."""
        (column,) = parameters.columns([self.name])
        if not parameters.has_prior[column]:
            raise UserError(f"--prior {self.name}: its own prior is not known, so it cannot be divided out")
        low, high, mean, std = (np.array(getattr(parameters, key)) for key in ("low", "high", "mean", "std"))
        if self.kind == "normal":
            mean[column], std[column] = self.first, self.second
        else:
            self._check_inside(low[column], high[column])
            low[column], high[column] = max(self.first, low[column]), min(self.second, high[column])
        kinds = [self.kind if place == column else kind for place, kind in enumerate(parameters.prior)]
        changed = replace(parameters, low=low, high=high, mean=mean, std=std, prior=tuple(kinds))
        if self.kind == "normal" and self.inside(changed) < LEAST_MASS:
            raise UserError(
                f"--prior {self.name}: {100 * self.inside(changed):.2g} % of normal {self.first:g} +- {self.second:g} "
                f"lie in the box {low[column]:g}..{high[column]:g}, outside which the posterior is not known; "
                "train with simulations from that prior"
            )
        return changed

    def inside(self, parameters: Parameters) -> float:
        """The share of a normal prior in the box."""
        (column,) = parameters.columns([self.name])
        edges = (np.array([parameters.low[column], parameters.high[column]]) - self.first) / self.second
        return float(np.diff(special.ndtr(edges))[0])

    def told(self, parameters: Parameters) -> str:
        """In words, as it stands now among the parameters."""
        (column,) = parameters.columns([self.name])
        box = f"{parameters.low[column]:g}..{parameters.high[column]:g}"
        if self.kind != "normal":
            return f"{self.name}: {self.kind} in {box}"
        words = f"{self.name}: normal {self.first:g} +- {self.second:g}"
        share = self.inside(parameters)
        return words if share == 1 else f"{words}, truncated to the box {box}, which holds {100 * share:.4g} % of it"

    def _check_inside(self, low: float, high: float) -> None:
        slack = BOX_TOLERANCE * (high - low) if np.isfinite(high - low) else 0.0
        if self.first < low - slack or self.second > high + slack:
            raise UserError(
                f"--prior {self.name}={self.kind}:{self.first:g}:{self.second:g}: reaches outside the box "
                f"{low:g}..{high:g}, where the posterior is not known; train with simulations from there"
            )


def _weighted(log_weights: np.ndarray, samples: np.ndarray) -> tuple[ImportanceWeights, float]:
    """The weights, and how many draws they are worth: none where all are zero."""
    if not np.isfinite(log_weights).any():
        return ImportanceWeights(np.zeros(len(log_weights)), -np.inf), 0.0
    found = ImportanceWeights.from_log_weights(log_weights)
    return found, effective_sample_size(found.weights, samples)


_FORMS = {"uniform": "low:high", "log-uniform": "low:high", "normal": "mean:std"}


def with_priors(parameters: Parameters, priors: Sequence[Prior]) -> Parameters:
    """Those that are named get another prior, the rest keep theirs."""
    names = [prior.name for prior in priors]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"--prior {twice[0]}: was given {names.count(twice[0])} times")
    for prior in priors:
        parameters = prior.of(parameters)
    return parameters


def reweight(
    posterior: Posterior, parameters: Parameters, draws: int | None = None, seed: int = 0, skip_failed: bool = False
) -> Posterior:
    """Under the prior of ``parameters``: equally weighted draws of each observation, drawn from those that it has.

    draws: how many, by default as many as there are. w = p_new(theta) / p_old(theta); log_prob gains log w less the log
    of its mean, and log_norm_error the error of that; mean and std are weighted ones; ess: what the draws are worth.
    """
    samples, log_prob = _draws(posterior)
    draws = samples.shape[1] if draws is None else draws
    if not 1 <= draws <= samples.shape[1]:
        raise UserError(f"--draws: expected 1 to {samples.shape[1]}, as many as the posterior has, found {draws}")
    ratio = _log_ratio(posterior.parameters, parameters)
    log_weights = [ratio(row) for row in samples]
    found = [_weighted(row, drawn) for row, drawn in zip(log_weights, samples, strict=True)]
    covered = np.array([ess >= LEAST_WORTH for _, ess in found])
    if not covered.all() and not (skip_failed and covered.any()):
        raise UserError(
            f"under the new prior fewer than {LEAST_WORTH:g} draws are left of {int((~covered).sum())} observations "
            f"(row {listed(posterior.index[~covered])}); more draws (sample --draws) may reach it, --skip-failed "
            "leaves them out"
        )
    keep = np.flatnonzero(covered)
    rows = [
        _reweighted(
            samples[n], log_prob[n] + log_weights[n], *found[n], draws, seeding.generator(seed, "reweight", index)
        )
        for n, index in zip(keep, posterior.index[keep].tolist(), strict=True)
    ]
    kept = posterior.take(keep)
    error = np.array([row.error for row in rows])
    log_mean = np.array([row.log_mean for row in rows])
    at_truth = None
    if kept.log_prob_truth is not None and kept.truth is not None:
        at_truth = kept.log_prob_truth + ratio(kept.truth) - log_mean
    return replace(
        kept,
        parameters=parameters,
        samples=np.stack([row.samples for row in rows]),
        log_prob=np.stack([row.log_prob for row in rows]),
        log_prob_truth=at_truth,
        mean=np.stack([row.mean for row in rows]),
        std=np.stack([row.std for row in rows]),
        log_norm_error=error if kept.log_norm_error is None else np.hypot(error, kept.log_norm_error),
        ess=np.array([row.ess for row in rows]),
        reweighted=True,
    )


@dataclass(frozen=True)
class _Row:
    """Of one observation."""

    samples: np.ndarray
    log_prob: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    log_mean: float
    error: float
    ess: float


def _reweighted(
    samples: np.ndarray,
    log_product: np.ndarray,
    found: ImportanceWeights,
    ess: float,
    draws: int,
    generator: np.random.Generator,
) -> _Row:
    """log_product: (S,) log q + log w of the draws."""
    chosen = found.resample(draws, generator)
    return _Row(
        samples[chosen],
        (log_product - found.log_mean)[chosen],
        found.mean(samples),
        found.std(samples),
        found.log_mean,
        found.log_mean_error(ess),
        ess,
    )


def _log_ratio(old: Parameters, new: Parameters) -> Callable[[np.ndarray], np.ndarray]:
    """theta (..., P) -> log p_new - log p_old (...), over the parameters whose prior has changed."""
    names = [name for name in old.names if not _same_prior(old.select([name]), new.select([name]))]
    columns, before, after = old.columns(names), old.select(names), new.select(names)

    def ratio(theta: np.ndarray) -> np.ndarray:
        new, had = after.log_prior(theta[..., columns]), before.log_prior(theta[..., columns])
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(new) | np.isneginf(had), -np.inf, new - had).sum(axis=-1)

    return ratio if names else lambda theta: np.zeros(theta.shape[:-1])


def _same_prior(one: Parameters, other: Parameters) -> bool:
    pairs = zip(one.attributes().values(), other.attributes().values(), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def _draws(posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    if posterior.samples is None or posterior.log_prob is None:
        what = "probabilities of classes" if posterior.probabilities is not None else "points and no draws"
        raise UserError(f"the posterior holds {what}; expected one of a flow, or of a regressor with widths")
    return np.asarray(posterior.samples), np.asarray(posterior.log_prob)


# ------------------------------------------------------------------------------------------- derived parameters
def derive(posterior: Posterior, definitions: Sequence[str]) -> Posterior:
    """More columns, each ``name=expression`` of those before it, for draws, truths and ridge estimates.

    ``log_prob`` stays the density of the parameters that were there; box and prior of a derived one are not known.
    Where the exact mean and width of the others are known, those of a derived one are of its draws. A Fisher matrix is
    left out.
    """
    samples, log_prob = _draws(posterior)
    posterior = replace(posterior, samples=samples, log_prob=log_prob)
    for text in definitions:
        posterior = _derived(posterior, text)
    return posterior


def _derived(posterior: Posterior, text: str) -> Posterior:
    name, equals, written = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise UserError(f"--derive: {text!r} is not understood; expected 'S_8=sigma_8*(Omega_m/0.3)**0.5'")
    names = posterior.parameters.names
    if not re.fullmatch(r"[^\W\d]\w*", name) or name == "all":  # what --fail-if, --parameters and expressions can name
        raise UserError(f"--derive {name}: expected a name of letters, digits and underscores, other than 'all'")
    if name in names:
        raise UserError(f"--derive {name}: is there already; give it another name")
    try:
        expression = expressions.parse(written, names)
    except UserError as error:
        raise UserError(f"--derive {name}: {error}") from error

    def values(theta: np.ndarray) -> np.ndarray:
        return expression({one: theta[..., column] for column, one in enumerate(names)})

    added: dict[str, Any] = {"fisher": None}
    for key in ("samples", "truth", "ridge_estimate"):
        theta = getattr(posterior, key)
        if theta is not None:
            column = values(theta)
            if key != "ridge_estimate":
                _check_finite(name, key, column, posterior.index)
            if key == "samples" and column.size > 1 and np.ptp(column) == 0:
                raise UserError(f"--derive {name}: is {column.flat[0]:g} in every draw; there is nothing to infer")
            added[key] = np.concatenate([theta, column[..., None]], axis=-1)
    of_draws = {"mean": added["samples"][..., -1].mean(axis=1), "std": added["samples"][..., -1].std(axis=1, ddof=1)}
    for key, column in of_draws.items():
        known = getattr(posterior, key)
        if known is not None:
            added[key] = np.concatenate([known, column[:, None]], axis=1)
    parameters = posterior.parameters.concatenated(Parameters.from_names([name]))
    return replace(posterior, parameters=parameters, derived=(*posterior.derived, name), **added)


def _check_finite(name: str, key: str, values: np.ndarray, index: np.ndarray) -> None:
    bad = ~np.isfinite(values.reshape(len(values), -1))
    if bad.any():
        what = "draws" if key == "samples" else "true values"
        raise UserError(
            f"--derive {name}: has no finite value for {int(bad.sum())} of {bad.size} {what} "
            f"(row {listed(index[bad.any(axis=1)])})"
        )
