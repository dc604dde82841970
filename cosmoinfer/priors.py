"""Priors: the distribution of one parameter on its box. A prior is a class, and one name in the table at the foot.

A new prior says its density, distribution function and quantiles; everything else (checks, files, the syntax of
``bounds`` and ``prior``, supports, audit, reweighting, figures) asks the table.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosmoinfer import truncated_normal

BOX_TOLERANCE = 1e-6  # of the box's width: a table written with few digits may overstep an edge by this much
BOX, MOMENTS = ("low", "high"), ("mean", "std")  # the two numbers that a user may write for a prior
UNDECLARED = "undeclared"  # in the place of a prior in a file: it depends on the box, and on the rows
MIN_LOG_UNIFORM_RATIO = 3  # high / low, below which undeclared rows are never taken as log-uniform
MAX_MAGNITUDE, MIN_WIDTH = 1e100, 1e-100  # of parameters: products of a few of them are still numbers


def scale_problem(low: float, high: float) -> str:
    """Why values between these cannot be computed with, or nothing; an end without bound is no problem."""
    largest = max((abs(end) for end in (low, high) if np.isfinite(end)), default=0.0)
    if largest <= MAX_MAGNITUDE and high - low >= MIN_WIDTH:
        return ""
    wanted = f"at most {MAX_MAGNITUDE:g} in magnitude, and a range of {MIN_WIDTH:g} or more"
    return f"expected values of {wanted}, found {low:g}..{high:g}; choose other units"


@dataclass(frozen=True)
class Prior(ABC):
    """low, high: the box, in catalog units, -inf and inf where it is unbounded.

    mean, std: of the normal before the box cuts it, of a log-normal that of ln value; other priors leave them alone.
    """

    low: float
    high: float
    mean: float = 0.0
    std: float = 1.0

    name: ClassVar[str]
    is_known: ClassVar[bool] = True  # whether it has a density at all
    bounds_suffix: ClassVar[str] = ""  # that declares it in `bounds` 'a=0.25:4:log'; none: it cannot be declared there
    arguments: ClassVar[tuple[str, ...]] = BOX  # the two numbers of reweight's `prior` 'a=uniform:0.2:0.4'
    log_axis: ClassVar[bool] = False  # whether figures show the parameter on a logarithmic axis
    in_logarithm: ClassVar[bool] = False  # whether ln value is the coordinate that flows without a box model
    lowest: ClassVar[float] = -np.inf  # below which there is no density, whatever the box

    def __str__(self) -> str:
        """In words, without its box."""
        return self.name

    def problem(self) -> str:
        """Why box, mean and std do not define this prior, or nothing; here: the box must be finite."""
        finite = np.isfinite([self.low, self.high]).all()
        return "" if finite else f"a {self.name} prior needs two finite bounds, found {self.low:g}..{self.high:g}"

    # ------------------------------------------------------------------ the distribution, element by element
    def log_density(self, value: np.ndarray) -> np.ndarray:
        """ln p(value), natural, in catalog units, of shape (...); -inf outside the box, NaN where the value is."""
        width = self.high - self.low
        tolerance = BOX_TOLERANCE * np.where(np.isfinite(width), width, 0.0)
        in_box = (value >= self.low - tolerance) & (value <= self.high + tolerance)
        return np.where(np.isnan(value), np.nan, np.where(in_box, self._log_density(value), -np.inf))

    def cdf(self, value: np.ndarray) -> np.ndarray:
        """The distribution function, of shape (...), in [0, 1]: 0 below the box and 1 above it."""
        return self._cdf(np.clip(value, self.low, self.high))

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of ``cdf``, inside the box: u of shape (...)."""
        return np.clip(self._quantile(u), self.low, self.high)

    @abstractmethod
    def _log_density(self, value: np.ndarray) -> np.ndarray:
        """``log_density`` of values in the box, up to its tolerance."""

    @abstractmethod
    def _cdf(self, value: np.ndarray) -> np.ndarray:
        """``cdf`` of values in the box."""

    @abstractmethod
    def _quantile(self, u: np.ndarray) -> np.ndarray:
        """``quantile`` before rounding is clipped onto the box."""

    # ------------------------------------------------------------------------------- what else is asked of it
    def mass_in_box(self) -> float:
        """The probability that the box leaves of what the prior would be without it."""
        return 1.0

    def to_line(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The coordinate that a flow without knowledge of the box models, ln |d coordinate / d value|: shape (...)."""
        return (np.log(value), -np.log(value)) if self.in_logarithm else (value, np.zeros(np.shape(value)))

    def from_line(self, coordinate: np.ndarray) -> np.ndarray:
        """The inverse of ``to_line``: shape (...)."""
        return np.exp(coordinate) if self.in_logarithm else coordinate

    def may_be_recognised(self) -> bool:
        """Whether rows of a parameter without a declared prior may show that this is theirs, and not the uniform."""
        return False


class Uniform(Prior):
    """p = 1 / (high - low)."""

    name = "uniform"
    bounds_suffix = "uniform"

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        return np.full(np.shape(value), -np.log(self.high - self.low))

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return (value - self.low) / (self.high - self.low)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return self.low + u * (self.high - self.low)


class LogUniform(Prior):
    """p = 1 / (value ln(high/low)): uniform in the logarithm, in which supports model it."""

    name = "log-uniform"
    bounds_suffix = "log"
    log_axis = in_logarithm = True

    def problem(self) -> str:
        if super().problem() or self.low > 0:
            return super().problem()
        return f"a log-uniform prior needs positive bounds, found {self.low:g}..{self.high:g}"

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        return -np.log(np.clip(value, self.low, self.high)) - np.log(np.log(self.high / self.low))

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return np.log(value / self.low) / np.log(self.high / self.low)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return self.low * np.exp(u * np.log(self.high / self.low))

    def may_be_recognised(self) -> bool:
        ratio = float(self.high) / float(self.low) if self.low > 0 else 0.0
        return MIN_LOG_UNIFORM_RATIO <= ratio < np.inf


class Gaussian(Prior):
    """N(mean, std^2) of a coordinate, which is the value or its logarithm, truncated to the box if there is one."""

    arguments = MOMENTS

    def __str__(self) -> str:
        return f"{self.name} {self.mean:g} +- {self.std:g}"

    def problem(self) -> str:
        if not (np.isfinite([self.mean, self.std]).all() and self.std > 0):
            moments = f"found {self.mean:g} and {self.std:g}"
            return f"a {self.name} prior needs a prior_mean and a positive prior_std, {moments}"
        if self.low < self.lowest:
            return f"a {self.name} prior needs a box above {self.lowest:g}, found {self.low:g}..{self.high:g}"
        return ""

    def score(self, value: np.ndarray) -> np.ndarray:
        """(coordinate - mean) / std of values (...), which is N(0, 1) before the box truncates it."""
        with np.errstate(divide="ignore"):
            return (self.to_line(value)[0] - self.mean) / self.std

    def from_score(self, z: np.ndarray) -> np.ndarray:
        """The inverse of ``score``, inside the box or not: shape (...)."""
        return self.from_line(self.mean + self.std * z)

    def mass_in_box(self) -> float:
        return float(truncated_normal.mass(*self._edges))

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        value = np.maximum(value, self.lowest)
        with np.errstate(divide="ignore", invalid="ignore"):
            coordinate, log_slope = self.to_line(value)
            z = (coordinate - self.mean) / self.std
            log_density = -0.5 * z**2 - np.log(self.std * np.sqrt(2 * np.pi) * self.mass_in_box()) + log_slope
            return np.where(np.isinf(coordinate), -np.inf, log_density)

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return truncated_normal.cdf(self.score(value), *self._edges)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return self.from_score(truncated_normal.quantile(u, *self._edges))

    @property
    def _edges(self) -> np.ndarray:
        """The box in units of std from the mean, (2,)."""
        return self.score(np.array([self.low, self.high]))


class Normal(Gaussian):
    """The value is normal; in a box, a truncated normal."""

    name = "normal"
    bounds_suffix = "normal"


class LogNormal(Gaussian):
    """ln value is N(mean, std^2): the value is positive, and exp(mean) its median."""

    name = "log-normal"
    bounds_suffix = "log-normal"
    in_logarithm = True
    lowest = 0.0


class Unknown(Prior):
    """No density: NaN to every question, and whatever needs a prior is not available."""

    name = "unknown"
    is_known = False
    arguments = ()

    def problem(self) -> str:
        return ""

    def log_density(self, value: np.ndarray) -> np.ndarray:
        """NaN, (...) as value: the prior is not known."""
        return self._log_density(value)  # outside the box too

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        return np.full(np.shape(value), np.nan)

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return np.full(np.shape(value), np.nan)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return np.full(np.shape(u), np.nan)


PRIORS: dict[str, type[Prior]] = {prior.name: prior for prior in (Uniform, LogUniform, Normal, LogNormal, Unknown)}


def default_prior(low: float, high: float) -> str:
    """The prior of a parameter of which the box alone is known: uniform in a finite one."""
    return "uniform" if np.isfinite([low, high]).all() else "unknown"
