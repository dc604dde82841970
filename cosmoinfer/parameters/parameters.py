"""P parameters: names, labels, the box that holds them, and what their joint prior is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg

from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.expressions import Condition, parse_condition, spell
from cosmoinfer.parameters.joint_prior import JointPrior
from cosmoinfer.priors import BOX_TOLERANCE, MOMENTS, PRIORS, UNDECLARED, Prior, Unknown, default_prior, scale_problem


@dataclass(frozen=True)
class Parameters:
    """P parameters, and the prior of each; their joint prior is the product, unless it is tied together.

    names: (P,), all different.
    low, high: (P,) the box, in catalog units, -inf and inf where it is unbounded.
    prior: (P,) names of the table in ``priors``.
    mean, std: (P,) of normal priors, before the box truncates them.
    labels: (P,) LaTeX, for figures.
    where: conditions that all hold in the region to which the prior is cut, ``w0 + wa < 0``.
    correlation: (P, P) of normal priors, before box and region truncate them; None where there is none.
    """

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    prior: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    labels: tuple[str, ...]
    where: tuple[str, ...] = ()
    correlation: np.ndarray | None = None

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
            if problem := scale_problem(low, high):
                raise UserError(f"{name}: {problem}")
            if prior not in PRIORS:
                raise UserError(f"{name}: prior {prior!r} is not known; {list_choices(prior, PRIORS)}")
        for name, prior_on_box in zip(self.names, self.priors, strict=True):
            if problem := prior_on_box.problem():
                raise UserError(f"{name}: {problem}")
        _ = self.joint_prior  # which checks conditions and correlation

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
        where: Sequence[str] = (),
        correlation: Any = None,
    ) -> "Parameters":
        """Parameters with defaults: no box; uniform in a finite box, else no prior; the names as labels.

        low, high, mean, std: (P,); correlation: (P, P). Raises UserError where these do not define a prior, or names
        are not different.
        """
        count = len(names)
        for field, values in {"low": low, "high": high, "mean": mean, "std": std}.items():
            if np.ndim(values) > 1:
                raise UserError(f"{field}: expected {count} values, one a parameter, found shape {np.shape(values)}")
        low = np.full(count, -np.inf) if low is None else np.asarray(low, dtype=np.float64)
        high = np.full(count, np.inf) if high is None else np.asarray(high, dtype=np.float64)
        prior = [UNDECLARED] * count if prior is None else list(prior)
        if len(prior) == len(low) == len(high):
            boxes = zip(prior, low, high, strict=True)
            prior = [default_prior(*box) if name == UNDECLARED else name for name, *box in boxes]
            low = np.maximum(low, [PRIORS[name].lowest if name in PRIORS else -np.inf for name in prior])
        return cls(
            tuple(names),
            low,
            high,
            tuple(prior),
            np.zeros(count) if mean is None else np.asarray(mean, dtype=np.float64),
            np.ones(count) if std is None else np.asarray(std, dtype=np.float64),
            tuple(labels) if labels is not None else tuple(names),
            tuple(where),
            None if correlation is None else np.asarray(correlation, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.names)

    def select(self, names: Sequence[str]) -> "Parameters":
        """These parameters only, in this order, with the prior of draws without the others.

        Where that is not of the same form, as a condition or a truncation ties a parameter to one that is left out, its
        prior is unknown. Raises UserError for names that are not among the parameters.
        """
        columns = self.columns(names)
        unknown = self._tied_to_others(columns)
        block = None if self.correlation is None else self.correlation[np.ix_(columns, columns)]
        if block is not None:
            names_unknown = np.isin(columns, list(unknown))
            block = np.where(names_unknown[:, None] | names_unknown, np.eye(len(columns)), block)
        return Parameters(
            tuple(names),
            self.low[columns],
            self.high[columns],
            tuple(Unknown.name if column in unknown else self.prior[column] for column in columns),
            self.mean[columns],
            self.std[columns],
            tuple(self.labels[column] for column in columns),
            tuple(condition.text for condition in self.conditions if set(condition.names) <= set(names)),
            None if block is None or (block == np.eye(len(columns))).all() else block,
        )

    def concatenated(self, following: "Parameters") -> "Parameters":
        """These parameters, then the ``following`` ones."""
        correlation = None
        if self.correlation is not None or following.correlation is not None:
            blocks = [np.eye(len(item)) if item.correlation is None else item.correlation for item in (self, following)]
            correlation = linalg.block_diag(*blocks)
        return Parameters(
            (*self.names, *following.names),
            np.concatenate([self.low, following.low]),
            np.concatenate([self.high, following.high]),
            (*self.prior, *following.prior),
            np.concatenate([self.mean, following.mean]),
            np.concatenate([self.std, following.std]),
            (*self.labels, *following.labels),
            (*self.where, *following.where),
            correlation,
        )

    def columns(self, names: Sequence[str]) -> list[int]:
        """The index of each name. Raises UserError for names that are not among the parameters."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise UserError(f"no parameter is named {join_first(unknown)}; {list_choices(unknown[0], self.names)}")
        return [self.names.index(name) for name in names]

    def with_prior(self, prior: Sequence[str]) -> "Parameters":
        return replace(self, prior=tuple(prior))

    def with_where(self, conditions: Sequence[str]) -> "Parameters":
        """Cut to the region where these conditions hold, too. Raises UserError for one that is not understood."""
        spelled = {spell(text) for text in self.where}
        added = {spell(text): text for text in reversed(conditions) if spell(text) not in spelled}
        return replace(self, where=(*self.where, *reversed(added.values())))

    def with_correlation(self, first: str, second: str, correlation: float) -> "Parameters":
        """With this correlation of two normal priors. Raises UserError where it is none."""
        row, column = self.columns([first, second])
        matrix = np.eye(len(self)) if self.correlation is None else self.correlation.copy()
        matrix[row, column] = matrix[column, row] = correlation
        return replace(self, correlation=matrix)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of ``where``. Raises UserError for one that is not understood."""
        try:
            return tuple(parse_condition(text, self.names) for text in self.where)
        except UserError as error:
            raise UserError(f"{error}", setting="where") from error

    @cached_property
    def untied(self) -> "Parameters":
        """The parameters under the product prior alone: without region and correlation."""
        return replace(self, where=(), correlation=None) if self.joint_prior.tied else self

    def in_box(self, theta: np.ndarray) -> np.ndarray:
        """Whether every parameter lies in its box, up to the rounding of printed tables: (..., P) -> (...)."""
        return np.logical_and.reduce(self.in_box_by_parameter(theta), axis=-1)

    def in_box_by_parameter(self, theta: np.ndarray) -> np.ndarray:
        """Whether each parameter lies in its box, up to the rounding of printed tables: (..., P) -> (..., P)."""
        return np.logical_and(theta >= self.low - self._tolerance, theta <= self.high + self._tolerance)

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Whether they lie in box and region, up to the rounding of printed tables: (..., P) -> (...)."""
        inside = self.in_box(theta)
        return inside & self.joint_prior.near_region(self.clip(theta)) if self.where else inside

    def accepts(self, theta: np.ndarray) -> np.ndarray:
        """Whether they are draws once they are clipped: in the box, and exactly in the region: (..., P) -> (...)."""
        inside = self.in_box(theta)
        return inside & self.joint_prior.in_region(self.clip(theta)) if self.where else inside

    def clip(self, theta: np.ndarray) -> np.ndarray:
        """Onto the box; moves nothing but rounding where ``inside`` holds."""
        return np.clip(theta, self.low, self.high)

    @property
    def _tolerance(self) -> np.ndarray:
        width = self.high - self.low
        return BOX_TOLERANCE * np.where(np.isfinite(width), width, 0.0)

    def _tied_to_others(self, columns: Sequence[int]) -> set[int]:
        """Those of these columns whose prior is not of the same form once the other columns are left out.

        Of a group of tied parameters only normals may be left out, that the box does not cut and no condition names.
        """
        compared = {self.names.index(name) for condition in self.conditions for name in condition.names}
        unknown: set[int] = set()
        for component in self.joint_prior.components:
            left_out = component - set(columns)
            cut = any(self.priors[column].mass_in_box() < 1 for column in left_out & set(self.joint_prior.correlated))
            if left_out & compared or cut:
                unknown |= component & set(columns)
        return unknown

    # ------------------------------------------------------------------------------------------------- the prior
    @cached_property
    def priors(self) -> tuple[Prior, ...]:
        """The prior of each parameter on its box."""
        columns = zip(self.prior, self.low, self.high, self.mean, self.std, strict=True)
        return tuple(PRIORS[name](low, high, mean, std) for name, low, high, mean, std in columns)

    @cached_property
    def joint_prior(self) -> JointPrior:
        """The prior of all of them together."""
        return JointPrior(self.names, self.priors, self.conditions, self.correlation)

    @property
    def has_prior(self) -> np.ndarray:
        """Which parameters have a prior that can be evaluated, (P,) bool."""
        return self.joint_prior.has_prior

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """ln p(theta) of all parameters together, natural, in catalog units: (..., P) -> (...); NaN where unknown."""
        return self.joint_prior.log_density(theta)

    def log_product(self, theta: np.ndarray) -> np.ndarray:
        """ln of the product prior, without region and correlation: (..., P) -> (..., P), one term a parameter."""
        return self.joint_prior.log_product(theta)

    def cdf(self, theta: np.ndarray) -> np.ndarray:
        """The product prior's distribution function: (..., P) -> (..., P) in [0, 1]; NaN where unknown."""
        return np.stack([prior.cdf(theta[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The inverse of ``cdf``: (..., P) -> (..., P)."""
        return np.stack([prior.quantile(u[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def prior_mean(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.joint_prior.marginal_moments()[0]

    def prior_std(self) -> np.ndarray:
        """(P,), by quadrature over the prior's own quantiles; NaN where unknown."""
        return self.joint_prior.marginal_moments()[1]

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
            **({"where": self.where} if self.where else {}),
            **({} if self.correlation is None else {"prior_correlation": self.correlation}),
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
            values.get("where", ()),
            values.get("prior_correlation"),
        )
