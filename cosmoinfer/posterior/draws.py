"""Draws and point estimates of n posteriors; the draws may be larger than memory, and are then read row by row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.memory import slices

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DrawArray = np.ndarray | storage.OnDiskArray  # (n, S, ...)
LARGE_DATASETS = ("log_prob", "samples")  # may be larger than memory; in the order of their size
MAX_NUMBERS_AT_ONCE = 2_000_000  # of (rows, S, P)
Table = TypeVar("Table", bound="DataclassInstance")


@dataclass(frozen=True)
class Draws:
    """S draws from each of n posteriors of P parameters.

    samples: (n, S, P), in catalog units; left in their file where they are too large for memory, and so is log_prob.
    log_prob: (n, S), natural logarithm of the posterior density at each draw; None where it is not known.
    log_norm_error: (n,), standard error of log Z where the density was renormalised over the prior box, else None.
    """

    samples: DrawArray
    log_prob: DrawArray | None = None
    log_norm_error: np.ndarray | None = None

    @property
    def count(self) -> int:
        """S, of each posterior."""
        return self.samples.shape[1]

    def mean(self) -> np.ndarray:
        """(n, P)."""
        return map_rows(self.samples, lambda samples: samples.mean(axis=1))

    def std(self) -> np.ndarray:
        """(n, P), with the divisor S - 1; NaN of a single draw."""
        if self.count < 2:
            return np.full((len(self.samples), self.samples.shape[2]), np.nan)
        return map_rows(self.samples, lambda samples: samples.std(axis=1, ddof=1))

    def covariance(self) -> np.ndarray:
        """(n, P, P), with the divisor S - 1; NaN of a single draw."""
        if self.count < 2:
            return np.full((len(self.samples), *2 * self.samples.shape[2:]), np.nan)

        def covariances(samples: np.ndarray) -> np.ndarray:
            return np.stack([np.atleast_2d(np.cov(row, rowvar=False)) for row in samples])

        return map_rows(self.samples, covariances)


@dataclass(frozen=True)
class PointEstimate:
    """What the model or the weights of the draws give directly, so that it carries no noise of finite draws.

    mean: (n, P), in catalog units.
    std: (n, P), standard deviations; None of a model that gives points only.
    """

    mean: np.ndarray
    std: np.ndarray | None = None


def row_slices(draws: DrawArray) -> Iterator[slice]:
    """Slices of the rows of (n, S, ...) that are small enough to be in memory together; at least one."""
    return slices(len(draws), MAX_NUMBERS_AT_ONCE // max(1, int(np.prod(draws.shape[1:]))), keep_empty=True)


def map_rows(draws: DrawArray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of the draws of some rows, (k, S, ...) -> (k, ...), applied to those of all rows: (n, ...)."""
    return np.concatenate([function(draws[rows]) for rows in row_slices(draws)])


def select_rows(table: Table, rows: np.ndarray) -> Table:
    """A dataclass of arrays (n, ...) at these rows: (n,) bool, or positions. What is no array stays as it is."""
    return replace(table, **arrays_at(table, rows))


def arrays_at(table: "DataclassInstance", rows: np.ndarray) -> dict[str, Any]:
    """The arrays (n, ...) of a dataclass at these rows, by field; those that are not in memory stay out of it."""
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    taken = {name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)}
    return taken | {
        name: value.select(rows) for name, value in values.items() if isinstance(value, storage.OnDiskArray)
    }


def concatenated(name: str, values: Sequence[Any]) -> Any:
    """A field of several posteriors as one: arrays (n, ...), and dataclasses of such, row after row.

    Arrays that are not in memory stay out of it. Raises UserError, which names the field, where only some have it, or
    what is no array is not the same in all.
    """
    first = values[0]
    if len({type(value) for value in values}) > 1:
        raise UserError(f"/{name}: is in some of the posteriors and not in all")
    if isinstance(first, np.ndarray):
        return np.concatenate(values)
    if isinstance(first, storage.OnDiskArray):
        return storage.OnDiskArray.concatenated(values)
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return replace(first, **{key: concatenated(key, [getattr(value, key) for value in values]) for key in names})
    if any(value != first for value in values):
        raise UserError(f"/{name}: expected one value of all posteriors, found {join_first(dict.fromkeys(values))}")
    return first
