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
from cosmoinfer.catalog.catalog import Catalog, CatalogFile
from cosmoinfer.catalog.datasets import Layout, read_layout
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.catalog.selection import validated
from cosmoinfer.catalog.suites import check_compatible, concatenate, unique_names
from cosmoinfer.errors import UserError, join_first

TRAINING_COPIES = 3  # of the data in memory: as read, standardised, and in transit
MANIFEST_FORMAT = 1


def read(
    path: Path | str,
    read_options: ReadOptions | None = None,
    memory: int | None = None,
    model_rows: Sequence[ModelRow] = (),
) -> Catalog:
    """A catalog that a training can trust: finite, consistent, inside its box.

    path: a file, a pattern of files, or a manifest.
    memory: bytes that the data may take, by default a share of what there is; what does not fit stays in its file.
    model_rows: rows of each observable as a model takes them, by which a single row without an axis is recognised.

    Raises UserError, which says in which file and row, when the catalog is not as it must be.
    """
    read_options = read_options or ReadOptions()
    return validated(read_unchecked(Path(path), read_options, memory, model_rows), read_options)


def read_unchecked(
    path: Path, read_options: ReadOptions, memory: int | None = None, model_rows: Sequence[ModelRow] = ()
) -> Catalog:
    """The catalog in a file, in the files of a pattern or of a manifest; shapes are checked, values are not.

    memory: bytes that the data may take; data that need more stay in their files.

    Raises UserError when a file is missing, has no data, or does not agree with the others.
    """
    file_list = _list_files(path)
    layouts = [read_layout(file, read_options) for file in file_list.paths]
    limit = memory or memories.available_bytes()
    size = TRAINING_COPIES * sum(file_layout.size for file_layout in layouts)
    streamed = size > limit
    catalogs = [layout.build_catalog(file_layout, streamed, model_rows) for file_layout in layouts]
    for catalog, rows in zip(catalogs, file_list.rows, strict=bool(file_list.rows)):
        if len(catalog) != rows:
            raise UserError(f"{path}: lists {catalog.path} with {rows} rows, which has {len(catalog)}")
    catalog = catalogs[0] if file_list.paths == (path,) else _concatenate_files(layouts, catalogs)
    notes = (*catalog.notes, *file_list.notes)
    if streamed:
        notes += (
            f"data are read from disk during training, as they need {size / 1e9:.3g}GB and `memory` allows "
            f"{limit / 1e9:.3g}GB; the ridge estimate is fitted to as many rows as fit",
        )
    return replace(catalog, path=path, memory_limit=limit, notes=notes)


def first_file(path: Path) -> Path:
    """The first file of a catalog, from which its kind is read.

    Raises UserError when no file matches.
    """
    if path.suffix == ".json":
        return _read_manifest(path).paths[0]
    if not is_pattern(path):
        return path
    first = next((file for file in _matching_files(path) if _is_catalog(file)), None)
    return first or _matching_catalogs(path).paths[0]  # which raises


def files(path: Path) -> Sequence[Path]:
    """All files that a path, a pattern or a manifest stands for. Raises UserError when no file matches."""
    return _list_files(path).paths


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern of several files, not the name of one."""
    return glob.has_magic(str(path)) and not storage.require_name(path).exists()


def catalog_name(path: Path) -> str:
    """What a catalog is called in the names of files that are made from it."""
    if not is_pattern(path):
        return path.stem
    plain = [name for name in path.with_suffix("").parts if not glob.has_magic(name) and name not in (".", "..", "/")]
    return plain[-1] if plain else "catalog"


def manifest_json(files: Sequence[CatalogFile], folder: Path) -> str:
    """The JSON of a manifest that lists these files, with paths relative to the folder that it will lie in."""
    entries = [{"path": _relative_path(folder, file.path), "rows": file.rows} for file in files]
    return json.dumps({"kind": "manifest", "format": MANIFEST_FORMAT, "parts": entries}, indent=1) + "\n"


@dataclass(frozen=True)
class _FileList:
    """rows: of each file, when a manifest lists them. notes: what was left out."""

    paths: tuple[Path, ...]
    rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def _list_files(path: Path) -> _FileList:
    if path.suffix == ".json":
        return _read_manifest(path)
    return _matching_catalogs(path) if is_pattern(path) else _FileList((path,))


def _matching_catalogs(pattern: Path) -> _FileList:
    """The catalogs that match, without the models, posteriors and other files that this tool wrote beside them."""
    files = _matching_files(pattern)
    catalogs = [file for file in files if _is_catalog(file)]
    if not catalogs:
        raise UserError(f"{pattern}: no {'catalog' if files else 'file'} matches")
    left_out = sorted(file.name for file in set(files) - set(catalogs))
    notes = (f"left out, being no catalogs: {join_first(left_out)}",) if left_out else ()
    return _FileList(tuple(catalogs), notes=notes)


def _matching_files(pattern: Path) -> list[Path]:
    paths = map(Path, sorted(glob.glob(str(pattern), recursive=True)))
    return [storage.require_file(path) for path in paths if not path.is_dir()]


def _is_catalog(path: Path) -> bool:
    return storage.file_kind(path) in (None, "catalog")


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest that this version reads."""
    return bool(path.is_file() and _parse_manifest(path))


def _read_manifest(path: Path) -> _FileList:
    entries = _parse_manifest(storage.require_file(path))
    if not entries:
        raise UserError(
            f"{path}: is no manifest that this version reads; "
            "cosmoinfer inspect 'sims/*.h5' `manifest=FILE.json` writes one"
        )
    for file, _ in entries:
        try:
            storage.require_file(file)
        except UserError as error:
            raise UserError(f"{path}: lists {error.message}") from error
    return _FileList(*zip(*entries, strict=True))


def _parse_manifest(path: Path) -> list[tuple[Path, int]]:
    """Paths and rows; none where the file is no manifest of a known format."""
    try:
        manifest = storage.parse_object(storage.load_text(path))
        if manifest["kind"] != "manifest" or not 1 <= manifest["format"] <= MANIFEST_FORMAT:
            return []
        entries = [(path.parent / entry["path"], entry["rows"]) for entry in manifest["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return entries if all(type(rows) is int for _, rows in entries) else []


def _concatenate_files(layouts: Sequence[Layout], catalogs: Sequence[Catalog]) -> Catalog:
    check_compatible(catalogs)
    stems = unique_names([file_layout.path for file_layout in layouts])
    renamed = [
        replace(catalog, simulation=_ids_across_files(file_layout, catalog.simulation, stem))
        for file_layout, catalog, stem in zip(layouts, catalogs, stems, strict=True)
    ]
    path_of_id: dict[str, Path] = {}
    for catalog in renamed:
        ids = set(catalog.simulation.tolist())
        if repeated := ids & path_of_id.keys():
            raise UserError(
                f"{catalog.path}: simulation {join_first(sorted(repeated))} is in {path_of_id[min(repeated)]}, too; "
                "ids must differ from file to file, or each file must name its suite in an attribute"
            )
        path_of_id |= dict.fromkeys(ids, catalog.path)
    return concatenate(renamed)


def _ids_across_files(file_layout: Layout, ids: np.ndarray, stem: str) -> np.ndarray:
    """``suite/id`` when the file names its suite; row numbers get the stem of their file in front."""
    suite = storage.file_attribute(file_layout.path, "suite")
    prefix = "/".join(([suite] if suite else []) + ([] if file_layout.has_ids else [stem]))
    return np.array([f"{prefix}/{simulation}" for simulation in ids.tolist()]) if prefix else ids


def _relative_path(folder: Path, path: Path) -> str:
    target, start = (Path(os.path.abspath(relative)) for relative in (path, folder))  # a link keeps its own name
    return str(target.relative_to(start)) if target.is_relative_to(start) else str(target)
