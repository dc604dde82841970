"""A gate: a condition on an evaluation under which a pipeline should stop. ``r2[Omega_m]<0.5`` fails below a half.

``coverage_68<0.6 by 3`` fails only where the value lies beyond the limit by three of its errors; ``r2[all]<=0.05`` only
where every parameter does. GATES is the set that ``--gate`` asks for.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS
from cosmoinfer.metrics.estimate import OF_P_VALUE, Estimate, Estimates
from cosmoinfer.metrics.evaluation import Evaluation
from cosmoinfer.metrics.gate_results import GateResult, GateResults
from cosmoinfer.metrics.metric import JOINT, PARAMETERS
from cosmoinfer.metrics.registry import METRICS
from cosmoinfer.numerals import finite_number
from cosmoinfer.quoting import unquote

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(
    r"\s*(?P<metric>\w+)\s*(?:\[(?P<parameter>.+)\]\s*)?(?P<operator><=|>=|<|>)\s*(?P<limit>\S+)"
    r"(?:\s+by\s+(?P<errors>\S+))?\s*"
)
ALL_PARAMETERS = "all"


@dataclass(frozen=True)
class Condition:
    """``metric[parameter] operator limit by errors``.

    text: as it was written.
    metric: its name.
    parameter: a parameter, a pair 'a,b' or a row number; ALL_PARAMETERS; or None: the joint metric, or any parameter.
    operator: <, <=, > or >=.
    limit: what the value is compared with.
    errors: by how many of its errors (its 68.3 % interval, on the side of the limit) a value must be beyond the limit.
    """

    text: str
    metric: str
    parameter: str | None
    operator: str
    limit: float
    errors: float = 0.0


@dataclass(frozen=True)
class DefaultGate:
    """A condition of the default set.

    condition: as text. explanation: what it means that it fails. fails_if_null: a missing value fails it, too.
    """

    condition: str
    explanation: str
    fails_if_null: bool = False


# A correct posterior fails any of these in about 2 % of all cases, however many rows there are: three p-values at
# 0.001 and one, corrected over all parameters, at 0.01; other metrics must be beyond their limit by three errors.
# Resampled p-values are at least 1 / 1001: with several rows per simulation and more than ten parameters, sbc_p_holm
# cannot reach its limit, and the joint tests have to. (A posterior that returns the prior may be correct, but it is of
# no use.)
GATES: tuple[DefaultGate, ...] = (
    DefaultGate("log_prob<-1e300", "the density is zero at a true value", fails_if_null=True),
    DefaultGate("log_prob_gain<0 by 3", "the truths are less probable than under the prior"),
    DefaultGate("r2[all]<=0.05", "no parameter is constrained: the model returns the prior"),
    DefaultGate("coverage_68<0.6 by 3", "strongly over-confident"),
    DefaultGate("sbc_p_holm<0.01", "the SBC ranks of a parameter are not uniform"),
    DefaultGate("tarp_p<0.001", "the joint posterior is not calibrated (TARP, reference points from the prior)"),
    DefaultGate(
        "tarp_x_p<0.001", "the joint posterior is not calibrated (TARP, reference points near the ridge estimate)"
    ),
    DefaultGate("hpd_p<0.001", "the joint posterior is not calibrated (highest-density regions)"),
)


def check_gate(evaluation: Evaluation, expression: str) -> GateResult:
    """Whether a gate passed. It fails where the expression is true, or a value is missing.

    Raises UserError if the expression is not a gate, or is about a metric or parameter that the evaluation lacks.
    """
    condition = parse_gate(expression)
    estimates = _selected_estimates(evaluation, condition)
    failures = [failure for name, estimate in estimates.items() if (failure := _failure(name, estimate, condition))]
    if condition.parameter == ALL_PARAMETERS and len(failures) < len(estimates):
        failures = []
    value = _deciding_value(estimates, condition)
    if not failures:
        return GateResult(expression, value, condition.limit, passed=True)
    reason = f"the gate {condition.text} failed: {', '.join(failures)}"
    return GateResult(expression, value, condition.limit, passed=False, reason=reason)


def check_default_gates(evaluation: Evaluation) -> GateResults:
    """What becomes of each of GATES; a metric that the evaluation lacks, or that is null, is skipped with a sentence.

    Raises UserError if the evaluation has none of their metrics.
    """
    results = tuple(_check_default_gate(evaluation, gate) for gate in GATES)
    if all(result.passed is None for result in results):
        raise UserError("this evaluation has none of the metrics of the default gates; use `fail_if`", "gate")
    return GateResults(results)


def _check_default_gate(evaluation: Evaluation, gate: DefaultGate) -> GateResult:
    if reason := _reason_to_skip(evaluation, gate):
        sentence = f"the gate {gate.condition} was not checked: {reason}"
        return GateResult(gate.condition, None, parse_gate(gate.condition).limit, passed=None, reason=sentence)
    result = check_gate(evaluation, gate.condition)
    return result if result.passed else replace(result, reason=f"{result.reason} ({gate.explanation})")


def parse_gate(expression: str) -> Condition:
    """The condition that an expression states; its metric need not exist.

    Raises UserError if the expression is not of the form ``metric[parameter] operator limit by errors``.
    """
    match = _FORM.fullmatch(expression)
    limit = finite_number(match["limit"]) if match else None
    errors = finite_number(match["errors"] or "0") if match else None
    if match is None or limit is None or errors is None or errors < 0:
        form = "'metric<number', 'metric[parameter]<number' or 'metric<number by 3' (errors)"
        raise UserError(f"{expression!r} is not understood; expected {form}", "fail_if")
    name = match["parameter"]
    return Condition(expression.strip(), match["metric"], name and unquote(name), match["operator"], limit, errors)


def validate_gate(expression: str) -> None:
    """Check, without an evaluation, that an expression is a gate on an existing metric.

    Raises UserError if it is not.
    """
    condition = parse_gate(expression)
    if condition.metric not in METRICS:
        choices = list_choices(condition.metric, METRICS)
        raise UserError(f"no metric is called {condition.metric}; {choices}", "fail_if", condition.text)


def check_gate_parameter(expression: str, names: Sequence[str]) -> None:
    """Check, without an evaluation, that the parameter of a gate is one of these; of pairs and rows nothing is known.

    Raises UserError if it is not, or if the metric is of the joint posterior and a parameter is named.
    """
    condition = parse_gate(expression)
    scope, parameter = METRICS[condition.metric].scope, condition.parameter
    if scope == JOINT and parameter is not None:
        raise _joint_metric(condition)
    if scope == PARAMETERS and parameter is not None and parameter not in (ALL_PARAMETERS, *names):
        raise _unknown_parameter(condition, names)


def _joint_metric(condition: Condition) -> UserError:
    message = f"{condition.metric} is of the joint posterior; leave out [{condition.parameter}]"
    return UserError(message, "fail_if", condition.text)


def _unknown_parameter(condition: Condition, names: Iterable[str]) -> UserError:
    message = f"no parameter is called {condition.parameter}; {list_choices(condition.parameter, names)}"
    return UserError(message, "fail_if", condition.text)


def _reason_to_skip(evaluation: Evaluation, gate: DefaultGate) -> str:
    """Why a default gate cannot be checked; empty where it can."""
    condition = parse_gate(gate.condition)
    estimates = evaluation.estimates(condition.metric)
    if estimates is None:
        return f"this evaluation has no {condition.metric}"
    reasons = [estimate.reason for estimate in estimates.values() if estimate.value is None]
    if len(reasons) == len(estimates) and not gate.fails_if_null:
        return reasons[0]
    simulations = evaluation.simulations
    too_few = condition.errors and simulations < MIN_SIMULATIONS
    return f"{simulations} simulations, of {MIN_SIMULATIONS} needed" if too_few else ""


def _selected_estimates(evaluation: Evaluation, condition: Condition) -> Estimates:
    """The estimates that the condition is about, by 'metric' or 'metric[parameter]'."""
    metric, parameter = condition.metric, condition.parameter
    estimates = evaluation.estimates(metric)
    if estimates is None:
        choices = list_choices(metric, evaluation.metrics)
        raise UserError(f"this evaluation has no metric {metric}; {choices}", "fail_if", condition.text)
    if "" in estimates:
        if parameter is not None:
            raise _joint_metric(condition)
        return {metric: estimates[""]}
    if parameter is not None and parameter not in (ALL_PARAMETERS, *estimates):
        raise _unknown_parameter(condition, estimates)
    selected = estimates if parameter not in estimates else (parameter,)
    return {f"{metric}[{name}]": estimate for name, estimate in estimates.items() if name in selected}


def _deciding_value(estimates: Estimates, condition: Condition) -> float | None:
    """The value furthest on the failing side of the limit; where all parameters must fail, the one least so."""
    values = [estimate.value for estimate in estimates.values() if estimate.value is not None]
    fails_below, requires_all = condition.operator in ("<", "<="), condition.parameter == ALL_PARAMETERS
    choose = min if fails_below != requires_all else max
    return choose(values, default=None)


def _failure(name: str, estimate: Estimate, condition: Condition) -> str:
    value = estimate.value
    if value is None:
        return f"{name} has no value ({estimate.reason})"
    if condition.errors and estimate.error is None:
        return f"{name} is {value:.4g} and has no error ({estimate.reason})"
    compared = _moved_towards_passing(estimate, condition) if condition.errors else value
    if not _OPERATORS[condition.operator](compared, condition.limit):
        return ""
    if estimate.reason == OF_P_VALUE:
        return f"{name} is {estimate}"
    return f"{name} is {value:.4g}" + (f" +- {estimate.error:.2g}" if condition.errors else "")


def _moved_towards_passing(estimate: Estimate, condition: Condition) -> float:
    """The value, by as many of its errors as the condition says."""
    bound = estimate.high if condition.operator in ("<", "<=") else estimate.low
    assert estimate.value is not None and bound is not None
    return float(estimate.value + condition.errors * (bound - estimate.value))
