"""A gate: a condition on the document under which a pipeline should stop. ``r2[Omega_m]<0.5`` fails below a half."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cosmoinfer.errors import UserError

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*(?P<metric>\w+)\s*(?:\[(?P<parameter>.+)\])?\s*(?P<operator><=|>=|<|>)\s*(?P<limit>\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """``metric[parameter] operator limit``; without a parameter it speaks of the joint, or of any parameter."""

    text: str
    metric: str
    parameter: str | None
    operator: str
    limit: float


def gate(document: dict[str, Any], expression: str) -> str | None:
    """A sentence saying what failed, or None. It fails where the expression is true, or a value is null."""
    condition = parse(expression)
    failed = [_failure(name, entry, condition) for name, entry in _entries(document, condition).items()]
    named = [failure for failure in failed if failure]
    return f"the gate {condition.text} failed: {', '.join(named)}" if named else None


def parse(expression: str) -> Condition:
    """Whether it is a gate at all, told without a document: before any work is done."""
    found = _FORM.fullmatch(expression)
    limit = _number(found["limit"]) if found else None
    if found is None or limit is None:
        raise UserError(f"the gate {expression!r} is not of the form metric<number or metric[parameter]<number")
    name = found["parameter"]
    return Condition(expression.strip(), found["metric"], name and name.strip(), found["operator"], limit)


def _entries(document: dict[str, Any], condition: Condition) -> dict[str, dict[str, Any]]:
    """What the condition speaks of, by the words that name it."""
    joint, parameters = document["metrics"]["joint"], document["metrics"]["parameters"]
    metric, parameter = condition.metric, condition.parameter
    if metric in joint:
        if parameter is not None:
            raise UserError(f"the gate {condition.text}: {metric} is of the joint posterior; leave out [{parameter}]")
        return {metric: joint[metric]}
    if metric not in parameters:
        there = ", ".join([*joint, *parameters])
        raise UserError(f"the gate {condition.text}: this evaluation has no metric {metric}; there are {there}")
    entries = parameters[metric]
    if parameter is not None and parameter not in entries:
        there = ", ".join(entries)
        raise UserError(f"the gate {condition.text}: no parameter is named {parameter}; there are {there}")
    chosen = entries if parameter is None else [parameter]
    return {f"{metric}[{name}]": entries[name] for name in chosen}


def _failure(name: str, entry: dict[str, Any], condition: Condition) -> str:
    value = entry["value"]
    if value is None:
        return f"{name} has no value ({entry['reason']})"
    return f"{name} is {value:.4g}" if _OPERATORS[condition.operator](value, condition.limit) else ""


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
