"""A check of a catalog: the catalog under test, what the check finds in it, and when it runs.

All that a new check needs: a function from a ``CatalogUnderTest``, with what several checks compute of it, to findings.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cosmoinfer.catalog import Catalog, Observable, nonfinite_rows
from cosmoinfer.catalog.copies import CopyCriterion
from cosmoinfer.catalog.row_hashes import RowHashes
from cosmoinfer.split import Split, by_hash, by_labels, unique_simulations
from cosmoinfer.storage import DatasetInfo

LEVELS = ("error", "warning", "note")
MAX_SAMPLED_NUMBERS = 1 << 24  # numbers of data that are audited of a catalog that does not fit into memory


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    level: ``error``: a training would fail, be refused or be worthless; ``warning``: look at it before a training;
        ``note``: for information.
    text: what is wrong.
    remedy: what to do about it; empty where nothing has to be done.
    check: the name in ``CHECKS`` of the check.
    """

    level: str
    text: str
    remedy: str = ""
    check: str = ""

    @property
    def message(self) -> str:
        """Text and remedy in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def error(text: str, remedy: str = "") -> Finding:
    return Finding("error", text, remedy)


def warning(text: str, remedy: str = "") -> Finding:
    return Finding("warning", text, remedy)


def note(text: str, remedy: str = "") -> Finding:
    return Finding("note", text, remedy)


@dataclass(frozen=True)
class FeatureRange:
    """Ranges and counts of the K features of an observable.

    low, high: (K,) the extremes; inf and -inf where a feature has no finite value.
    n_finite: (K,) the number of rows with a finite value.
    n_rows: the number of rows.
    n_zeros: the number of exact zeros, over all features.
    smallest_positive: over all features; inf if no value is positive.
    """

    low: np.ndarray
    high: np.ndarray
    n_finite: np.ndarray
    n_rows: int
    n_zeros: int
    smallest_positive: float

    @property
    def spread(self) -> np.ndarray:
        """(K,) high - low; -inf where a feature has no finite value."""
        return self.high - self.low


def feature_range(observable: Observable) -> FeatureRange:
    """The ranges of the features of an observable, in one pass over its rows."""
    size = int(np.prod(observable.row_shape))
    low, high, n_finite = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size, dtype=int)
    n_zeros, smallest_positive = 0, np.inf
    for block in observable.blocks(np.arange(len(observable.array))):
        values = block.reshape(len(block), -1)
        is_finite = np.isfinite(values)
        low = np.minimum(low, np.where(is_finite, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(is_finite, values, -np.inf).max(axis=0))
        n_finite += is_finite.sum(axis=0)
        n_zeros += int(np.count_nonzero(values == 0))
        positive = np.where(is_finite & (values > 0), values, np.inf)
        smallest_positive = min(smallest_positive, float(positive.min()))
    return FeatureRange(low, high, n_finite, len(observable.array), n_zeros, smallest_positive)


@dataclass(frozen=True)
class Budget:
    """Upper limits on the work of the regression checks.

    simulations: number of simulations.
    features: features per row.
    numbers: rows times features per row.
    shuffles: permutations of the null distribution.
    """

    simulations: int = 5000
    features: int = 400
    numbers: int = 1 << 28
    shuffles: int = 99


def sample_rows(catalog: Catalog) -> Catalog:
    """The rows that are audited, in memory: all; of a catalog that does not fit, evenly spaced whole simulations."""
    if not catalog.is_streamed:
        return catalog
    numbers = catalog_row_size(catalog) * len(catalog)
    ids = unique_simulations(catalog.simulation)
    rows = np.flatnonzero(np.isin(catalog.simulation, ids[:: max(1, -(-numbers // MAX_SAMPLED_NUMBERS))]))
    if len(rows) == len(catalog):
        return catalog.in_memory(rows)
    note = f"{len(rows)} of its {len(catalog)} rows are audited, as it does not fit into memory"
    return replace(catalog.in_memory(rows), notes=(*catalog.notes, note))


def catalog_row_size(catalog: Catalog) -> int:
    """The number of data values of a row, over all observables."""
    return sum(int(np.prod(observable.row_shape)) for observable in catalog.observables)


@dataclass(frozen=True)
class CatalogUnderTest:
    """A catalog of N rows of G simulations, and what checks share.

    catalog: in memory.
    datasets: the layout of each dataset in the file.
    training_split: the split of the training that is about to run, if there is one.
    budget: limits on the work of the regression checks.
    """

    catalog: Catalog
    datasets: dict[str, DatasetInfo] = field(default_factory=dict)
    training_split: Split | None = None
    budget: Budget = field(default_factory=Budget)

    @cached_property
    def split(self) -> Split:
        """The split of the training, else that of the catalog, else the default; raises UserError on a bad /split."""
        if self.training_split is not None:
            return self.training_split
        simulation_ids, labels = self.catalog.simulation, self.catalog.split_labels
        return by_hash(simulation_ids) if labels is None else by_labels(simulation_ids, labels)

    @cached_property
    def is_finite(self) -> np.ndarray:
        """(N,) whether a training can use the row."""
        return ~nonfinite_rows(self.catalog)

    @cached_property
    def row_hashes(self) -> RowHashes:
        """Of all rows."""
        return self.catalog.hashes(np.arange(len(self.catalog)))

    @cached_property
    def duplicate_keys(self) -> np.ndarray:
        """(N,) equal for rows that are duplicates of each other, and do not agree by chance."""
        return CopyCriterion.from_rows(self.row_hashes).keys(self.row_hashes)

    @cached_property
    def parameter_keys(self) -> np.ndarray:
        """(N,) equal for rows of equal parameters; rows without parameters have no equal."""
        numbers = np.arange(len(self.catalog), dtype=np.uint64)
        return np.where(self.row_hashes.theta != 0, self.row_hashes.theta, numbers)

    @cached_property
    def simulation_ids(self) -> np.ndarray:
        """(G,) the simulations in order of first appearance."""
        return unique_simulations(self.catalog.simulation)

    @cached_property
    def simulation_index(self) -> np.ndarray:
        """(N,) the index in ``simulation_ids`` of each row."""
        index_of = {simulation: index for index, simulation in enumerate(self.simulation_ids.tolist())}
        return np.array([index_of[simulation] for simulation in self.catalog.simulation.tolist()])

    @cached_property
    def first_rows(self) -> np.ndarray:
        """(G',) the first finite row of each simulation that has one."""
        rows = np.flatnonzero(self.is_finite)
        return rows[np.unique(self.simulation_index[rows], return_index=True)[1]]

    @cached_property
    def feature_ranges(self) -> tuple[FeatureRange, ...]:
        """One per observable."""
        return tuple(feature_range(observable) for observable in self.catalog.observables)


@dataclass(frozen=True)
class Check:
    """A check of a catalog; ``inspect`` with ``audit``` runs all of them.

    find: the function that makes the findings.
    in_inspect: ``inspect`` runs it without ``audit`` too.
    before_training: every training runs it first, so it must be quick.
    """

    find: Callable[[CatalogUnderTest], list[Finding]]
    in_inspect: bool = False
    before_training: bool = False
