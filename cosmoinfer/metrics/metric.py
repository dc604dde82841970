"""A metric: what it needs, how it is computed, and the entry {value, low, high} that it leaves in the document.

Four kinds: the mean of a term a row, a general statistic of weighted rows, the p-value of fractions that should be
uniform, and that of a permutation test. Value and interval come from the same formula, with equal weights and with
resampled ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosmoinfer.errors import listed
from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, MIN_SIMULATIONS, RESAMPLES, interval, uniformity_p_value
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.holm import holm_adjusted

EQUAL_TRUTHS = "all true values are equal"
Entry = dict[str, Any]  # value, low, high; and the reason where one of them is null
PARAMETERS, JOINT, PAIRS, LOCAL = "parameters", "joint", "pairs", "local"


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """``scope``: of each parameter, of all together, of every two of them, or at the rows that were asked for.

    ``needs``: what of Evidence must be there, else the metric is absent. ``prior``: null where it is unknown.
    ``drawn``: null where the truths do not come from that prior. ``why``: what it usually means when the value is not
    finite.
    """

    scope: str = PARAMETERS
    needs: tuple[str, ...] = ("mean",)
    needs_prior: bool = False
    needs_prior_truths: bool = False
    explanation: str = ""

    def available(self, data: EvaluationData) -> bool:
        columns = self.scope == JOINT or bool(_columns(data, self.scope))
        return columns and all(getattr(data, need) is not None for need in self.needs)

    def entries(self, data: EvaluationData) -> Entry:
        """One entry for a joint metric; else one a column, by name."""
        with np.errstate(divide="ignore", invalid="ignore"):
            entries = self._measure(data)
        for column, reason in enumerate(self._exclusions(data)):
            entries[column] = null(reason) if reason else entries[column]
        return entries[0] if self.scope == JOINT else dict(zip(_columns(data, self.scope), entries, strict=True))

    @abstractmethod
    def _measure(self, data: EvaluationData) -> list[Entry]:
        """One entry a column; the joint is one column."""

    def _exclusions(self, data: EvaluationData) -> list[str]:
        """Why there can be no value, whatever was computed: a column each, empty where there can."""
        parameters = data.independent_parameters if self.scope == JOINT else data.parameters
        names, known = parameters.names, parameters.has_prior
        unknown = [name for name, yes in zip(names, known, strict=True) if self.needs_prior and not yes]
        unlike = data.prior_mismatch if self.needs_prior_truths else ""
        if self.scope == PARAMETERS:
            fixed = data.fixed_parameters if self.needs_prior_truths else ()
            own = [EQUAL_TRUTHS if name in fixed else unlike for name in names]
            priors = [_no_prior([name]) if name in unknown else "" for name in names]
            return [one or other for one, other in zip(own, priors, strict=True)]
        return [unlike or _no_prior(unknown)] * (1 if self.scope == JOINT else len(_columns(data, self.scope)))


@dataclass(frozen=True, kw_only=True)
class Mean(Metric):
    """Mean over rows of ``terms``, (n, P) or (n,), then ``finish`` (a square root, say).

    share: of rows of which something is true, terms 1 and 0: where it is true of all or of none, resampling would say
    that the share is known exactly.
    """

    terms: Callable[[EvaluationData], np.ndarray]
    finish: Callable[[np.ndarray], np.ndarray] = lambda mean: mean
    is_fraction: bool = False

    def _measure(self, data: EvaluationData) -> list[Entry]:
        terms = np.asarray(self.terms(data), dtype=np.float64).reshape(len(data.posterior), -1)
        reasons = [not_finite(data, column, self.explanation) for column in terms.T]
        lowest, highest = terms.min(axis=0), terms.max(axis=0)  # which a mean does not leave, whatever rounding says

        def mean(weights: np.ndarray) -> np.ndarray:
            return self.finish(np.clip(weights @ terms, lowest, highest))

        value = self.finish(terms.mean(axis=0))  # not through the weights: a share of 68 in 100 is 0.68 to the last bit
        entries = _with_intervals(data, value, mean, reasons)
        alike = self.is_fraction & (lowest == highest)
        return [_of_all_or_none(entry, data) if one else entry for one, entry in zip(alike, entries, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Statistic(Metric):
    """Any function of the data and of row weights (B, n), each set adding to one: (B, P), or (B,) if joint."""

    compute: Callable[[EvaluationData, np.ndarray], np.ndarray]

    def _measure(self, data: EvaluationData) -> list[Entry]:
        def statistic(weights: np.ndarray) -> np.ndarray:
            return self.compute(data, weights).reshape(len(weights), -1)

        columns = 1 if self.scope == JOINT else len(_columns(data, self.scope))
        value = statistic(data.clusters.equal_weights)[0]
        return _with_intervals(data, value, statistic, [self.explanation] * columns)


@dataclass(frozen=True, kw_only=True)
class PValue(Metric):
    """It has no interval: it is one already. ``corrected``: by Holm, for as many columns as there are."""

    holm: bool = False

    def _measure(self, data: EvaluationData) -> list[Entry]:
        found, reasons = self._tests(data)
        # Columns that are barred are no tests: they must not count.
        found = np.where([bool(reason) for reason in self._exclusions(data)], np.nan, found)
        p = holm_adjusted(found) if self.holm else found
        return [_p_value(one, reason, data) for one, reason in zip(p, reasons, strict=True)]

    @abstractmethod
    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        """A p-value a column, NaN where there is none; and what is not finite, in words."""


@dataclass(frozen=True, kw_only=True)
class Uniformity(PValue):
    """p-value of ``fractions``, (n, P) or (n,), being uniform."""

    fractions: Callable[[EvaluationData], np.ndarray]

    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        columns = self.fractions(data).reshape(len(data.truth), -1).T
        finite = [bool(np.isfinite(column).all()) for column in columns]
        found = [
            uniformity_p_value(one, data.clusters) if yes else np.nan for one, yes in zip(columns, finite, strict=True)
        ]
        bad = [
            not_finite(data, one, self.explanation) if not yes else "" for one, yes in zip(columns, finite, strict=True)
        ]
        return np.array(found), bad


@dataclass(frozen=True, kw_only=True)
class PermutationTest(PValue):
    """``p_values``, one a column, of tests that bring their own null distribution."""

    p_values: Callable[[EvaluationData], np.ndarray]

    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        found = self.p_values(data)
        return found, [self.explanation] * len(found)


def _columns(data: EvaluationData, scope: str) -> tuple[str, ...]:
    """What the columns of a scope are called."""
    names = data.parameters.names
    if scope == PAIRS:
        return tuple(f"{names[one]},{names[other]}" for one, other in data.pairs)
    return tuple(map(str, data.local)) if scope == LOCAL else names


def _p_value(p: float, reason: str, data: EvaluationData) -> Entry:
    if not np.isfinite(p):
        return null(reason or f"{data.clusters.count} simulations; a clustered p-value needs {MIN_SIMULATIONS}")
    return {"value": float(p), "low": None, "high": None, "reason": "a p-value has no interval"}


def required(values: np.ndarray | None) -> np.ndarray:
    """What ``needs`` has seen to."""
    assert values is not None
    return values


def null(reason: str) -> Entry:
    return {"value": None, "low": None, "high": None, "reason": reason}


def not_finite(data: EvaluationData, terms: np.ndarray, why: str) -> str:
    """What is not finite, in how many rows and which, by their number in the catalog; empty where all is finite."""
    bad = ~np.isfinite(terms)
    if not bad.any():
        return why
    kinds = "/".join(sorted({str(term) for term in terms[bad].tolist()}))
    rows = listed(data.posterior.index[bad].tolist(), 20)
    return f"{kinds} in {bad.sum()} of {len(bad)} rows (row {rows})" + (f": {why}" if why else "")


def _of_all_or_none(entry: Entry, data: EvaluationData) -> Entry:
    """A share of 0 or 1 with the interval of Clopper & Pearson (1934, Biometrika 26, 404), by simulation."""
    if entry["low"] is None:
        return entry
    reach = 1 - ((1 - INTERVAL_LEVEL) / 2) ** (1 / data.clusters.count)
    return entry | ({"low": 1 - reach} if entry["value"] else {"high": reach})


def _with_intervals(
    data: EvaluationData, values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], reasons: list[str]
) -> list[Entry]:
    """Entries of a statistic (b, n) -> (b, C): its values (C,), and their intervals over resampled simulations."""
    resampled = data.clusters.resampled(statistic) if data.clusters.count > 1 else None
    return [
        _entry(value, None if resampled is None else resampled[:, column], reason)
        for column, (value, reason) in enumerate(zip(values, reasons, strict=True))
    ]


def _entry(value: float, resampled: np.ndarray | None, reason: str) -> Entry:
    if not np.isfinite(value):
        return null(reason or "not finite")
    if resampled is None:
        return null("one simulation: no interval") | {"value": float(value)}
    low, high = interval(resampled)
    if not np.isfinite([low, high]).all():
        return null(f"too few simulations: many of {RESAMPLES} resamples have no value") | {"value": float(value)}
    return {"value": float(value), "low": low, "high": high}


def _no_prior(names: list[str]) -> str:
    return f"the prior of {', '.join(names)} is not known" if names else ""
