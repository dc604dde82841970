"""One catalog in one file or in many: a pattern (``'sims/*.h5'``), or a manifest, a JSON list of files."""

import glob
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cosmoinfer import memory as memories
from cosmoinfer import storage
from cosmoinfer.catalog import layout
from cosmoinfer.catalog.layout import Layout
from cosmoinfer.catalog.reading import ReadOptions
from cosmoinfer.catalog.rows import Catalog, CatalogFile
from cosmoinfer.catalog.suites import check_compatible, concatenate, unique_names
from cosmoinfer.errors import UserError, listed

TRAINING_COPIES = 3  # of the data that a training holds in memory: as they are, scaled, and on their way
MANIFEST_FORMAT = 1


def read_unchecked(path: Path, reading: ReadOptions, memory: int | None = None) -> Catalog:
    """What the files say, shapes checked, values not yet. What does not fit into the memory (bytes) stays in them."""
    found = _found(path)
    layouts = [layout.read_layout(one, reading) for one in found.paths]
    given = memory or memories.available_bytes()
    size = TRAINING_COPIES * sum(one.size for one in layouts)
    streamed = size > given
    parts = [layout.build_catalog(one, streamed) for one in layouts]
    for part, rows in zip(parts, found.rows, strict=bool(found.rows)):
        if len(part) != rows:
            raise UserError(f"{path}: says that {part.path} has {rows} rows, and it has {len(part)}")
    whole = parts[0] if found.paths == (path,) else _together(layouts, parts)
    notes = (*whole.notes, *found.notes)
    if streamed:
        notes += (
            f"data are read from disk while they train, as {size / 1e9:.3g}GB would be more than --memory allows "
            f"({given / 1e9:.3g}GB); the ridge reference is fitted to as many rows as it allows",
        )
    return replace(whole, path=path, memory_limit=given, notes=notes)


def first_file(path: Path) -> Path:
    """The first file of a catalog, no other being opened: what tells its kind."""
    if path.suffix == ".json":
        return _listed_in(path).paths[0]
    if not is_pattern(path):
        return path
    found = next((one for one in _every(path) if _is_catalog(one)), None)
    return found or _matching(path).paths[0]  # which says that there is none


def is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path)) and not path.exists()


def catalog_name(path: Path) -> str:
    """What a catalog is called in the names of files that are made from it."""
    if not is_pattern(path):
        return path.stem
    plain = [part for part in path.with_suffix("").parts if not glob.has_magic(part) and part not in (".", "..", "/")]
    return plain[-1] if plain else "catalog"


def manifest_json(parts: Sequence[CatalogFile], folder: Path) -> str:
    """JSON that stands for these files, their paths as seen from the folder that it will lie in."""
    told = [{"path": _seen_from(folder, one.path), "rows": one.rows} for one in parts]
    return json.dumps({"kind": "manifest", "format": MANIFEST_FORMAT, "parts": told}, indent=1) + "\n"


@dataclass(frozen=True)
class _Found:
    """rows: of each file, where a manifest says so. notes: what was left out."""

    paths: tuple[Path, ...]
    rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def _found(path: Path) -> _Found:
    if path.suffix == ".json":
        return _listed_in(path)
    return _matching(path) if is_pattern(path) else _Found((path,))


def _matching(path: Path) -> _Found:
    """The catalogs that match: what this tool writes beside them, models or posteriors, is none."""
    every = _every(path)
    others = {one for one in every if not _is_catalog(one)}
    if len(others) == len(every):
        raise UserError(f"{path}: no {'catalog' if others else 'file'} matches")
    notes = (f"left out, being no catalogs: {listed(sorted(one.name for one in others))}",) if others else ()
    return _Found(tuple(one for one in every if one not in others), notes=notes)


def _every(pattern: Path) -> list[Path]:
    return [one for one in map(Path, sorted(glob.glob(str(pattern), recursive=True))) if one.is_file()]


def _is_catalog(path: Path) -> bool:
    return storage.file_kind(path) in (None, "catalog")


def _listed_in(path: Path) -> _Found:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        said = json.loads(path.read_text())
        told = [(path.parent / part["path"], int(part["rows"])) for part in said["parts"]]
        known = said["kind"] == "manifest" and int(said["format"]) <= MANIFEST_FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no manifest; `cosmoinfer inspect 'sims/*.h5' --manifest` writes one") from error
    if not known or not told:
        raise UserError(f"{path}: is no manifest that this version reads")
    for part, _ in told:
        if not part.is_file():
            raise UserError(f"{path}: names {part}, which is missing")
    return _Found(*zip(*told, strict=True))


def _together(layouts: Sequence[Layout], parts: Sequence[Catalog]) -> Catalog:
    check_compatible(parts)
    stems = unique_names([found.path for found in layouts])
    triples = zip(layouts, parts, stems, strict=True)
    named = [replace(part, simulation=_ids(found, part.simulation, stem)) for found, part, stem in triples]
    owner: dict[str, Path] = {}
    for part in named:
        ids = set(part.simulation.tolist())
        if twice := ids & owner.keys():
            other = owner[min(twice)]
            raise UserError(
                f"{part.path}: simulation {listed(sorted(twice))} stands in {other}, too; ids must differ from file to "
                "file, or each file bear its suite as an attribute"
            )
        owner |= dict.fromkeys(ids, part.path)
    return concatenate(named)


def _ids(found: Layout, own: np.ndarray, stem: str) -> np.ndarray:
    """``suite/id`` where the file says its suite; rows without ids are those of their file."""
    suite = storage.file_attribute(found.path, "suite")
    prefix = "/".join(([suite] if suite else []) + ([] if found.own_ids else [stem]))
    return np.array([f"{prefix}/{one}" for one in own.tolist()]) if prefix else own


def _seen_from(folder: Path, path: Path) -> str:
    there, here = (Path(os.path.abspath(one)) for one in (path, folder))  # a link keeps its own name
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
