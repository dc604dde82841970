"""The parameters of a simulation: names, labels, the box that holds them and the prior that they were drawn from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.priors import BOX_TOLERANCE, MOMENTS, PRIORS, Prior, Uniform, default_prior

MIN_RECOGNITION_GAIN = 5.0  # in log-likelihood, by which rows must prefer a prior that nobody declared


@dataclass(frozen=True)
class Parameters:
    """P parameters with a product prior.

    names: (P,), all different.
    low, high: (P,) the box, in catalog units, -inf and inf where it is unbounded.
    prior: (P,) names of the table in ``priors``.
    mean, std: (P,) of normal priors, before the box truncates them.
    labels: (P,) LaTeX, for figures.
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
            raise UserError(f"parameter names must differ, found {join_first(self.names)}")
        for field in ("low", "high", "prior", "mean", "std", "labels"):
            if len(getattr(self, field)) != count:
                raise UserError(f"{field}: expected {count} values, one a parameter, found {len(getattr(self, field))}")
        for name, low, high, prior in zip(self.names, self.low, self.high, self.prior, strict=True):
            if not low < high:
                raise UserError(f"{name}: the box {low:g}..{high:g} is empty")
            if prior not in PRIORS:
                raise UserError(f"{name}: prior {prior!r} is not known; {list_choices(prior, PRIORS)}")
        for name, prior_on_box in zip(self.names, self.priors, strict=True):
            if problem := prior_on_box.problem():
                raise UserError(f"{name}: {problem}")

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
        """Parameters with defaults: no box; uniform in a finite box, else no prior; the names as labels.

        low, high, mean, std: (P,). Raises UserError where these do not define a prior, or names are not different.
        """
        count = len(names)
        low = np.full(count, -np.inf) if low is None else np.asarray(low, dtype=np.float64)
        high = np.full(count, np.inf) if high is None else np.asarray(high, dtype=np.float64)
        if prior is None:
            prior = [default_prior(*box) for box in zip(low, high, strict=False)]
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
        """These parameters only, in this order; the density of draws without the others is the marginal one.

        Raises UserError for names that are not among the parameters.
        """
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
        """These parameters, then the ``following`` ones."""
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
        """The index of each name. Raises UserError for names that are not among the parameters."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise UserError(f"no parameter is named {join_first(unknown)}; {list_choices(unknown[0], self.names)}")
        return [self.names.index(name) for name in names]

    def with_prior(self, prior: Sequence[str]) -> "Parameters":
        return replace(self, prior=tuple(prior))

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
    @cached_property
    def priors(self) -> tuple[Prior, ...]:
        """The prior of each parameter on its box."""
        columns = zip(self.prior, self.low, self.high, self.mean, self.std, strict=True)
        return tuple(PRIORS[name](low, high, mean, std) for name, low, high, mean, std in columns)

    @property
    def has_prior(self) -> np.ndarray:
        """Which parameters have a prior that can be evaluated, (P,) bool."""
        return np.array([prior.is_known for prior in self.priors])

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """ln p(theta), natural, in catalog units: (..., P) -> (..., P), one term a parameter; NaN where unknown."""
        return np.stack([prior.log_density(theta[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def cdf(self, theta: np.ndarray) -> np.ndarray:
        """The prior's distribution function, per parameter: (..., P) -> (..., P) in [0, 1]; NaN where unknown."""
        return np.stack([prior.cdf(theta[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of ``cdf``: (..., P) -> (..., P). ``quantile`` of uniform numbers draws from the prior."""
        return np.stack([prior.quantile(u[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def prior_mean(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.quantile(self._midpoints()).mean(axis=0)

    def prior_std(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.quantile(self._midpoints()).std(axis=0)

    def _midpoints(self, count: int = 20_000) -> np.ndarray:
        """Of ``count`` equal steps in u, (count, P)."""
        return np.repeat((np.arange(count)[:, None] + 0.5) / count, len(self), axis=1)

    # -------------------------------------------------------------------------------------------------- the file
    def attributes(self) -> dict[str, Any]:
        """As attributes of a dataset whose last axis is P: tuples of text and arrays, (P,)."""
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
    def from_attributes(cls, attributes: Mapping[str, Any]) -> "Parameters":
        """From what ``attributes`` returns; of P = 1 without its axis, and all but the names may be missing.

        Raises UserError for a prior whose moments are missing, and where `from_names` does.
        """
        values = {key: (value,) if np.ndim(value) == 0 else value for key, value in attributes.items()}  # P = 1
        moments_given = {"prior_mean", "prior_std"} <= values.keys()
        for prior in values.get("prior", ()):
            if not moments_given and prior in PRIORS and PRIORS[prior].arguments == MOMENTS:
                raise UserError(f"a {prior} prior needs the attributes prior_mean and prior_std beside it")
        return cls.from_names(
            values["names"],
            values.get("low"),
            values.get("high"),
            values.get("prior"),
            values.get("prior_mean"),
            values.get("prior_std"),
            values.get("labels"),
        )


def recognise_priors(parameters: Parameters, theta: np.ndarray, declared: frozenset[str] = frozenset()) -> Parameters:
    """Where no prior was declared, a uniform one gives way to another of its box that the rows theta (N, P) prefer.

    Two conditions, both needed: the prior may be recognised in this box (log-uniform: high/low >= 3), and the rows
    prefer it by more than MIN_RECOGNITION_GAIN in log-likelihood. declared: names of parameters that keep their prior.
    """
    names = list(parameters.prior)
    for column, (name, prior) in enumerate(zip(parameters.names, parameters.priors, strict=True)):
        if name not in declared and names[column] == Uniform.name:
            names[column] = _recognise_prior(prior, theta[:, column])
    return parameters.with_prior(names)


def _recognise_prior(uniform: Prior, values: np.ndarray) -> str:
    """The name of the prior on the same box that the values (N,) prefer."""
    gains = {Uniform.name: MIN_RECOGNITION_GAIN}
    for name, prior in PRIORS.items():
        candidate = prior(uniform.low, uniform.high)
        if candidate.may_be_recognised():
            gains[name] = float((candidate.log_density(values) - uniform.log_density(values)).sum())
    return max(gains, key=gains.__getitem__)


# ------------------------------------------------------------------------------------ boxes as a user writes them
def with_bounds(parameters: Parameters, text: str) -> Parameters:
    """The box, and the prior where it has a suffix, from ``a=0.1:0.5,b=0.25:4:log``; the other parameters keep theirs.

    Raises UserError where the text is not understood, and where it names no parameter.
    """
    suffixes = _bounds_words()
    form = rf"\s*([^=]+?)\s*=\s*([^:]+):([^:]+?)(?::({'|'.join(suffixes)}))?\s*"
    low, high, names = parameters.low.copy(), parameters.high.copy(), list(parameters.prior)
    for item in text.split(","):
        match = re.fullmatch(form, item)
        if not match:
            endings = " or ".join(f":{suffix}" for suffix in bounds_suffixes())
            raise UserError(f"{item!r} is not understood; expected name=low:high, then {endings}", setting="bounds")
        (column,) = parameters.columns([match[1]])
        try:
            low[column], high[column] = float(match[2]), float(match[3])
        except ValueError as error:
            raise UserError(f"{item!r} holds no two numbers", setting="bounds") from error
        names[column] = suffixes[match[4]] if match[4] else default_prior(low[column], high[column])
    return replace(parameters, low=low, high=high, prior=tuple(names))


def declared_priors(text: str) -> frozenset[str]:
    """The names of the parameters whose prior, and not only their box, is declared in the text of ``with_bounds``."""
    endings = tuple(f":{suffix}" for suffix in _bounds_words())
    items = [item.strip() for item in text.split(",")]
    return frozenset(item.split("=")[0].strip() for item in items if item.endswith(endings))


def bounds_suffixes() -> dict[str, str]:
    """The prior of each suffix; log before uniform, as the help has it."""
    return {prior.bounds_suffix: name for name, prior in reversed(PRIORS.items()) if prior.bounds_suffix}


def _bounds_words() -> dict[str, str]:
    """The prior of each suffix, and of its own name: ``log`` and ``log-uniform``."""
    suffixes = bounds_suffixes()
    return suffixes | {name: name for name in suffixes.values()}
