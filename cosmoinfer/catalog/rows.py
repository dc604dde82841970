"""Rows of simulations: parameters beside data, as whoever asks for them sees them.

Commands and models ask a summary for rows; whether they lie in memory is nobody else's business.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cosmoinfer.catalog.lazy_array import Streamed
from cosmoinfer.catalog.reading import Reading
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters

NUMBERS = 1 << 22  # that are read at once when a whole summary is walked
NUMBERS_STREAMED = 1 << 21  # of a summary in its file, where memory is short


@dataclass(frozen=True)
class Summary:
    """One summary of every simulated universe. values: (N, K) vector, (N, C, L) profile, (N, C, H, W) map,
    (N, C, D, H, W) grid, in memory or still in its file; ``periodic``: whether opposite edges touch; ``masked``:
    whether NaN marks a missing entry."""

    name: str
    kind: str
    values: np.ndarray | Streamed
    periodic: bool = False
    masked: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
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
        most = NUMBERS if isinstance(self.values, np.ndarray) else NUMBERS_STREAMED
        step = max(1, most // max(1, int(np.prod(self.shape))))
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step])

    def take(self, rows: np.ndarray) -> "Summary":
        """These rows only; what lies in a file stays there."""
        values = self.values[rows] if isinstance(self.values, np.ndarray) else self.values.take(rows)
        return replace(self, values=values)

    def held(self) -> "Summary":
        """All in memory."""
        everything = np.arange(len(self.values))
        return self if isinstance(self.values, np.ndarray) else replace(self, values=self.read(everything))


@dataclass(frozen=True)
class File:
    """Of a catalog: how many of its rows it holds."""

    path: Path
    rows: int


@dataclass(frozen=True)
class Catalog:
    """N rows. theta: (N, P), None for an observation; simulation: (N,) ids as text; index: (N,) rows in the file;
    label: (N,) the file's own split; fingerprint: of the whole; view: of what was declared of it and picked from it;
    notes: what had to be assumed, a line each; classes: names of the classes, where theta (N, 1) is a class number;
    noisy: whether the data hold their noise already. memory: bytes that data may take. files: in the order of rows.
    reading: how its file was read."""

    path: Path
    parameters: Parameters | None
    theta: np.ndarray | None
    summaries: tuple[Summary, ...]
    simulation: np.ndarray
    index: np.ndarray
    label: np.ndarray | None = None
    declared: frozenset[str] = frozenset()
    fingerprint: str = ""
    view: str = ""
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    noisy: bool = False
    memory: int = 0
    files: tuple[File, ...] = ()
    reading: Reading = field(default_factory=Reading)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def first(self) -> Path:
        """Its file, or the first of many."""
        return self.files[0].path if self.files else self.path

    @property
    def streamed(self) -> bool:
        """Whether its data stay in their files."""
        return any(isinstance(one.values, Streamed) for one in self.summaries)

    def told(self, rows: np.ndarray) -> str:
        """Rows (by position) as a message names them: by their number in the file, of many files with its name."""
        index = self.index[rows]
        if len(self.files) < 2:
            return f"row {listed(index)}"
        starts = np.cumsum([0, *(one.rows for one in self.files)])
        part = np.searchsorted(starts, index, side="right") - 1
        own = zip(part.tolist(), (index - starts[part]).tolist(), strict=True)
        return f"row {listed([f'{row} of {self.files[number].path.name}' for number, row in own])}"

    def must_be_held(self, what: str) -> None:
        """Refuse what wants all data in memory at once."""
        if self.streamed:
            raise UserError(
                f"{self.path}: {what} wants all data in memory, and with room to work on them they take more than "
                f"--memory allows ({self.memory / 1e9:.3g}GB)"
            )

    def held(self, rows: np.ndarray) -> "Catalog":
        """These rows, in memory."""
        taken = self.take(rows)
        return replace(taken, summaries=tuple(one.held() for one in taken.summaries))

    def training(self) -> tuple[Parameters, np.ndarray]:
        """The parameters and their values, which an observation lacks."""
        if self.parameters is None or self.theta is None:
            raise UserError(f"{self.path}: has no /parameters; expected a catalog with parameters, found observations")
        return self.parameters, self.theta

    def take(self, rows: np.ndarray) -> "Catalog":
        """These rows only, by position."""
        return replace(
            self,
            theta=None if self.theta is None else self.theta[rows],
            summaries=tuple(summary.take(rows) for summary in self.summaries),
            simulation=self.simulation[rows],
            index=self.index[rows],
            label=None if self.label is None else self.label[rows],
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
        step = max(1, NUMBERS_STREAMED // max(1, sum(int(np.prod(one.shape)) for one in self.summaries)))
        for start in range(0, len(rows), step):
            blocks = [summary.read(rows[start : start + step]) for summary in self.summaries]
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
    for summary in catalog.summaries:
        sha.update(repr((summary.kind, summary.shape)).encode())
        for block in summary.blocks(np.arange(len(catalog))):
            sha.update(_canonical(block))
    return sha.hexdigest()


def view(catalog: Catalog, cut: bool) -> str:
    """SHA-256 over what the fingerprint leaves out: names, box and priors as declared, and the features kept."""
    sha = hashlib.sha256(repr(sorted(catalog.declared)).encode())
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
