"""The parameters of a universe: names, labels, the box that holds them and the prior that they were drawn from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from cosmoinfer.errors import UserError, listed

PRIORS = ("uniform", "log-uniform", "normal", "unknown")
BOX_TOLERANCE = 1e-6  # of the box's width: a table written with few digits may overstep an edge by this much


@dataclass(frozen=True)
class Parameters:
    """P parameters with a product prior. ``low``, ``high``: (P,), -inf/inf where unbounded, in catalog units.

    ``prior`` is, per parameter, uniform or log-uniform on the box, normal (``mean``, ``std``; truncated to the box
    if there is one), or unknown: then whatever needs a prior is not available, and says so.
    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    prior: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(set(self.names)) != count:
            raise UserError(f"parameter names must differ, found {listed(self.names)}")
        for field in ("low", "high", "prior", "mean", "std", "labels"):
            if len(getattr(self, field)) != count:
                raise UserError(f"{field}: expected {count} values, one a parameter, found {len(getattr(self, field))}")
        for name, low, high, prior in zip(self.names, self.low, self.high, self.prior, strict=True):
            if not low < high:
                raise UserError(f"{name}: the box {low:g}..{high:g} is empty")
            if prior not in PRIORS:
                raise UserError(f"{name}: prior {prior!r} is not known; there are {', '.join(PRIORS)}")
            if prior in ("uniform", "log-uniform") and not np.isfinite([low, high]).all():
                raise UserError(f"{name}: a {prior} prior needs two finite bounds, found {low:g}..{high:g}")
            if prior == "log-uniform" and low <= 0:
                raise UserError(f"{name}: a log-uniform prior needs positive bounds, found {low:g}..{high:g}")
        for name, prior, mean, std in zip(self.names, self.prior, self.mean, self.std, strict=True):
            if prior == "normal" and not (np.isfinite([mean, std]).all() and std > 0):
                raise UserError(
                    f"{name}: a normal prior needs a prior_mean and a positive prior_std, found {mean:g} and {std:g}"
                )

    @classmethod
    def from_names(
        cls,
        names: Sequence[str],
        low: Any = None,
        high: Any = None,
        prior: Sequence[str] | None = None,
        mean: Any = None,
        std: Any = None,
        labels: Sequence[str] | None = None,
    ) -> "Parameters":
        """From what is known; what is not is unbounded, and uniform where a finite box is all there is."""
        count = len(names)
        low = np.full(count, -np.inf) if low is None else np.asarray(low, dtype=np.float64)
        high = np.full(count, np.inf) if high is None else np.asarray(high, dtype=np.float64)
        if prior is None:
            prior = ["uniform" if finite else "unknown" for finite in np.isfinite(low) & np.isfinite(high)]
        return cls(
            tuple(names),
            low,
            high,
            tuple(prior),
            np.zeros(count) if mean is None else np.asarray(mean, dtype=np.float64),
            np.ones(count) if std is None else np.asarray(std, dtype=np.float64),
            tuple(labels) if labels is not None else tuple(names),
        )

    def __len__(self) -> int:
        return len(self.names)

    def select(self, names: Sequence[str]) -> "Parameters":
        """These parameters only, in this order (the rest is marginalised by leaving it out)."""
        columns = self.columns(names)
        return Parameters(
            tuple(names),
            self.low[columns],
            self.high[columns],
            tuple(self.prior[column] for column in columns),
            self.mean[columns],
            self.std[columns],
            tuple(self.labels[column] for column in columns),
        )

    def concatenated(self, following: "Parameters") -> "Parameters":
        """These, then the other's."""
        return Parameters(
            (*self.names, *following.names),
            np.concatenate([self.low, following.low]),
            np.concatenate([self.high, following.high]),
            (*self.prior, *following.prior),
            np.concatenate([self.mean, following.mean]),
            np.concatenate([self.std, following.std]),
            (*self.labels, *following.labels),
        )

    def columns(self, names: Sequence[str]) -> list[int]:
        """Where these names stand."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise UserError(f"no parameter is named {listed(unknown)}; there are {', '.join(self.names)}")
        return [self.names.index(name) for name in names]

    def with_prior(self, prior: Sequence[str]) -> "Parameters":
        return replace(self, prior=tuple(prior))

    @property
    def has_prior(self) -> np.ndarray:
        """Which parameters have a prior that can be evaluated, (P,) bool."""
        return np.array([prior != "unknown" for prior in self.prior])

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Whether every parameter lies in its box, up to the rounding of printed tables: (..., P) -> (...)."""
        return np.logical_and(theta >= self.low - self._tolerance, theta <= self.high + self._tolerance).all(axis=-1)

    def clip(self, theta: np.ndarray) -> np.ndarray:
        """Onto the box; moves nothing but rounding where ``inside`` holds."""
        return np.clip(theta, self.low, self.high)

    @property
    def _tolerance(self) -> np.ndarray:
        width = self.high - self.low
        return BOX_TOLERANCE * np.where(np.isfinite(width), width, 0.0)

    # ------------------------------------------------------------------------------------------------- the prior
    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """log p(theta), natural, in catalog units: (..., P) -> (..., P), one term a parameter; NaN where unknown."""
        terms = [self._log_density(column, theta[..., column]) for column in range(len(self))]
        return np.stack(terms, axis=-1)

    def cdf(self, theta: np.ndarray) -> np.ndarray:
        """The prior's distribution function, per parameter: (..., P) -> (..., P) in [0, 1]; NaN where unknown."""
        columns = [self._cdf(column, theta[..., column]) for column in range(len(self))]
        return np.stack(columns, axis=-1)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of ``cdf``: (..., P) -> (..., P). ``quantile`` of uniform numbers draws from the prior."""
        columns = [self._quantile(column, u[..., column]) for column in range(len(self))]
        return np.stack(columns, axis=-1)

    def prior_mean(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.quantile(self._midpoints()).mean(axis=0)

    def prior_std(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.quantile(self._midpoints()).std(axis=0)

    def _midpoints(self, count: int = 20_000) -> np.ndarray:
        return np.repeat((np.arange(count)[:, None] + 0.5) / count, len(self), axis=1)

    def _log_density(self, column: int, value: np.ndarray) -> np.ndarray:
        low, high, prior = self.low[column], self.high[column], self.prior[column]
        if prior == "uniform":
            density = np.full(np.shape(value), -np.log(high - low))
        elif prior == "log-uniform":
            density = -np.log(np.clip(value, low, high)) - np.log(np.log(high / low))
        elif prior == "normal":
            z = (value - self.mean[column]) / self.std[column]
            mass = np.subtract(*self._edges(column)[::-1])
            density = -0.5 * z**2 - np.log(self.std[column] * np.sqrt(2 * np.pi) * mass)
        else:
            return np.full(np.shape(value), np.nan)
        tolerance = self._tolerance[column]
        inside = np.where((value >= low - tolerance) & (value <= high + tolerance), density, -np.inf)
        return np.where(np.isnan(value), np.nan, inside)

    def _cdf(self, column: int, value: np.ndarray) -> np.ndarray:
        low, high, prior = self.low[column], self.high[column], self.prior[column]
        value = np.clip(value, low, high)
        if prior == "uniform":
            return (value - low) / (high - low)
        if prior == "log-uniform":
            return np.log(value / low) / np.log(high / low)
        if prior == "normal":
            below, above = self._edges(column)
            return (special.ndtr((value - self.mean[column]) / self.std[column]) - below) / (above - below)
        return np.full(np.shape(value), np.nan)

    def _quantile(self, column: int, u: np.ndarray) -> np.ndarray:
        low, high, prior = self.low[column], self.high[column], self.prior[column]
        if prior == "uniform":
            value = low + u * (high - low)
        elif prior == "log-uniform":
            value = low * np.exp(u * np.log(high / low))
        elif prior == "normal":
            below, above = self._edges(column)
            value = self.mean[column] + self.std[column] * special.ndtri(below + u * (above - below))
        else:
            return np.full(np.shape(u), np.nan)
        return np.clip(value, low, high)

    def _edges(self, column: int) -> tuple[float, float]:
        """The share of a normal prior below the box, and up to its upper edge."""
        edges = (np.array([self.low[column], self.high[column]]) - self.mean[column]) / self.std[column]
        below, above = special.ndtr(edges)
        return float(below), float(above)

    # -------------------------------------------------------------------------------------------------- the file
    def attributes(self) -> dict[str, Any]:
        """As attributes of a dataset whose last axis is P."""
        return {
            "names": self.names,
            "labels": self.labels,
            "low": self.low,
            "high": self.high,
            "prior": self.prior,
            "prior_mean": self.mean,
            "prior_std": self.std,
        }

    @classmethod
    def from_attributes(cls, attributes: dict[str, Any]) -> "Parameters":
        values = {key: (value,) if np.ndim(value) == 0 else value for key, value in attributes.items()}  # P = 1
        if "normal" in values.get("prior", ()) and not {"prior_mean", "prior_std"} <= values.keys():
            raise UserError("a normal prior needs the attributes prior_mean and prior_std beside it")
        return cls.from_names(
            values["names"],
            values.get("low"),
            values.get("high"),
            values.get("prior"),
            values.get("prior_mean"),
            values.get("prior_std"),
            values.get("labels"),
        )


def recognise_log_uniform(
    parameters: Parameters, theta: np.ndarray, declared: frozenset[str] = frozenset()
) -> Parameters:
    """Where no prior was declared, take a bounded parameter as log-uniform if the training rows clearly say so.

    Two conditions, both needed: high/low >= 3, and the rows (N, P) prefer it by more than 5 in log-likelihood.
    """
    priors = list(parameters.prior)
    for column, (low, high) in enumerate(zip(parameters.low, parameters.high, strict=True)):
        if parameters.names[column] not in declared and priors[column] == "uniform" and low > 0 and high / low >= 3:
            as_log = parameters.with_prior([*priors[:column], "log-uniform", *priors[column + 1 :]])
            gain = as_log._log_density(column, theta[:, column]) - parameters._log_density(column, theta[:, column])
            if gain.sum() > 5:
                priors[column] = "log-uniform"
    return parameters.with_prior(priors)
