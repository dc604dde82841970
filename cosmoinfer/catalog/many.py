"""One catalog in one file or in many: a pattern (``'sims/*.h5'``), or a manifest, a JSON list of files."""

import glob
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer import memory as memories
from cosmoinfer import storage
from cosmoinfer.catalog import layout
from cosmoinfer.catalog.reading import Reading
from cosmoinfer.catalog.rows import Catalog
from cosmoinfer.catalog.suites import agree, one_after_another
from cosmoinfer.errors import UserError, listed

COPIES = 3  # of the data that a training holds in memory: as they are, scaled, and on their way
FORMAT = 1


def assemble(path: Path, reading: Reading, memory: int | None = None) -> Catalog:
    """What the files say, shapes checked, values not yet. What does not fit into the memory (bytes) stays in them."""
    paths = files(path)
    given = memory or memories.budget()
    streamed = COPIES * sum(layout.size(one, reading) for one in paths) > given
    parts = [layout.assemble(one, reading, streamed) for one in paths]
    found = parts[0] if len(parts) == 1 else _together(parts, reading)
    return replace(found, path=path, memory=given if streamed else 0, files=tuple(paths))


def files(path: Path) -> list[Path]:
    """The files of a catalog, in the order of their rows."""
    if path.suffix == ".json":
        return _listed_in(path)
    if not is_pattern(path):
        return [path]
    found = [Path(one) for one in sorted(glob.glob(str(path)))]
    if not found:
        raise UserError(f"{path}: no file matches")
    return found


def is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path)) and not path.exists()


def name(path: Path) -> str:
    """What a catalog is called in the names of files that are made from it."""
    if not is_pattern(path):
        return path.stem
    plain = [part for part in path.with_suffix("").parts if not glob.has_magic(part) and part not in (".", "..", "/")]
    return plain[-1] if plain else "catalog"


def manifest(path: Path, folder: Path) -> str:
    """JSON that stands for the files of a catalog, their paths as seen from the folder that it will lie in."""
    parts = [{"path": _seen_from(folder, one), "rows": layout.rows(one, Reading())} for one in files(path)]
    return json.dumps({"kind": "manifest", "format": FORMAT, "parts": parts}, indent=1) + "\n"


def _listed_in(path: Path) -> list[Path]:
    """Those of a manifest, as long as they are what it says they are."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        found = json.loads(path.read_text())
        told = [(path.parent / part["path"], int(part["rows"])) for part in found["parts"]]
        known = found["kind"] == "manifest" and int(found["format"]) <= FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no manifest; `cosmoinfer inspect 'sims/*.h5' --manifest` writes one") from error
    if not known or not told:
        raise UserError(f"{path}: is no manifest that this version reads")
    for part, rows in told:
        if not part.is_file():
            raise UserError(f"{path}: names {part}, which is missing")
        if (there := layout.rows(part, Reading())) != rows:
            raise UserError(f"{path}: says that {part} has {rows} rows, and it has {there}")
    return [part for part, _ in told]


def _together(parts: Sequence[Catalog], reading: Reading) -> Catalog:
    agree(parts)
    named = [replace(part, simulation=_ids(part, reading)) for part in parts]
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
    return one_after_another(named)


def _ids(part: Catalog, reading: Reading) -> np.ndarray:
    """``suite/id`` where the file says its suite; rows without ids are those of their file."""
    suite = storage.attribute(part.path, "suite")
    own = not reading.rows_per_simulation and (reading.simulation.strip("/") or "simulation") in storage.contents(
        part.path
    )
    prefix = "/".join(([suite] if suite else []) + ([] if own else [part.path.stem]))
    return np.array([f"{prefix}/{one}" for one in part.simulation.tolist()]) if prefix else part.simulation


def _seen_from(folder: Path, path: Path) -> str:
    there, here = path.resolve(), folder.resolve()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
