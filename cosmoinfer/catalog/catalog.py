"""A catalog: rows of parameters and data, in memory or in their files, and how it is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cosmoinfer.catalog.kinds import AXES_OF_KIND, CHANNEL_ORDERS, check_words
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.row_hashes import RowHashes, hash_theta
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters
from cosmoinfer.printable import html, one_line

MISSING_MODES = ("mask",)
ARRAYS = Path("arrays")  # in messages, where a catalog from a file has its path
UNKNOWN_THETA = "/parameters are NaN in every row, which are taken as observations"
COMPLEX_FORMS = ("parts", "amplitude")
MAX_BLOCK_NUMBERS = 1 << 22  # read at once, of an observable in memory
MAX_STREAMED_BLOCK_NUMBERS = 1 << 21  # read at once, of an observable in its file, where memory is short


@dataclass(frozen=True)
class ReadOptions:
    """How to find things in a file. Empty means: as our own layout names them.

    parameters, data, simulation: paths of datasets.
    kind: vector, profile, map or grid, of all data or ``pk@vector,maps@map``; by default as the file says, else by the
        number of axes.
    channels: ``first`` or ``last``, the axis of a row on which its channels stand; of all data or ``maps@last``.
    rows_per_simulation: how many consecutive rows are of one simulation.
    names: of the parameters.
    bounds: the prior box, ``a=0.1:0.5,b=0.25:4:log``; priors, ``n=0.9:1:normal:0.96:0.02``; correlations, ``a~b=0.5``.
    where: conditions that hold in the region to which the prior is cut, ``w0+wa<0``, beside those of the file.
    infer: the parameters to infer; the others are marginalised.
    scale_cut: features to keep, ``0:40``, ``k<0.3`` or ``0.02<k<0.3``, with ``NAME@`` before it when there are several
        observables.
    target: a dataset of /classes that takes the place of the parameters.
    missing: ``mask`` when NaN marks an entry that was not measured.
    drop_nonfinite: leave out rows with NaN or infinity, which are refused otherwise.
    data_include_noise: the data hold their noise already, so a model that was trained on noise adds none.
    transpose: axes are in reverse order in the file, as Julia, MATLAB and Fortran write them.
    complex: what stands for complex data: ``parts`` (real and imaginary) or ``amplitude``.
    follow_links: open the other files to which links of this one lead, or that hold values of its datasets; a model
        does not remember it.

    Raises UserError for an unknown kind or mode, and for settings that exclude each other.
    """

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    channels: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    where: tuple[str, ...] = ()
    infer: tuple[str, ...] = ()
    scale_cut: tuple[str, ...] = ()
    target: str = ""
    missing: str = ""
    drop_nonfinite: bool = False
    data_include_noise: bool = False
    transpose: bool = False
    complex: str = ""
    follow_links: bool = False

    def __post_init__(self) -> None:
        check_words("kind", self.kind, AXES_OF_KIND)
        check_words("channels", self.channels, CHANNEL_ORDERS)
        if self.missing and self.missing not in MISSING_MODES:
            raise UserError(f"{self.missing!r} is not known; {list_choices(self.missing, MISSING_MODES)}", "missing")
        if self.complex and self.complex not in COMPLEX_FORMS:
            raise UserError(f"{self.complex!r} is not known; {list_choices(self.complex, COMPLEX_FORMS)}", "complex")
        if self.target and (self.infer or self.bounds or self.where or self.names):
            settings = "`infer`, `bounds`, `where` and `names`"
            raise UserError(f"replaces the parameters, so that {settings} do not apply", "target")
        if self.rows_per_simulation < 0:
            raise UserError(f"expected at least 1, found {self.rows_per_simulation}", "rows_per_simulation")


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
    """

    name: str
    kind: str
    values: np.ndarray | LazyArray
    periodic: bool = False
    masked: bool = False
    question: str = ""
    channels_last: bool = False

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
            raise UserError(f"{self.path}: {reason}; expected a catalog with parameters, found observations")
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
