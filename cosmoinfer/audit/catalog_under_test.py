"""What is audited: a catalog, how its simulations are split, and how much of it may be looked at."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cosmoinfer.audit.feature_range import Span, span
from cosmoinfer.catalog import Catalog, nonfinite_rows
from cosmoinfer.split import Split, by_hash, by_labels, unique_simulations
from cosmoinfer.storage import DatasetInfo

SAMPLE = 1 << 24  # numbers of data that are looked at, where they do not fit into memory
COUNTS = 16  # whole numbers in a row, up to which two rows may agree by chance


@dataclass(frozen=True)
class Budget:
    """At most so many simulations, features and numbers of data for a regression, and so many shuffles."""

    simulations: int = 5000
    features: int = 400
    numbers: int = 1 << 28
    shuffles: int = 99


def sample(catalog: Catalog) -> Catalog:
    """What of a catalog is looked at: all of it; of one that stays in its file whole simulations, evenly spread."""
    if not catalog.is_streamed:
        return catalog
    numbers = sum(int(np.prod(one.row_shape)) for one in catalog.observables) * len(catalog)
    ids = unique_simulations(catalog.simulation)
    rows = np.flatnonzero(np.isin(catalog.simulation, ids[:: max(1, -(-numbers // SAMPLE))]))
    if len(rows) == len(catalog):
        return catalog.in_memory(rows)
    note = f"{len(rows)} of its {len(catalog)} rows are looked at, as it does not fit into memory"
    return replace(catalog.in_memory(rows), notes=(*catalog.notes, note))


@dataclass(frozen=True)
class Subject:
    """contents: what the file says of its datasets. given: the split that a training uses, if there is one."""

    catalog: Catalog
    contents: dict[str, DatasetInfo] = field(default_factory=dict)
    given: Split | None = None
    budget: Budget = field(default_factory=Budget)

    @cached_property
    def split(self) -> Split:
        """The one that is given, else the catalog's own, else the default; a broken /split is a UserError."""
        if self.given is not None:
            return self.given
        ids, label = self.catalog.simulation, self.catalog.split_labels
        return by_hash(ids) if label is None else by_labels(ids, label)

    @cached_property
    def finite(self) -> np.ndarray:
        """(N,) whether a training could use the row."""
        return ~nonfinite_rows(self.catalog)

    @cached_property
    def hashes(self) -> np.ndarray:
        """(N, 2), of theta and of the data, in single precision; what that cannot hold is told by ``precision``."""
        with np.errstate(over="ignore"):
            return self.catalog.hashes(np.arange(len(self.catalog)))

    @cached_property
    def copies(self) -> np.ndarray:
        """(N,) a number that rows share if the one is a copy of the other.

        A row of few numbers, one or some counts, may have the data of another by chance: then parameters must agree.
        """
        data = self.hashes[:, 1]
        size = sum(int(np.prod(one.row_shape)) for one in self.catalog.observables)
        if size > COUNTS or (size > 1 and not all((one.array % 1 == 0).all() for one in self.catalog.observables)):
            return data
        return np.arange(len(data)) if self.catalog.theta is None else data ^ self.hashes[:, 0] * np.uint64(3)

    @cached_property
    def ids(self) -> np.ndarray:
        """(G,) the simulations in the order in which they first appear."""
        return unique_simulations(self.catalog.simulation)

    @cached_property
    def number(self) -> np.ndarray:
        """(N,) of each row the place of its simulation in ``ids``."""
        place = {one: position for position, one in enumerate(self.ids.tolist())}
        return np.array([place[one] for one in self.catalog.simulation.tolist()])

    @cached_property
    def first(self) -> np.ndarray:
        """(G',) the first row of each simulation that a training could use."""
        rows = np.flatnonzero(self.finite)
        return rows[np.unique(self.number[rows], return_index=True)[1]]

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """One a summary."""
        return tuple(span(summary) for summary in self.catalog.observables)
