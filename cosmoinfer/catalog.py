"""A catalog of simulations: parameters beside data, row by row, in our layout or as somebody else stored them.

Commands and models ask a summary for rows; whether they lie in memory is nobody else's business.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, listed
from cosmoinfer.parameters import Parameters

AXES = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # kind: axes of one row, channels included
TOLD_BY_AXES = {1: "vector", 2: "map", 3: "map", 4: "grid"}  # axes of one row in the file
BLOCK = 1 << 25  # numbers that are read at once when a whole summary is walked


@dataclass(frozen=True)
class Reading:
    """How to find things in a file. Empty means: as our own layout names them."""

    parameters: str = ""
    data: tuple[str, ...] = ()
    kind: str = ""
    simulation: str = ""
    rows_per_simulation: int = 0
    names: tuple[str, ...] = ()
    bounds: str = ""
    infer: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    drop_nonfinite: bool = False

    def __post_init__(self) -> None:
        if self.kind and self.kind not in AXES:
            raise UserError(f"--kind: {self.kind!r} is not known; there are {', '.join(AXES)}")
        if self.rows_per_simulation < 0:
            raise UserError(f"--rows-per-simulation: expected at least 1, found {self.rows_per_simulation}")


@dataclass(frozen=True)
class Summary:
    """One summary of every simulated universe. values: (N, K) vector, (N, C, L) profile, (N, C, H, W) map,
    (N, C, D, H, W) grid; ``periodic``: whether opposite edges touch."""

    name: str
    kind: str
    values: np.ndarray
    periodic: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.values.shape[1:]

    def read(self, rows: np.ndarray) -> np.ndarray:
        """These rows, (n, ...), in catalog units."""
        return self.values[rows]

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """These rows in order, a bounded number at a time."""
        step = max(1, BLOCK // max(1, int(np.prod(self.shape))))
        for start in range(0, len(rows), step):
            yield self.read(rows[start : start + step])


@dataclass(frozen=True)
class Catalog:
    """N rows. theta: (N, P), None for an observation; simulation: (N,) ids as text; index: (N,) rows in the file;
    label: (N,) the file's own split; fingerprint: of the whole; view: of what was declared of it and picked from it;
    notes: what had to be assumed, a line each."""

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

    def __len__(self) -> int:
        return len(self.index)

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
            summaries=tuple(replace(summary, values=summary.read(rows)) for summary in self.summaries),
            simulation=self.simulation[rows],
            index=self.index[rows],
            label=None if self.label is None else self.label[rows],
        )

    def hashes(self, rows: np.ndarray) -> np.ndarray:
        """(n, 2) uint64, of theta and of x: a training row is recognised wherever a copy of it turns up."""
        found = np.zeros((len(rows), 2), dtype=np.uint64)
        for position, row in enumerate(rows):
            if self.theta is not None:
                found[position, 0] = _number(_short(self.theta[row]))
            one = np.array([row])
            found[position, 1] = _number(b"".join(_short(summary.read(one)) for summary in self.summaries))
        return found


def read(path: Path, reading: Reading | None = None) -> Catalog:
    """A catalog that a training can trust: finite, consistent, inside its box; else a UserError that says where."""
    reading = reading or Reading()
    catalog = finite(assemble(path, reading), reading.drop_nonfinite)
    if catalog.parameters is not None and catalog.theta is not None:
        _check_box(catalog, catalog.parameters, catalog.theta)
    catalog = replace(catalog, fingerprint=fingerprint(catalog))
    narrowed = narrow(catalog, reading)
    return replace(narrowed, view=_view(narrowed, cut=narrowed.summaries is not catalog.summaries))


def assemble(path: Path, reading: Reading) -> Catalog:
    """What the file says, shapes checked, values not yet: what an audit looks at."""
    contents = storage.contents(path)
    notes: list[str] = []
    summaries = tuple(_summary(path, contents[name], reading.kind, notes) for name in _data(path, contents, reading))
    counts = {summary.name: len(summary.values) for summary in summaries}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"/{name} {count}" for name, count in counts.items())
        raise UserError(f"{path}: the summaries have different numbers of rows: {told}")
    count = next(iter(counts.values()))
    if count == 0:
        raise UserError(f"{path}: /{summaries[0].name} has no rows")
    simulation = _simulation(path, contents, reading, count)
    parameters, theta = _parameters(path, contents, reading, simulation, count, notes)
    label = storage.load(path, "split") if "split" in contents else None
    if label is not None and len(label) != count:
        raise UserError(f"{path}: /split has {len(label)} rows, the data have {count}")
    declared: frozenset[str] = frozenset()
    if parameters is not None:
        written = "prior" in contents[reading.parameters.strip("/") or "parameters"].attributes and not reading.names
        declared = frozenset(parameters.names if written else ()) | declared_in(reading.bounds)
    return Catalog(
        path, parameters, theta, summaries, simulation, np.arange(count), label, declared, notes=tuple(notes)
    )


def finite(catalog: Catalog, drop: bool) -> Catalog:
    """Refuse NaN and inf, or leave those rows out."""
    bad = nonfinite_rows(catalog)
    if not bad.any():
        return catalog
    rows = np.flatnonzero(bad)
    if not drop:
        raise UserError(
            f"{catalog.path}: {len(rows)} of {len(catalog)} rows hold NaN or inf (row {listed(rows)}); "
            "--drop-nonfinite goes on without them"
        )
    if bad.all():
        raise UserError(f"{catalog.path}: every one of its {len(catalog)} rows holds NaN or inf")
    kept = catalog.take(np.flatnonzero(~bad))
    return replace(kept, notes=(*kept.notes, f"left out {len(rows)} rows with NaN or inf (row {listed(rows)})"))


def nonfinite_rows(catalog: Catalog) -> np.ndarray:
    """(N,) whether a parameter or a datum of the row is NaN or infinite."""
    bad = np.zeros(len(catalog), dtype=bool)
    if catalog.theta is not None:
        bad |= ~np.isfinite(catalog.theta).all(axis=1)
    for summary in catalog.summaries:
        blocks = summary.blocks(np.arange(len(catalog)))
        bad |= np.concatenate([~np.isfinite(block).reshape(len(block), -1).all(axis=1) for block in blocks])
    return bad


def narrow(catalog: Catalog, reading: Reading) -> Catalog:
    """Only the parameters to infer and the features within the scale cuts."""
    if reading.infer:
        parameters, theta = catalog.training()
        columns = parameters.columns(reading.infer)
        catalog = replace(catalog, parameters=parameters.take(reading.infer), theta=theta[:, columns])
    for cut in reading.features:
        catalog = replace(catalog, summaries=_cut(catalog, cut))
    return catalog


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


def _view(catalog: Catalog, cut: bool) -> str:
    """SHA-256 over what the fingerprint leaves out: names, box and priors as declared, and the features kept."""
    sha = hashlib.sha256(repr(sorted(catalog.declared)).encode())
    if catalog.parameters is not None:
        for key, value in catalog.parameters.attributes().items():
            sha.update(f"{key} {np.asarray(value).tolist()!r}".encode())
    if cut:
        sha.update(fingerprint(catalog).encode())
    return sha.hexdigest()


# ------------------------------------------------------------------------------------------------- what stands where
def _data(path: Path, contents: dict[str, storage.Dataset], reading: Reading) -> list[str]:
    if reading.data:
        names = [name.strip("/") for name in reading.data]
        for name in names:
            if name not in contents:
                raise UserError(f"{path}: has no dataset /{name}; it holds {_told(contents)}")
        return names
    names = [name for name in contents if name == "data" or name.startswith("data/")]
    if not names:
        raise UserError(f"{path}: has no /data; it holds {_told(contents)}; name the data with --data")
    return names


def _told(contents: dict[str, storage.Dataset]) -> str:
    return ", ".join(f"/{name} {found.shape}" for name, found in contents.items()) or "nothing"


def _summary(path: Path, found: storage.Dataset, kind: str, notes: list[str]) -> Summary:
    axes = len(found.shape) - 1
    if not kind:
        kind = str(found.attributes.get("kind", ""))
    if not kind:
        if axes not in TOLD_BY_AXES:
            raise UserError(f"{path}: /{found.path} has {axes + 1} axes; expected 2 to 5 (rows first)")
        kind = TOLD_BY_AXES[axes]
        notes.append(f"/{found.path}: taken as {kind}, told by its {axes + 1} axes")
    if kind not in AXES:
        raise UserError(f"{path}: /{found.path} is of kind {kind!r}; there are {', '.join(AXES)}")
    values = storage.load(path, found.path)
    if values.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{found.path} holds {values.dtype}; expected numbers")
    if axes == AXES[kind] - 1 and kind in ("map", "grid"):
        values = values[:, None]  # one channel
    if values.size == 0 and len(values):
        raise UserError(f"{path}: /{found.path} has shape {found.shape}: nothing to learn from")
    if values.ndim - 1 != AXES[kind]:
        raise UserError(f"{path}: /{found.path} has shape {found.shape}, which is no {kind}")
    return Summary(found.path, kind, values, bool(found.attributes.get("periodic", kind in ("map", "grid"))))


def _simulation(path: Path, contents: dict[str, storage.Dataset], reading: Reading, count: int) -> np.ndarray:
    if reading.rows_per_simulation:
        if count % reading.rows_per_simulation:
            raise UserError(
                f"{path}: {count} rows are no multiple of --rows-per-simulation {reading.rows_per_simulation}"
            )
        return (np.arange(count) // reading.rows_per_simulation).astype(str)
    name = reading.simulation.strip("/") or "simulation"
    if name not in contents and not reading.simulation:
        return np.arange(count).astype(str)
    ids = storage.load(path, name)
    if ids.shape != (count,):
        raise UserError(f"{path}: /{name} has shape {ids.shape}; expected ({count},), one id a row")
    if ids.dtype.kind == "f":
        raise UserError(f"{path}: /{name} holds {ids.dtype}; expected integers or strings")
    return ids.astype(str)


def _parameters(
    path: Path,
    contents: dict[str, storage.Dataset],
    reading: Reading,
    simulation: np.ndarray,
    count: int,
    notes: list[str],
) -> tuple[Parameters | None, np.ndarray | None]:
    name = reading.parameters.strip("/") or "parameters"
    if name not in contents and not reading.parameters:
        return None, None
    theta = storage.load(path, name)
    theta = theta[:, None] if theta.ndim == 1 else theta
    if theta.ndim != 2 or theta.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{name} has shape {theta.shape} of {theta.dtype}; expected (N, P) numbers")
    theta = _a_row_each(path, name, theta.astype(np.float64), simulation, count, reading)
    attributes = dict(contents[name].attributes)
    if reading.names:
        attributes = {"names": reading.names}  # another person's names void what stood under the old ones
    elif "names" not in attributes:
        attributes["names"] = tuple(f"parameter_{column}" for column in range(theta.shape[1]))
        notes.append(f"/{name}: has no names; called {', '.join(attributes['names'])}")
    named = np.size(attributes["names"])
    if named != theta.shape[1]:
        given = "--names" if reading.names else "the attribute names"
        raise UserError(f"{path}: /{name} has {theta.shape[1]} columns, {given} has {named}")
    parameters = Parameters.from_attributes(attributes)
    if reading.bounds:
        parameters = bounded(parameters, reading.bounds)
    free = [
        one
        for one, low, high in zip(parameters.names, parameters.low, parameters.high, strict=True)
        if not np.isfinite([low, high]).all()
    ]
    if free:
        notes.append(f"no box known for {', '.join(free)}: taken as unbounded (--bounds declares one)")
    return parameters, theta


def _a_row_each(
    path: Path, name: str, theta: np.ndarray, simulation: np.ndarray, count: int, reading: Reading
) -> np.ndarray:
    """One row of parameters a row of data; parameters per simulation are repeated."""
    per = reading.rows_per_simulation
    if len(theta) == count:
        return theta
    if per and len(theta) * per == count:
        return np.repeat(theta, per, axis=0)
    numbered = all(one.isdigit() and int(one) < len(theta) for one in simulation.tolist())
    if not per and numbered and len(set(simulation.tolist())) == len(theta):
        return theta[simulation.astype(int)]
    raise UserError(
        f"{path}: /{name} has {len(theta)} rows, the data have {count}; expected as many, or one a simulation "
        "(--rows-per-simulation, or --simulation with row numbers)"
    )


def declared_in(bounds: str) -> frozenset[str]:
    """The parameters whose prior, and not only their box, the command line declares."""
    parts = [part.strip() for part in bounds.split(",")]
    return frozenset(part.split("=")[0].strip() for part in parts if part.endswith((":log", ":uniform")))


def bounded(parameters: Parameters, text: str) -> Parameters:
    """The box as the command line says it: ``a=0.1:0.5,b=0.25:4:log``; ``:log`` and ``:uniform`` declare the prior."""
    low, high, prior = parameters.low.copy(), parameters.high.copy(), list(parameters.prior)
    for part in text.split(","):
        match = re.fullmatch(r"\s*([^=]+?)\s*=\s*([^:]+):([^:]+?)(:log|:uniform)?\s*", part)
        if not match:
            raise UserError(f"--bounds: {part!r} is not understood; expected name=low:high, then :log or :uniform")
        (column,) = parameters.columns([match[1]])
        try:
            low[column], high[column] = float(match[2]), float(match[3])
        except ValueError as error:
            raise UserError(f"--bounds: {part!r} holds no two numbers") from error
        box = np.isfinite([low[column], high[column]]).all()
        prior[column] = "log-uniform" if match[4] == ":log" else ("uniform" if box else "unknown")
    return replace(parameters, low=low, high=high, prior=tuple(prior))


# ----------------------------------------------------------------------------------------------------- scale cuts
def _cut(catalog: Catalog, text: str) -> tuple[Summary, ...]:
    """``0:40``, ``k<0.3``, ``0.02<k<0.3``; ``NAME@0:40`` where there are several summaries."""
    target, _, rule = text.rpartition("@")
    able = [summary for summary in catalog.summaries if summary.kind in ("vector", "profile")]
    chosen = [summary for summary in able if target in ("", summary.name, summary.name.removeprefix("data/"))]
    if len(chosen) != 1:
        names = ", ".join(summary.name for summary in able) or "none here"
        raise UserError(f"--features {text}: expected one vector or profile to cut (NAME@...); there is: {names}")
    keep = _kept(catalog.path, rule, chosen[0].shape[-1])
    if len(keep) == 0:
        raise UserError(f"--features {text}: leaves none of the {chosen[0].shape[-1]} features of /{chosen[0].name}")
    cut = replace(chosen[0], values=chosen[0].values[..., keep])
    return tuple(cut if summary is chosen[0] else summary for summary in catalog.summaries)


def _kept(path: Path, rule: str, length: int) -> np.ndarray:
    if match := re.fullmatch(r"\s*(\d*):(\d*)\s*", rule):
        return np.arange(length)[slice(*(int(end) if end else None for end in match.groups()))]
    number, ways = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)", r"(<=|<|>=|>)"
    match = re.fullmatch(rf"\s*(?:{number}\s*{ways})?\s*([A-Za-z_/][\w/]*)\s*(?:{ways}\s*{number})?\s*", rule)
    if not match or not (match[1] or match[5]):
        raise UserError(f"--features: {rule!r} is not understood; expected 0:40, k<0.3 or 0.02<k<0.3")
    coordinate = storage.load(path, match[3])
    if coordinate.shape != (length,):
        raise UserError(f"{path}: /{match[3]} has shape {coordinate.shape}; expected ({length},), one a feature")
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    keep = np.ones(length, dtype=bool)
    if match[1]:
        keep &= compare[match[2]](float(match[1]), coordinate)
    if match[5]:
        keep &= compare[match[4]](coordinate, float(match[5]))
    return np.flatnonzero(keep)


def _check_box(catalog: Catalog, parameters: Parameters, theta: np.ndarray) -> None:
    outside = np.flatnonzero(~parameters.inside(theta))
    if len(outside):
        row = outside[0]
        column = next(
            c
            for c in range(len(parameters))
            if not parameters.take([parameters.names[c]]).inside(theta[row, c : c + 1])
        )
        raise UserError(
            f"{catalog.path}: {len(outside)} rows lie outside the declared box (row {listed(catalog.index[outside])}); "
            f"{parameters.names[column]} = {theta[row, column]:g} is not in "
            f"{parameters.low[column]:g}..{parameters.high[column]:g}"
        )


def _canonical(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _short(values: np.ndarray) -> bytes:
    """In float32, the precision in which catalogs are copied."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
