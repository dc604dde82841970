"""Numbers with errors, rounded to two significant digits of the error; what draws of a parameter say, as in a paper."""

import math
from dataclasses import dataclass

import numpy as np

ROUNDING_FRACTION = 1e-12  # of a value: an error below it is none
MIN_PRINTED_P_VALUE = 1e-6  # below, a test's distribution is not known well enough to tell
PERCENTILES = (0.15865, 0.5, 0.84135)  # of the median and the central 68.3 % interval
LIMIT_LEVEL = 0.95  # of a one-sided limit
MIN_EDGE_DENSITY = math.exp(-0.5)  # of the maximum, as of a normal whose peak is one standard deviation from the edge
MIN_ASYMMETRY = 0.2  # of the mean error: the difference between its two sides that is shown
ASYMMETRY_NOISE = 4.5  # that of N normal draws is below this / sqrt(N) in 95 % of all cases
FIXED_POINT = (1e-3, 1e5)  # of the larger of value and error: outside, a power of ten stands behind both


def format_with_error(value: float, error: float) -> str:
    """'0.140 ± 0.027' of 0.1397 and 0.0271: both to two significant digits of the error.

    The value alone where the error is not known (NaN, as of a single draw), or zero but for rounding.
    """
    if math.isnan(error) or not math.isfinite(value) or error <= ROUNDING_FRACTION * abs(value):
        return f"{value:.3g}"
    if math.isinf(error):
        return f"{value:.3g} ± inf"
    if not 1e-4 < error < 1e4:
        digits = 2 + math.floor(math.log10(abs(value) or error)) - math.floor(math.log10(error))
        rounded = f"{value:#.{max(3, digits)}g}" if value else "0"
        return f"{rounded} ± {error:.1e}"
    places = decimal_places(error)
    return f"{value:.{places}f} ± {error:.{places}f}"


def decimal_places(error: float) -> int:
    """Decimal places that give two significant digits of an error."""
    return max(0, 1 - math.floor(math.log10(error)))


def count_text(number: int, noun: str) -> str:
    """'1 row', '3 rows'."""
    return f"{number} {noun}" + "s" * (number != 1)


def format_p_value(p: float) -> str:
    """'0.0123', or '< 1e-06' of anything less."""
    return f"{p:.3g}" if p >= MIN_PRINTED_P_VALUE else f"< {MIN_PRINTED_P_VALUE:.0e}"


@dataclass(frozen=True)
class Constraint:
    """What the draws of one parameter say of it, as a paper writes it: ``text`` for a terminal, ``latex`` for a figure.

    median, low, high: the 50th percentile, and the 15.9th and 84.1th, which bound the central 68.3 % interval.
    kind: "interval"; "upper" or "lower", a 95 % limit, where the draws rest on one edge of the prior box; "none",
        where they rest on both, or the limit is no tighter than the prior's; "fixed", where they have no width.
    limit: the 95 % limit, where there is one.
    edge: the edge of the box, on which the draws rest, where there is a limit.
    symmetric: whether both sides of the interval are alike but for the noise of the draws.
    """

    median: float
    low: float
    high: float
    kind: str = "interval"
    limit: float | None = None
    edge: float | None = None
    symmetric: bool = True

    @property
    def text(self) -> str:
        """``0.312 ± 0.019``, ``0.312 +0.031 -0.012``, ``< 0.30 (95 %)``, ``no limit``."""
        return self._write(" ± ", " +{} -{}", "{} {} (95 %)", "no limit", "e{:+03d}")

    @property
    def latex(self) -> str:
        """The same for mathematics: ``0.312^{+0.031}_{-0.012}``."""
        text = r"{} {}\;(95\,\%)"
        return self._write(r" \pm ", "^{{+{}}}_{{-{}}}", text, r"\mathrm{no\ limit}", r"\times 10^{{{}}}")

    def _write(self, plus_minus: str, sides: str, one_sided: str, unlimited: str, power: str) -> str:
        if self.kind == "none":
            return unlimited
        if self.kind == "fixed":
            return f"{self.median:.3g}"
        value, errors = self.median, [self.high - self.median, self.median - self.low]
        if self.symmetric:
            errors = [(self.high - self.low) / 2]
        if self.limit is not None and self.edge is not None:
            value, errors = self.limit, [abs(self.limit - self.edge)]
        exponent = _common_exponent(value, max(errors))
        value, *errors = (number / 10.0**exponent for number in (value, *errors))
        places = decimal_places(min(errors))
        rounded, *sizes = (f"{number:.{places}f}" for number in (value, *errors))
        if self.limit is not None:
            rounded += power.format(exponent) if exponent else ""
            return one_sided.format("<" if self.kind == "upper" else ">", rounded)
        joined = rounded + (plus_minus + sizes[0] if self.symmetric else sides.format(*sizes))
        return f"({joined})" + power.format(exponent) if exponent else joined


def constraint(
    draws: np.ndarray,
    weights: np.ndarray | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    logarithmic: bool = False,
) -> Constraint:
    """Median with its 68.3 % interval; a one-sided 95 % limit where the draws rest on one edge of the prior box.

    draws: of one parameter, (S,). weights: of the draws, (S,), of any scale; None where they are equal.
    low, high: the prior box, infinite where there is none.
    logarithmic: whether the prior is uniform in the logarithm, in which the density at the edges is taken then.
    """
    weights = np.ones(len(draws)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(draws, kind="stable")
    draws, weights = np.asarray(draws, np.float64)[order], weights[order] / weights.sum()
    start, median, end = _quantiles(draws, weights, *PERCENTILES)
    if not end - start > ROUNDING_FRACTION * abs(median):
        return Constraint(median, start, end, "fixed")
    if logarithmic and low > 0:
        on_edge = _rests_on_edges(np.log(draws), weights, math.log(low), math.log(high))
    else:
        on_edge = _rests_on_edges(draws, weights, low, high)
    kind, level = ("upper", LIMIT_LEVEL) if on_edge[0] else ("lower", 1 - LIMIT_LEVEL)
    if any(on_edge):
        limit = _quantiles(draws, weights, level)[0]
        if all(on_edge) or _says_no_more_than_prior(limit, kind, low, high, logarithmic):
            return Constraint(median, start, end, "none")
        return Constraint(median, start, end, kind, limit, low if kind == "upper" else high)
    asymmetry = abs(end + start - 2 * median) / ((end - start) / 2)
    symmetric = asymmetry < max(MIN_ASYMMETRY, ASYMMETRY_NOISE * math.sqrt((weights**2).sum()))
    symmetric |= min(end - median, median - start) <= ROUNDING_FRACTION * abs(median)
    return Constraint(median, start, end, symmetric=bool(symmetric))


def _quantiles(draws: np.ndarray, weights: np.ndarray, *levels: float) -> list[float]:
    """Of draws in ascending order, whose weights have the sum of one."""
    quantiles: list[float] = np.interp(levels, np.cumsum(weights) - weights / 2, draws).tolist()
    return quantiles


def _rests_on_edges(draws: np.ndarray, weights: np.ndarray, low: float, high: float) -> tuple[bool, bool]:
    """Whether the density at the lower and the upper edge is near its maximum: of a histogram from each edge on."""
    start, end = _quantiles(draws, weights, (1 - LIMIT_LEVEL) / 2, (1 + LIMIT_LEVEL) / 2)
    width = (end - start) / min(10.0, max(4.0, float((weights**2).sum()) ** (-1 / 3)))

    def near_maximum(distance: np.ndarray) -> bool:
        bins = np.minimum(distance / width, 1000).astype(np.int64) if np.isfinite(distance).all() else None
        if bins is None or bins.min() > 0:
            return False
        density = np.bincount(np.maximum(bins, 0), weights)
        return bool(density[0] > MIN_EDGE_DENSITY * density[:1000].max())

    return near_maximum(draws - low), near_maximum(high - draws)


def _says_no_more_than_prior(limit: float, kind: str, low: float, high: float, logarithmic: bool) -> bool:
    """Whether a limit is no tighter than that of the prior itself, uniform in the box or in its logarithm."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return False
    level = LIMIT_LEVEL if kind == "upper" else 1 - LIMIT_LEVEL
    of_prior = low * (high / low) ** level if logarithmic and low > 0 else low + level * (high - low)
    return limit >= of_prior if kind == "upper" else limit <= of_prior


def _common_exponent(value: float, error: float) -> int:
    """Of the power of ten that stands behind value and error; 0 where both are legible without."""
    largest = max(abs(value), error)
    return 0 if FIXED_POINT[0] <= largest < FIXED_POINT[1] else math.floor(math.log10(largest))
