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
MIN_LOG_UNIFORM_RATIO = 3  # high / low, below which undeclared rows are never taken as log-uniform


@dataclass(frozen=True)
class Prior(ABC):
    """low, high: the box, in catalog units, -inf and inf where it is unbounded.

    mean, std: of the normal before the box cuts it; priors other than the normal leave them alone.
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
        return value, np.zeros(np.shape(value))

    def from_line(self, coordinate: np.ndarray) -> np.ndarray:
        """The inverse of ``to_line``: shape (...)."""
        return coordinate

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
    log_axis = True

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

    def to_line(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """value (...) -> its logarithm and log |d ln value / d value|, (...) each."""
        return np.log(value), -np.log(value)

    def from_line(self, coordinate: np.ndarray) -> np.ndarray:
        """Logarithms (...) -> values (...)."""
        return np.exp(coordinate)

    def may_be_recognised(self) -> bool:
        return bool(self.low > 0 and self.high / self.low >= MIN_LOG_UNIFORM_RATIO)


class Normal(Prior):
    """N(mean, std^2), truncated to the box if there is one."""

    name = "normal"
    arguments = MOMENTS

    def __str__(self) -> str:
        return f"normal {self.mean:g} +- {self.std:g}"

    def problem(self) -> str:
        if np.isfinite([self.mean, self.std]).all() and self.std > 0:
            return ""
        return f"a normal prior needs a prior_mean and a positive prior_std, found {self.mean:g} and {self.std:g}"

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        z = (value - self.mean) / self.std
        return -0.5 * z**2 - np.log(self.std * np.sqrt(2 * np.pi) * self.mass_in_box())

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return truncated_normal.cdf((value - self.mean) / self.std, *self._edges)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return self.mean + self.std * truncated_normal.quantile(u, *self._edges)

    def mass_in_box(self) -> float:
        return float(truncated_normal.mass(*self._edges))

    @property
    def _edges(self) -> np.ndarray:
        """The box in units of std from the mean, (2,)."""
        return (np.array([self.low, self.high]) - self.mean) / self.std


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


PRIORS: dict[str, type[Prior]] = {prior.name: prior for prior in (Uniform, LogUniform, Normal, Unknown)}


def default_prior(low: float, high: float) -> str:
    """The prior of a parameter of which the box alone is known: uniform in a finite one."""
    return "uniform" if np.isfinite([low, high]).all() else "unknown"
