"""A gate: a condition on the document under which a pipeline should stop. ``r2[Omega_m]<0.5`` fails below a half.

``coverage_68<0.6 by 3`` fails only where the value lies beyond the limit by three of its errors; ``r2[all]<=0.05`` only
where every parameter does. GATES is the set that ``--gate`` asks for.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cosmoinfer.errors import UserError
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS
from cosmoinfer.metrics.evaluation import METRICS
from cosmoinfer.metrics.metric import JOINT

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"\s*(?P<metric>\w+)\s*(?:\[(?P<parameter>.+)\])?\s*(?P<operator><=|>=|<|>)\s*(?P<limit>\S+)"
    r"(?:\s+by\s+(?P<errors>\S+))?\s*"
)
ALL_PARAMETERS = "all"


@dataclass(frozen=True)
class Condition:
    """``metric[parameter] operator limit by errors``; without a parameter it speaks of the joint, or of any parameter.

    errors: by how many of its own errors (its 68.3 % interval, on the side of the limit) a value must be beyond.
    """

    text: str
    metric: str
    parameter: str | None
    operator: str
    limit: float
    errors: float = 0.0


@dataclass(frozen=True)
class DefaultGate:
    """A condition of the default set, and why it is one. ``must_be``: a value that is null fails it, too."""

    condition: str
    explanation: str
    fails_if_null: bool = False


@dataclass(frozen=True)
class GateResults:
    """Of many gates: a sentence on each that failed, and on each that could not be judged, by its condition."""

    failed: dict[str, str]
    skipped: dict[str, str]


# A right posterior fails any of these in about 2 % of all cases together, however many rows there are: three p-values
# of one in a thousand and one, corrected over all parameters, of one in a hundred; what is no p-value must be beyond
# its limit by three errors. Resampled p-values end at 1 / 1001: with several rows a simulation and more than ten
# parameters, sbc_p_holm cannot reach its limit, and the joint ones have to. (A posterior that returns the prior may be
# right; there is nothing in it to go on with.)
GATES: tuple[DefaultGate, ...] = (
    DefaultGate("log_prob<-1e300", "a truth is given no density at all", fails_if_null=True),
    DefaultGate("log_prob_gain<0 by 3", "the truths are less probable than under the prior"),
    DefaultGate("r2[all]<=0.05", "no parameter is constrained: the model returns the prior"),
    DefaultGate("coverage_68<0.6 by 3", "over-confident by more than anybody's published error bars should be"),
    DefaultGate("sbc_p_holm<0.01", "the ranks of a parameter's truths are not uniform"),
    DefaultGate("tarp_p<0.001", "the joint posterior is not calibrated, seen from points of the prior"),
    DefaultGate(
        "tarp_x_p<0.001", "the joint posterior is not calibrated, seen from points near the observation's estimate"
    ),
    DefaultGate("hpd_p<0.001", "the joint density is not calibrated"),
)


def gate_failure(document: dict[str, Any], expression: str) -> str | None:
    """A sentence saying what failed, or None. It fails where the expression is true, or a value is null."""
    condition = parse_gate(expression)
    failures = {name: _failure(name, entry, condition) for name, entry in _entries(document, condition).items()}
    named = [failure for failure in failures.values() if failure]
    if condition.parameter == ALL_PARAMETERS and len(named) < len(failures):
        return None
    return f"the gate {condition.text} failed: {', '.join(named)}" if named else None


def check_default_gates(document: dict[str, Any]) -> GateResults:
    """What of GATES fails; a metric that this evaluation does not have, or that is null, is skipped with a sentence."""
    failed, skipped = {}, {}
    for one in GATES:
        reason = _unjudged(document, one)
        if reason:
            skipped[one.condition] = f"the gate {one.condition} is not judged: {reason}"
        elif told := gate_failure(document, one.condition):
            failed[one.condition] = f"{told} ({one.explanation})"
    if len(skipped) == len(GATES):
        raise UserError("--gate: this evaluation has none of the metrics that the default gates ask for; use --fail-if")
    return GateResults(failed, skipped)


def parse_gate(expression: str) -> Condition:
    """Whether it is a gate at all, told without a document: before any work is done."""
    found = _FORM.fullmatch(expression)
    limit = _number(found["limit"]) if found else None
    errors = _number(found["errors"] or "0") if found else None
    if found is None or limit is None or errors is None or errors < 0:
        form = "metric<number, metric[parameter]<number or metric<number by errors"
        raise UserError(f"the gate {expression!r} is not of the form {form}")
    name = found["parameter"]
    return Condition(expression.strip(), found["metric"], name and name.strip(), found["operator"], limit, errors)


def validate_gate(expression: str) -> None:
    """Whether it is a gate on a metric that there is, told without a document."""
    condition = parse_gate(expression)
    if condition.metric not in METRICS:
        near = difflib.get_close_matches(condition.metric, METRICS)
        there = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(METRICS)}"
        raise UserError(f"the gate {condition.text}: no metric is called {condition.metric}; {there}")


def _unjudged(document: dict[str, Any], one: DefaultGate) -> str:
    """Why a default gate says nothing of this document; empty where it does."""
    condition = parse_gate(one.condition)
    found = _by_name(document, condition.metric)
    if found is None:
        return f"there is no {condition.metric} here"
    null = [entry["reason"] for entry in found.values() if entry["value"] is None]
    if len(null) == len(found) and not one.fails_if_null:
        return str(null[0])
    simulations = document["simulations"]
    return (
        f"{simulations} simulations, of {MIN_SIMULATIONS} needed"
        if condition.errors and simulations < MIN_SIMULATIONS
        else ""
    )


def _by_name(document: dict[str, Any], metric: str) -> dict[str, dict[str, Any]] | None:
    """The entries of a metric by the word in brackets (a parameter, a pair, a row); a joint one has none: ''."""
    for scope, metrics in document["metrics"].items():
        if metric in metrics:
            return {"": metrics[metric]} if scope == JOINT else metrics[metric]
    return None


def _entries(document: dict[str, Any], condition: Condition) -> dict[str, dict[str, Any]]:
    """What the condition speaks of, by the words that name it."""
    metric, parameter = condition.metric, condition.parameter
    entries = _by_name(document, metric)
    if entries is None:
        there = ", ".join(name for metrics in document["metrics"].values() for name in metrics)
        raise UserError(f"the gate {condition.text}: this evaluation has no metric {metric}; there are {there}")
    if "" in entries:
        if parameter is not None:
            raise UserError(f"the gate {condition.text}: {metric} is of the joint posterior; leave out [{parameter}]")
        return {metric: entries[""]}
    if parameter is not None and parameter not in (ALL_PARAMETERS, *entries):
        there = ", ".join(entries)
        raise UserError(f"the gate {condition.text}: no parameter is named {parameter}; there are {there}")
    chosen = [parameter] if parameter in entries else entries
    return {f"{metric}[{name}]": entries[name] for name in chosen}


def _failure(name: str, entry: dict[str, Any], condition: Condition) -> str:
    value = entry["value"]
    if value is None:
        return f"{name} has no value ({entry['reason']})"
    if condition.errors and entry["low"] is None:
        return f"{name} is {value:.4g} and has no error ({entry['reason']})"
    nearer = _nearest(entry, condition) if condition.errors else value
    if not _OPERATORS[condition.operator](nearer, condition.limit):
        return ""
    return f"{name} is {value:.4g}" + (f" +- {(entry['high'] - entry['low']) / 2:.2g}" if condition.errors else "")


def _nearest(entry: dict[str, Any], condition: Condition) -> float:
    """The value, moved towards passing by so many of its errors."""
    side = "high" if condition.operator in ("<", "<=") else "low"
    return float(entry["value"] + condition.errors * (entry[side] - entry["value"]))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
