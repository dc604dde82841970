"""Rows of simulations: parameters beside data, as whoever asks for them sees them.

Commands and models ask a summary for rows; whether they lie in memory is nobody else's business.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.reading import ReadOptions
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters

MAX_BLOCK_NUMBERS = 1 << 22  # that are read at once when a whole summary is walked
MAX_STREAMED_BLOCK_NUMBERS = 1 << 21  # of a summary in its file, where memory is short


@dataclass(frozen=True)
class Observable:
    """One summary of every simulated universe. values: (N, K) vector, (N, C, L) profile, (N, C, H, W) map,
    (N, C, D, H, W) grid, in memory or still in its file; ``periodic``: whether opposite edges touch; ``masked``:
    whether NaN marks a missing entry."""

    name: str
    kind: str
    values: np.ndarray | LazyArray
    periodic: bool = False
    masked: bool = False

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.values.shape[1:]

    @property
    def array(self) -> np.ndarray:
        """All rows, of a summary in memory."""
        assert isinstance(self.values, np.ndarray)
        return self.values

    def read(self, rows: np.ndarray) -> np.ndarray:
        """These rows, (n, ...), in catalog units."""
        return self.values[rows]

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """These rows in order, a bounded number at a time."""
        most = MAX_BLOCK_NUMBERS if isinstance(self.values, np.ndarray) else MAX_STREAMED_BLOCK_NUMBERS
        step = max(1, most // max(1, int(np.prod(self.row_shape))))
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step])

    def take(self, rows: np.ndarray) -> "Observable":
        """These rows only; what lies in a file stays there."""
        values = self.values[rows] if isinstance(self.values, np.ndarray) else self.values.take(rows)
        return replace(self, values=values)

    def in_memory(self) -> "Observable":
        """All in memory."""
        everything = np.arange(len(self.values))
        return self if isinstance(self.values, np.ndarray) else replace(self, values=self.read(everything))


@dataclass(frozen=True)
class CatalogFile:
    """Of a catalog: how many of its rows it holds."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Catalog:
    """N rows of parameters and data.

    path: where it was read from.
    parameters: names, box and priors; None for observations.
    theta: (N, P) parameters, or (N, 1) class numbers; None for observations.
    observables: the data, each with N rows.
    simulation: (N,) the simulation of each row, as text.
    index: (N,) row numbers in the file.
    split_labels: (N,) the file's own split, 0 train, 1 validation, 2 test.
    declared_priors: parameters whose prior was declared, not only their box.
    fingerprint: SHA-256 of the whole catalog.
    selection_hash: SHA-256 of what was declared of it and selected from it.
    notes: what had to be assumed, a line each.
    classes: names of the classes, when theta is a class number.
    includes_noise: whether the data hold their noise already.
    memory_limit: bytes that the data may take.
    files: the files that hold it, in the order of rows.
    reading: how it was read.
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
    classes: tuple[str, ...] = ()
    includes_noise: bool = False
    memory_limit: int = 0
    files: tuple[CatalogFile, ...] = ()
    reading: ReadOptions = field(default_factory=ReadOptions)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first_file(self) -> Path:
        """Its file, or the first of many."""
        return self.files[0].path if self.files else self.path

    @property
    def is_streamed(self) -> bool:
        """Whether its data stay in their files."""
        return any(isinstance(one.values, LazyArray) for one in self.observables)

    def describe_rows(self, rows: np.ndarray) -> str:
        """Rows (by position) as a message names them: by their number in the file, of many files with its name."""
        index = self.index[rows]
        if len(self.files) < 2:
            return f"row {listed(index)}"
        starts = np.cumsum([0, *(one.rows for one in self.files)])
        part = np.searchsorted(starts, index, side="right") - 1
        own = zip(part.tolist(), (index - starts[part]).tolist(), strict=True)
        return f"row {listed([f'{row} of {self.files[number].path.name}' for number, row in own])}"

    def require_in_memory(self, what: str) -> None:
        """Refuse what wants all data in memory at once."""
        if self.is_streamed:
            raise UserError(
                f"{self.path}: {what} wants all data in memory, and with room to work on them they take more than "
                f"--memory allows ({self.memory_limit / 1e9:.3g}GB)"
            )

    def in_memory(self, rows: np.ndarray) -> "Catalog":
        """These rows, in memory."""
        taken = self.take(rows)
        return replace(taken, observables=tuple(one.in_memory() for one in taken.observables))

    def require_parameters(self) -> tuple[Parameters, np.ndarray]:
        """The parameters and their values, which an observation lacks."""
        if self.parameters is None or self.theta is None:
            raise UserError(f"{self.path}: has no /parameters; expected a catalog with parameters, found observations")
        return self.parameters, self.theta

    def take(self, rows: np.ndarray) -> "Catalog":
        """These rows only, by position."""
        return replace(
            self,
            theta=None if self.theta is None else self.theta[rows],
            observables=tuple(summary.take(rows) for summary in self.observables),
            simulation=self.simulation[rows],
            index=self.index[rows],
            split_labels=None if self.split_labels is None else self.split_labels[rows],
        )

    def theta_hashes(self, rows: np.ndarray) -> np.ndarray:
        """(n,) uint64, of theta alone, for which no data are read; 0 of what has none."""
        if self.theta is None:
            return np.zeros(len(rows), dtype=np.uint64)
        return np.array([_number(_short(self.theta[row])) for row in rows], dtype=np.uint64)

    def hashes(self, rows: np.ndarray) -> np.ndarray:
        """(n, 2) uint64, of theta and of x: a training row is recognised wherever a copy of it turns up."""
        found = np.zeros((len(rows), 2), dtype=np.uint64)
        found[:, 0] = self.theta_hashes(rows)
        step = max(
            1, MAX_STREAMED_BLOCK_NUMBERS // max(1, sum(int(np.prod(one.row_shape)) for one in self.observables))
        )
        for start in range(0, len(rows), step):
            blocks = [summary.read(rows[start : start + step]) for summary in self.observables]
            for position, row in enumerate(zip(*blocks, strict=True), start):
                found[position, 1] = _number(b"".join(_short(one) for one in row))
        return found


def fingerprint(catalog: Catalog) -> str:
    """SHA-256 over names, parameters, ids, shapes and data values in row order; storage layout does not enter."""
    sha = hashlib.sha256()
    if catalog.parameters is not None and catalog.theta is not None:
        sha.update(repr(catalog.parameters.names).encode())
        sha.update(_canonical(catalog.theta))
    sha.update("\n".join(catalog.simulation.tolist()).encode())
    for summary in catalog.observables:
        sha.update(repr((summary.kind, summary.row_shape)).encode())
        for block in summary.blocks(np.arange(len(catalog))):
            sha.update(_canonical(block))
    return sha.hexdigest()


def selection_hash(catalog: Catalog, cut: bool) -> str:
    """SHA-256 over what the fingerprint leaves out: names, box and priors as declared, and the features kept."""
    sha = hashlib.sha256(repr(sorted(catalog.declared_priors)).encode())
    if catalog.parameters is not None:
        for key, value in catalog.parameters.attributes().items():
            sha.update(f"{key} {np.asarray(value).tolist()!r}".encode())
    if cut:
        sha.update(fingerprint(catalog).encode())
    return sha.hexdigest()


def _canonical(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _short(values: np.ndarray) -> bytes:
    """In float32, the precision in which catalogs are copied."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
