"""A catalog: rows of parameters and data, in memory or in their files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.row_hashes import RowHashes, hash_theta
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters
from cosmoinfer.printable import html, one_line

ARRAYS = Path("arrays")  # in messages, where a catalog from a file has its path
UNKNOWN_THETA = "/parameters are NaN in every row, which are taken as observations"
MAX_BLOCK_NUMBERS = 1 << 22  # read at once, of an observable in memory
MAX_STREAMED_BLOCK_NUMBERS = 1 << 21  # read at once, of an observable in its file, where memory is short


@dataclass(frozen=True)
class Observable:
    """One kind of data of every row.

    name: path of its dataset.
    kind: vector, profile, map or grid.
    values: (N, K) vector, (N, C, L) profile, (N, C, H, W) map or (N, C, D, H, W) grid, in memory or in a file.
    periodic: whether opposite edges touch.
    masked: whether NaN marks an entry that was not measured.
    question: what must be declared of its axes before anything is learned from it; empty where they are clear.
    channels_last: whether its channels stand on the last axis in its file or array.
    features: (K,) names of the numbers of a vector, as the columns of a table have them; empty where they have none.
    """

    name: str
    kind: str
    values: np.ndarray | LazyArray
    periodic: bool = False
    masked: bool = False
    question: str = ""
    channels_last: bool = False
    features: tuple[str, ...] = ()

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.values.shape[1:]

    @property
    def array(self) -> np.ndarray:
        """All values; they must be in memory."""
        assert isinstance(self.values, np.ndarray)
        return self.values

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The values of rows (n,), of shape (n, ...), in catalog units."""
        return self.values[rows]

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The values of rows (n,) in order, a bounded number of rows at a time."""
        max_numbers = MAX_BLOCK_NUMBERS if isinstance(self.values, np.ndarray) else MAX_STREAMED_BLOCK_NUMBERS
        for chunk in slices(len(rows), max_numbers // max(1, int(np.prod(self.row_shape)))):
            yield self.read(rows[chunk])

    def select(self, rows: np.ndarray) -> "Observable":
        """These rows (n,); values that lie in a file stay there."""
        values = self.values[rows] if isinstance(self.values, np.ndarray) else self.values.select(rows)
        return replace(self, values=values)

    def in_memory(self) -> "Observable":
        """The same with all values in memory."""
        if isinstance(self.values, np.ndarray):
            return self
        return replace(self, values=self.read(np.arange(len(self.values))))


@dataclass(frozen=True)
class CatalogFile:
    """A file of a catalog, and how many of its rows it holds."""

    path: Path
    rows: int


@dataclass(frozen=True, repr=False)
class Catalog:
    """N rows of parameters and data.

    path: where it was read from.
    parameters: names, box and priors; None for observations.
    theta: (N, P) parameters, or (N, 1) class numbers; None for observations, and NaN in the rows of some.
    observables: the data, each with N rows.
    simulation: (N,) the simulation of each row, as text.
    index: (N,) row numbers in the file.
    split_labels: (N,) the file's own split, 0 train, 1 validation, 2 test.
    declared_priors: parameters whose prior was declared, not only their box.
    fingerprint: SHA-256 of the whole catalog.
    selection_hash: SHA-256 of what was declared of it and selected from it.
    notes: what had to be assumed, or is not read as it is stored, a line each.
    conversions: of the notes, those on what is not read as it is stored.
    classes: names of the classes, when theta is a class number.
    includes_noise: whether the data hold their noise already.
    memory_limit: bytes that the data may take.
    files: the files that hold it, in the order of rows.
    read_options: how it was read.
    weights: (N,) of the rows, as of the points of a chain; None where each counts the same.
    coordinates: what features lie at, (K,) by name, of a catalog from files of other formats than HDF5.
    """

    path: Path
    parameters: Parameters | None
    theta: np.ndarray | None
    observables: tuple[Observable, ...]
    simulation: np.ndarray
    index: np.ndarray
    split_labels: np.ndarray | None = None
    declared_priors: frozenset[str] = frozenset()
    fingerprint: str = ""
    selection_hash: str = ""
    notes: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    includes_noise: bool = False
    memory_limit: int = 0
    files: tuple[CatalogFile, ...] = ()
    read_options: ReadOptions = field(default_factory=ReadOptions)
    weights: np.ndarray | None = None
    coordinates: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return "\n".join(
            map(one_line, [f"Catalog {self.path}", *(f"  {label}: {text}" for label, text in self._describe())])
        )

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        rows = "".join(f"<tr><th>{html(label)}</th><td>{html(text)}</td></tr>" for label, text in self._describe())
        return f"<table><caption>Catalog {html(str(self.path))}</caption>{rows}</table>"

    def _describe(self) -> list[tuple[str, str]]:
        """Labelled lines: rows and simulations, parameters with their box, shapes of the data."""
        lines = [("rows", f"{len(self)} of {len(set(self.simulation.tolist()))} simulations")]
        if self.classes:
            lines.append(("classes", ", ".join(self.classes)))
        elif self.parameters is None:
            lines.append(("parameters", "none (observations)"))
        else:
            box = zip(self.parameters.names, self.parameters.low, self.parameters.high, strict=True)
            lines.append(("parameters", ", ".join(f"{name} {low:g}..{high:g}" for name, low, high in box)))
            lines += [("where", text) for text in self.parameters.where]
        for observable in self.observables:
            place = "" if isinstance(observable.values, np.ndarray) else ", in its file"
            lines.append((f"/{observable.name}", f"{observable.kind} {observable.row_shape} a row{place}"))
        return lines

    @property
    def first_file(self) -> Path:
        """Its file, or the first of several."""
        return self.files[0].path if self.files else self.path

    @property
    def is_streamed(self) -> bool:
        """Whether data stay in their files."""
        return any(isinstance(observable.values, LazyArray) for observable in self.observables)

    def describe_rows(self, rows: np.ndarray) -> str:
        """Rows (n,), by position, for a message: their numbers in the file, with its name when there are several."""
        index = self.index[rows]
        if len(self.files) < 2:
            return f"row {join_first(index)}"
        starts = np.cumsum([0, *(file.rows for file in self.files)])
        file_number = np.searchsorted(starts, index, side="right") - 1
        pairs = zip(file_number.tolist(), (index - starts[file_number]).tolist(), strict=True)
        return f"row {join_first([f'{row} of {self.files[number].path.name}' for number, row in pairs])}"

    def require_in_memory(self, purpose: str) -> None:
        """Raises UserError when data stay in their files."""
        if self.is_streamed:
            raise UserError(
                f"{self.path}: {purpose} requires all data in memory, and with working space they need more than "
                f"`memory` allows ({self.memory_limit / 1e9:.3g}GB)"
            )

    def in_memory(self, rows: np.ndarray) -> "Catalog":
        """These rows (n,), by position, with their data in memory."""
        catalog = self.select(rows)
        return replace(catalog, observables=tuple(observable.in_memory() for observable in catalog.observables))

    def require_parameters(self) -> tuple[Parameters, np.ndarray]:
        """The parameters and theta, (N, P). Raises UserError for observations, which have none, be it some rows."""
        if self.parameters is None or self.theta is None:
            reason = UNKNOWN_THETA if UNKNOWN_THETA in self.notes else "has no /parameters"
            remedy = "" if self.files or self.path == ARRAYS else "; `parameters=FILE` names the file of them"
            raise UserError(f"{self.path}: {reason}; expected a catalog with parameters, found observations{remedy}")
        if len(rows := np.flatnonzero(~self.has_theta)):
            raise UserError(
                f"{self.path}: /parameters are NaN in {len(rows)} of {len(self)} rows ({self.describe_rows(rows)}), "
                "which are taken as observations; `drop_nonfinite` leaves them out"
            )
        return self.parameters, self.theta

    def select(self, rows: np.ndarray) -> "Catalog":
        """These rows (n,), by position."""
        return replace(
            self,
            theta=None if self.theta is None else self.theta[rows],
            observables=tuple(observable.select(rows) for observable in self.observables),
            simulation=self.simulation[rows],
            index=self.index[rows],
            split_labels=None if self.split_labels is None else self.split_labels[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    @property
    def has_theta(self) -> np.ndarray:
        """(N,) bool: whether the parameters of a row are known."""
        if self.theta is None:
            return np.zeros(len(self), dtype=bool)
        return ~np.isnan(self.theta).all(axis=1)

    def theta_hashes(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of ``RowHashes`` (n,), (n,), for which no data are read."""
        return hash_theta(None if self.theta is None else self.theta[rows], len(rows))

    def hashes(self, rows: np.ndarray) -> RowHashes:
        """Of these rows (n,): a copy of a row has the same in any catalog."""
        row_size = sum(int(np.prod(observable.row_shape)) for observable in self.observables)
        blocks = []
        for block in slices(len(rows), MAX_STREAMED_BLOCK_NUMBERS // max(1, row_size), keep_empty=True):
            theta = None if self.theta is None else self.theta[rows[block]]
            data = [observable.read(rows[block]) for observable in self.observables]
            blocks.append(RowHashes.from_values(theta, data))
        return RowHashes.concatenate(blocks)
