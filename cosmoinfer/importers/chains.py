"""Posterior chains of GetDist, Cobaya, CosmoSIS and nested samplers: points are rows, and keep their weights.

GetDist and CosmoMC write ``.txt`` beside ``.paramnames`` and ``.ranges``, as do MultiNest and PolyChord; the others
name the columns in the first line.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importers.parameter_tables import with_names
from cosmoinfer.importers.per_simulation import natural_key
from cosmoinfer.importers.source import Importer, Request, Source, SourceData, SourceParameters
from cosmoinfer.numerals import finite_number

PARAMNAMES, RANGES = ".paramnames", ".ranges"
WEIGHT, LOG_WEIGHT = "weight", "log_weight"
SECOND_COLUMNS = ("minuslogpost", "logl", "loglike", "minusloglike")  # behind the weight, of Cobaya and UltraNest
SEPARATOR = "--"  # of section and name, of CosmoSIS
NO_PARAMETERS = re.compile(r"(chi2|minuslog|logprior|loglike|logpost|like|prior|post)", re.IGNORECASE)
MAX_HEAD_CHARACTERS = 1 << 16  # in which the first line is looked for


@dataclass(frozen=True)
class Chain:
    """parameters: of its points (N, P). weights: (N,). derived: names of the last parameters, which are functions of
    the others. notes: what was assumed."""

    parameters: SourceParameters
    weights: np.ndarray
    derived: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def recognises(path: Path) -> bool:
    if path.suffix.lower() != ".txt":
        named = path.with_name(path.name + PARAMNAMES)
        return os.path.isfile(named) or bool(_numbered(path, "."))  # no error where a name is too long to be one
    return bool(path.is_file() and (_root(path) is not None or _first_names(path)))


def read_chain(path: Path) -> Chain:
    """All files of a chain, with its derived parameters and without points that have no weight.

    Raises UserError where there is none, or its files do not belong together.
    """
    files = [path] if path.suffix.lower() == ".txt" else _numbered(path, "_") or _numbered(path, ".")
    if not files and (single := path.with_name(f"{path.name}.txt")).is_file():
        files = [single]
    if not files:
        raise UserError(f"{path}: has no chains {path.name}.txt or {path.name}_1.txt beside its {PARAMNAMES}")
    chains = [_read_file(file) for file in files]
    first = chains[0].parameters
    for file, chain in zip(files, chains, strict=True):
        if chain.parameters.names != first.names:
            raise UserError(f"{file}: has other parameters than {files[0]}")
    weights = np.concatenate([chain.weights for chain in chains])
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise UserError(f"{path}: its weights must be finite and not negative, and some must be positive")
    kept = weights > 0
    values = np.concatenate([chain.parameters.values for chain in chains])[kept]
    effective = weights.sum() ** 2 / (weights**2).sum()
    notes = [f"{len(values)} points of {len(files)} chains, worth {effective:.0f} of equal weight"]
    notes += list(dict.fromkeys(note for chain in chains for note in chain.notes))
    return Chain(replace(first, values=values), weights[kept], chains[0].derived, tuple(notes))


def _read(path: Path, request: Request) -> Source:
    chain = read_chain(path)
    independent = [name for name in chain.parameters.names if name not in chain.derived]
    parameters = with_names(with_names(chain.parameters, independent), request.read_options.names)
    notes = list(chain.notes)
    if chain.derived:
        notes.append(f"derived parameters are left out: {join_first(chain.derived)}")
    return Source(
        path,
        {"data": SourceData(parameters.values, {"kind": "vector"})},
        parameters,
        weights=chain.weights if np.ptp(chain.weights) > 0 else None,
        notes=(*notes, "the data are the parameters themselves"),
    )


def _numbered(root: Path, sign: str) -> list[Path]:
    """The files root_1.txt, root_2.txt, ... in this order."""
    if not root.parent.is_dir() or root.suffix in (".h5", ".npy", ".npz", ".csv"):
        return []
    pattern = re.compile(re.escape(root.name + sign) + r"\d+\.txt")
    files = [file for file in root.parent.iterdir() if pattern.fullmatch(file.name)]
    return sorted(files, key=lambda file: natural_key(file.name))


def _root(path: Path) -> Path | None:
    """Of root.txt or root_1.txt beside root.paramnames: the path without a suffix."""
    stem = path.with_name(path.name.removesuffix(".txt"))
    roots = [stem, stem.with_name(re.sub(r"[_.]\d+$", "", stem.name))]
    return next((root for root in roots if root.with_name(root.name + PARAMNAMES).is_file()), None)


def _first_names(path: Path) -> tuple[str, ...]:
    """The names of the columns where the first line is that of a chain."""
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(MAX_HEAD_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        return ()
    names = tuple(line.lstrip("#").split())
    is_weighted = len(names) > 2 and names[0] == WEIGHT and names[1].lower() in SECOND_COLUMNS
    is_cosmosis = line.startswith("#") and any(SEPARATOR in name for name in names) and "post" in names
    return names if is_weighted or is_cosmosis else ()


def _read_file(path: Path) -> Chain:
    if (root := _root(path)) is not None:
        return _read_getdist(path, root)
    table, names = storage.load_table(path), _first_names(path)
    if len(names) != table.values.shape[1]:
        raise UserError(f"{path}: has {len(names)} names in its first line and {table.values.shape[1]} columns")
    if any(SEPARATOR in name for name in names):
        return _read_cosmosis(table, names)
    columns = [place for place, name in enumerate(names) if place > 1 and not NO_PARAMETERS.match(name)]
    chosen = tuple(names[column] for column in columns)
    return Chain(SourceParameters(str(path), table.values[:, columns], chosen), table.values[:, 0])


def _read_getdist(path: Path, root: Path) -> Chain:
    """weight, -log(posterior), parameters; those whose name ends with a star are derived."""
    table = storage.load_table(path)
    lines = [line.split(None, 1) for line in _lines(root, PARAMNAMES)]
    if table.values.shape[1] != len(lines) + 2:
        raise UserError(
            f"{path}: has {table.values.shape[1]} columns; expected {len(lines) + 2}, a weight, a likelihood and "
            f"the {len(lines)} parameters of {root.name}{PARAMNAMES}"
        )
    order = sorted(range(len(lines)), key=lambda place: lines[place][0].endswith("*"))  # derived ones last
    starred = [lines[place][0] for place in order]
    names = tuple(name.removesuffix("*") for name in starred)
    labels = tuple((*lines[place], lines[place][0].removesuffix("*"))[1].strip() for place in order)
    attributes: storage.Attributes = {"labels": labels, **_box(root, names)}
    parameters = SourceParameters(str(path), table.values[:, [place + 2 for place in order]], names, attributes)
    derived = tuple(name.removesuffix("*") for name in starred if name.endswith("*"))
    return Chain(parameters, table.values[:, 0], derived)


def _lines(root: Path, suffix: str) -> list[str]:
    path = root.with_name(root.name + suffix)
    lines = [line.strip() for line in storage.load_text(path).splitlines()] if path.is_file() else []
    return [line for line in lines if line and not line.startswith("#")]


def _box(root: Path, names: Sequence[str]) -> storage.Attributes:
    """low and high of the .ranges, where N stands for none; nothing without any."""
    edges = {}
    for line in _lines(root, RANGES):
        name, *ends = line.split()[:3]
        if len(ends) == 2:
            edges[name] = [finite_number(end) for end in ends]
    if not any(name in edges for name in names):
        return {}
    pairs = [edges.get(name, [None, None]) for name in names]
    low = np.array([-np.inf if pair[0] is None else pair[0] for pair in pairs])
    high = np.array([np.inf if pair[1] is None else pair[1] for pair in pairs])
    return {"low": low, "high": high} if (low < high).all() else {}


def _read_cosmosis(table: storage.TextTable, names: Sequence[str]) -> Chain:
    """section--name columns, those in capitals being derived, whose names are read in small letters; box from the
    values.ini that the comments hold."""
    sampled = [place for place, name in enumerate(names) if SEPARATOR in name and not name.isupper()]
    derived = [place for place, name in enumerate(names) if SEPARATOR in name and name.isupper()]
    columns, chosen = sampled + derived, _without_sections([names[place] for place in sampled])
    chosen += _without_sections([names[place].lower() for place in derived], chosen)
    rows = len(table.values)
    if WEIGHT in names:
        weights = table.values[:, names.index(WEIGHT)]
    elif LOG_WEIGHT in names:
        logarithm = table.values[:, names.index(LOG_WEIGHT)]
        weights = np.exp(logarithm - logarithm.max())
    else:
        weights = np.ones(rows)
    kept = np.ones(rows, dtype=bool)
    notes: tuple[str, ...] = ()
    comments = storage.load_text(table.path).splitlines()
    if counts := [match[1] for line in comments if (match := re.match(r"#+\s*nsample\s*=\s*(\d+)", line))]:
        kept[: max(0, rows - int(counts[-1]))] = False  # of a nested sampler: points that it has left
        notes = (f"the last {int(kept.sum())} points, as nsample says",)
    elif WEIGHT not in names and LOG_WEIGHT not in names:
        notes = ("it has no weights: no burn-in is left out",)
    box = _values_box(comments, [names[place] for place in sampled], len(derived))
    parameters = SourceParameters(str(table.path), table.values[kept][:, columns], chosen, box)
    return Chain(parameters, weights[kept], chosen[len(sampled) :], notes)


def _without_sections(names: Sequence[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """The names behind their sections where these are different, and none is taken."""
    short = [name.split(SEPARATOR, 1)[1] for name in names]
    return tuple(names if len({*short, *taken}) < len(short) + len(taken) else short)


def _values_box(lines: Sequence[str], names: Sequence[str], following: int) -> storage.Attributes:
    """low and high of ``name = low start high`` in the sections of the values.ini; nothing unless all have them.

    following: how many more parameters have none.
    """
    section, inside, edges = "", False, {}
    for line in (line.lstrip("#").strip() for line in lines if line.startswith("#")):
        if line in ("START_OF_VALUES_INI", "END_OF_VALUES_INI"):
            inside = line.startswith("START")
        elif inside and line.startswith("["):
            section = line.strip("[]").strip()
        elif inside and "=" in line:
            name, words = line.split("=", 1)
            numbers = [finite_number(word) for word in words.split(";")[0].split()]
            if len(numbers) == 3 and numbers[0] is not None and numbers[2] is not None:
                edges[f"{section}{SEPARATOR}{name.strip()}"] = (numbers[0], numbers[2])
    if not names or not all(name in edges for name in names):
        return {}
    low, high = np.array([*(edges[name] for name in names), *[(-np.inf, np.inf)] * following]).T
    return {"low": low, "high": high} if (low < high).all() else {}


IMPORTER = Importer("chains of GetDist, Cobaya, CosmoSIS and nested samplers", recognises, _read)
