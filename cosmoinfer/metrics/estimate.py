"""A number with its 68.3 % interval, or the reason why it has none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosmoinfer.formatting import format_p_value, format_with_error
from cosmoinfer.storage import JSONObject

OF_P_VALUE = "a p-value has no interval"  # the reason why it has none


@dataclass(frozen=True)
class Estimate:
    """The value of a metric with its 68.3 % interval, clustered by simulation; ``str`` gives '0.140 ± 0.027'.

    value: None where it is not finite or not defined.
    low, high: bounds of the interval; None where there is no interval (a p-value, a single simulation).
    reason: why value, low or high is None; empty where none of them is.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @classmethod
    def missing(cls, reason: str) -> "Estimate":
        """No value, and why."""
        return cls(None, reason=reason)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Estimate":
        """From {"value", "low", "high"} and, where one of them is null, "reason"."""
        return cls(entry["value"], entry["low"], entry["high"], entry.get("reason", ""))

    def to_json(self) -> JSONObject:
        """{"value", "low", "high"}; and "reason" where one of them is null."""
        entry: JSONObject = {"value": self.value, "low": self.low, "high": self.high}
        return entry | ({"reason": self.reason} if self.reason else {})

    @property
    def error(self) -> float | None:
        """Half of the width of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def to_array(self) -> np.ndarray:
        """Value, low and high, (3,); NaN where None."""
        return np.array([np.nan if number is None else number for number in (self.value, self.low, self.high)])

    def __neg__(self) -> "Estimate":
        value, low, high = (None if number is None else -number for number in (self.value, self.high, self.low))
        return Estimate(value, low, high, self.reason)

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if self.error is None:
            return format_p_value(self.value) if self.reason == OF_P_VALUE else f"{self.value:.3g}"
        return format_with_error(self.value, self.error)

    def format(self, spec: str = ".2f", unit: float = 1.0) -> str:
        """'VALUE +- ERROR' in multiples of 1 / unit, by one format spec or with the digits that a small error needs.

        The value alone without an interval.
        """
        if self.value is None:
            return "unknown"
        if self.error is None:
            return f"{unit * self.value:.3g}"
        value, error = unit * self.value, abs(unit) * self.error
        if float(f"{error:{spec}}") == 0:
            return format_with_error(value, error).replace("±", "+-")
        return f"{value:{spec}} +- {error:{spec}}"

    def format_value(self, spec: str = ".2f") -> str:
        """The value alone; 'unknown' where it is None."""
        return "unknown" if self.value is None else format(self.value, spec)


Estimates = Mapping[str, Estimate]  # by metric for the joint posterior; by parameter, pair or row for one metric
EstimatesByMetric = Mapping[str, Estimates]
