"""A metric: what it needs, how it is computed, and the ``Estimate`` that it gives.

Four kinds: the mean of a term per row, a general statistic of weighted rows, the p-value of fractions that should be
uniform, and that of a permutation test. Value and interval come from the same formula, with equal weights and with
resampled ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.errors import join_first
from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, MIN_SIMULATIONS, RESAMPLES, interval, uniformity_p_value
from cosmoinfer.metrics.estimate import OF_P_VALUE, Estimate
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.holm import holm_adjusted
from cosmoinfer.quoting import write

EQUAL_TRUTHS = "all true values are equal"
PARAMETERS, JOINT, PAIRS, LOCAL = "parameters", "joint", "pairs", "local"  # scopes


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """A metric with one column for each parameter, pair of parameters or tested row, or a single one if it is joint.

    scope: PARAMETERS, JOINT, PAIRS or LOCAL.
    needs: attributes of EvaluationData that must not be None; else the metric is absent.
    needs_prior: null where the prior of a parameter is unknown.
    needs_prior_truths: null where the true parameters were not drawn from the prior of the posterior.
    needs_prior_spread: null for the parameters whose own true values contradict their prior.
    needs_bounded_density: null where a parameter is discrete, or a function of others.
    explanation: what it usually means when the value is not finite.
    """

    scope: str = PARAMETERS
    needs: tuple[str, ...] = ("mean",)
    needs_prior: bool = False
    needs_prior_truths: bool = False
    needs_prior_spread: bool = False
    needs_bounded_density: bool = False
    explanation: str = ""

    def available(self, data: EvaluationData) -> bool:
        """Whether the posterior holds what this metric needs."""
        return bool(columns(data, self.scope)) and all(getattr(data, need) is not None for need in self.needs)

    def estimates(self, data: EvaluationData) -> dict[str, Estimate]:
        """One estimate for each column, by its name (JOINT for a joint metric)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            estimates = self._measure(data)
        for column, reason in enumerate(self._exclusions(data)):
            estimates[column] = Estimate.missing(reason) if reason else estimates[column]
        return dict(zip(columns(data, self.scope), estimates, strict=True))

    @abstractmethod
    def _measure(self, data: EvaluationData) -> list[Estimate]:
        """One estimate for each column."""

    def _exclusions(self, data: EvaluationData) -> list[str]:
        """Why a column has no value, whatever was computed; empty where it has one."""
        parameters = data.independent_parameters if self.scope == JOINT else data.parameters
        names, has_prior = parameters.names, data.has_prior[: len(parameters)]
        without_prior = [name for name, yes in zip(names, has_prior, strict=True) if self.needs_prior and not yes]
        mismatch = data.prior_mismatch if self.needs_prior_truths else ""
        if self.needs_bounded_density and data.unbounded_density:
            mismatch = f"{data.unbounded_density}: its density has no bound"
        if self.scope != PARAMETERS:
            return [mismatch or _no_prior(without_prior)] * len(columns(data, self.scope))
        fixed = data.fixed_parameters if self.needs_prior_truths else ()
        other_spread = data.contradictions if self.needs_prior_spread else {}
        return [
            (EQUAL_TRUTHS if name in fixed else mismatch)
            or other_spread.get(name, "")
            or (_no_prior([name]) if name in without_prior else "")
            for name in names
        ]


@dataclass(frozen=True, kw_only=True)
class Mean(Metric):
    """Mean over rows of ``terms``, then ``finish``.

    terms: EvaluationData -> (n, P), or (n,) if joint.
    finish: applied to the mean, (..., P) -> (..., P): a square root, say.
    is_fraction: terms are 1 and 0; where all are equal, resampling would give an interval of width zero, and the exact
    binomial interval is given instead.
    """

    terms: Callable[[EvaluationData], np.ndarray]
    finish: Callable[[np.ndarray], np.ndarray] = lambda mean: mean
    is_fraction: bool = False

    def _measure(self, data: EvaluationData) -> list[Estimate]:
        terms = np.asarray(self.terms(data), dtype=np.float64).reshape(len(data.posterior), -1)
        reasons = [describe_not_finite(data, column, self.explanation) for column in terms.T]
        lowest, highest = terms.min(axis=0), terms.max(axis=0)  # a mean lies between them, whatever rounding says

        def mean(weights: np.ndarray) -> np.ndarray:
            return self.finish(np.clip(weights @ terms, lowest, highest))

        value = self.finish(terms.mean(axis=0))  # not through the weights: 68 of 100 are 0.68 to the last bit
        estimates = _with_intervals(data, value, mean, reasons)
        constant = self.is_fraction & (lowest == highest)
        return [
            _with_binomial_interval(estimate, data.clusters.count) if equal else estimate
            for equal, estimate in zip(constant, estimates, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Statistic(Metric):
    """Any function of the data and of row weights (B, n), each set of which adds to one.

    compute: (EvaluationData, (B, n)) -> (B, columns), or (B,) if joint.
    """

    compute: Callable[[EvaluationData, np.ndarray], np.ndarray]

    def _measure(self, data: EvaluationData) -> list[Estimate]:
        def statistic(weights: np.ndarray) -> np.ndarray:
            return self.compute(data, weights).reshape(len(weights), -1)

        value = statistic(data.clusters.equal_weights)[0]
        return _with_intervals(data, value, statistic, [self.explanation] * len(columns(data, self.scope)))


@dataclass(frozen=True, kw_only=True)
class PValue(Metric):
    """A p-value, without an interval.

    holm: corrected for the number of columns (Holm 1979).
    """

    holm: bool = False

    def _measure(self, data: EvaluationData) -> list[Estimate]:
        p, reasons = self._tests(data)
        # Columns that are excluded are no tests: they must not count.
        p = np.where([bool(reason) for reason in self._exclusions(data)], np.nan, p)
        p = holm_adjusted(p) if self.holm else p
        return [_p_value(value, reason, data.clusters.count) for value, reason in zip(p, reasons, strict=True)]

    @abstractmethod
    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        """A p-value for each column, NaN where there is none; and why there is none."""


@dataclass(frozen=True, kw_only=True)
class Uniformity(PValue):
    """p-value of fractions being uniform on 0..1 (Kolmogorov-Smirnov, clustered by simulation).

    fractions: EvaluationData -> (n, P), or (n,) if joint.
    """

    fractions: Callable[[EvaluationData], np.ndarray]

    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        fractions = self.fractions(data).reshape(len(data.truth), -1).T
        p, reasons = np.full(len(fractions), np.nan), [""] * len(fractions)
        for number, column in enumerate(fractions):
            if np.isfinite(column).all():
                p[number] = uniformity_p_value(column, data.clusters)
            else:
                reasons[number] = describe_not_finite(data, column, self.explanation)
        return p, reasons


@dataclass(frozen=True, kw_only=True)
class PermutationTest(PValue):
    """p-value of a test that brings its own null distribution.

    p_values: EvaluationData -> (columns,).
    """

    p_values: Callable[[EvaluationData], np.ndarray]

    def _tests(self, data: EvaluationData) -> tuple[np.ndarray, list[str]]:
        p = self.p_values(data)
        return p, [self.explanation] * len(p)


def columns(data: EvaluationData, scope: str) -> tuple[str, ...]:
    """Names of the columns of a scope: parameters, pairs 'a,b', row numbers, or JOINT alone."""
    names = data.parameters.names
    return {
        JOINT: (JOINT,),
        PARAMETERS: names,
        PAIRS: tuple(f"{write(names[first])},{write(names[second])}" for first, second in data.pairs),
        LOCAL: tuple(map(str, data.local)),
    }[scope]


def required(values: np.ndarray | None) -> np.ndarray:
    """An attribute of EvaluationData, (n, ...), that ``needs`` has found not to be None."""
    assert values is not None
    return values


def describe_not_finite(data: EvaluationData, terms: np.ndarray, explanation: str) -> str:
    """Which of the terms (n,) are not finite, by row number of the catalog; the explanation alone if all are finite."""
    bad = ~np.isfinite(terms)
    if not bad.any():
        return explanation
    kinds = "/".join(sorted({str(term) for term in terms[bad].tolist()}))
    rows = join_first(data.posterior.index[bad].tolist(), 20)
    return f"{kinds} in {bad.sum()} of {len(bad)} rows (row {rows})" + (f": {explanation}" if explanation else "")


def _p_value(p: float, reason: str, simulations: int) -> Estimate:
    if not np.isfinite(p):
        return Estimate.missing(reason or f"{simulations} simulations; a clustered p-value needs {MIN_SIMULATIONS}")
    return Estimate(float(p), reason=OF_P_VALUE)


def _with_binomial_interval(estimate: Estimate, simulations: int) -> Estimate:
    """A fraction of 0 or 1 with the interval of Clopper & Pearson (1934, Biometrika 26, 404), by simulation."""
    if estimate.low is None:
        return estimate
    width = 1 - ((1 - INTERVAL_LEVEL) / 2) ** (1 / simulations)
    return replace(estimate, low=1 - width) if estimate.value else replace(estimate, high=width)


def _with_intervals(
    data: EvaluationData, values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], reasons: list[str]
) -> list[Estimate]:
    """Estimates of a statistic (b, n) -> (b, C): its values (C,), and their intervals over resampled simulations."""
    resampled = data.clusters.resampled(statistic) if data.clusters.count > 1 else None
    return [
        _estimate(value, None if resampled is None else resampled[:, column], reason)
        for column, (value, reason) in enumerate(zip(values, reasons, strict=True))
    ]


def _estimate(value: float, resampled: np.ndarray | None, reason: str) -> Estimate:
    if not np.isfinite(value):
        return Estimate.missing(reason or "not finite")
    if resampled is None:
        return Estimate(float(value), reason="one simulation: no interval")
    low, high = interval(resampled)
    if not np.isfinite([low, high]).all():
        return Estimate(float(value), reason=f"too few simulations: many of {RESAMPLES} resamples have no value")
    return Estimate(float(value), low, high)


def _no_prior(names: list[str]) -> str:
    return f"the prior of {', '.join(names)} is not known" if names else ""
