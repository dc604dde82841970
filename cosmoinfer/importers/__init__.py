"""Files of other formats as catalogs: one file a format, and the table IMPORTERS.

A new format is a file as its neighbours are, with a function that recognises a path and one that reads it, and a line
of the table, in which the first that recognises a path is asked.
"""

import glob
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer import memory as memories
from cosmoinfer import storage
from cosmoinfer.catalog import Catalog, ReadOptions, layout, multi_file
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.catalog.selection import validated
from cosmoinfer.errors import UserError
from cosmoinfer.importers import chains, multifield, named_arrays, npy, per_simulation, sacc, text
from cosmoinfer.importers.parameter_tables import read_parameters
from cosmoinfer.importers.source import Importer, Request, Source, combine, number_rows, to_layout, without_paths

__all__ = [
    "IMPORTERS",
    "build",
    "find_importer",
    "is_source",
    "read",
    "read_covariance",
    "read_source",
    "read_unchecked",
    "without_paths",
]

IMPORTERS: dict[str, Importer] = {
    "per-simulation": per_simulation.IMPORTER,
    "multifield": multifield.IMPORTER,
    "npy": npy.IMPORTER,
    "npz": named_arrays.NPZ,
    "torch": named_arrays.TENSORS,
    "chains": chains.IMPORTER,
    "text": text.IMPORTER,
    "sacc": sacc.IMPORTER,
}
FOREIGN_FORMATS = {
    ".fits": "FITS",
    ".mat": "MATLAB (version 7.3 is HDF5, and read under the name .h5)",
    ".pkl": "pickle, which executes what it holds",
    ".pickle": "pickle, which executes what it holds",
    ".parquet": "Parquet",
    ".root": "ROOT",
}


def find_importer(path: Path) -> Importer | None:
    """Of the format of a path, or of the files of a pattern; None for HDF5, manifests, and what no importer reads."""
    return next((importer for importer in IMPORTERS.values() if importer.recognises(path)), None)


def is_source(path: Path) -> bool:
    """Whether a path, or pattern, is read by an importer. Raises UserError for folders, and for formats that
    nothing reads."""
    if not storage.require_name(path).name:
        return False
    if find_importer(path) is not None or _channel_files(path):
        return True
    if path.is_dir():
        pattern = per_simulation.pattern_within(path)
        instead = f"name its files by a pattern, '{pattern}'" if "*" in pattern else f"name a file of it, as {pattern}"
        raise UserError(f"{path}: is a folder; {instead if pattern else 'none of its files holds data'}")
    if (suffix := path.suffix.lower()) in FOREIGN_FORMATS:
        raise UserError(
            f"{path}: is {FOREIGN_FORMATS[suffix]}; catalogs are HDF5, .npy, .npz, .txt, .csv or .pt, and "
            "numpy.savez('sims.npz', theta=theta, x=x) writes one"
        )
    return False


def read(
    path: Path | str,
    read_options: ReadOptions | None = None,
    memory: int | None = None,
    model_rows: Sequence[ModelRow] = (),
) -> Catalog:
    """As ``catalog.read``, of files of any format that is read.

    Raises UserError, which says in which file and row, when the catalog is not as it must be.
    """
    path, read_options = Path(path), read_options or ReadOptions()
    if not is_source(path):
        return multi_file.read(path, _of_hdf5(read_options, model_rows), memory, model_rows)
    catalog = read_unchecked(path, read_options, memory, model_rows)
    return validated(catalog, without_paths(read_options))


def read_unchecked(
    path: Path, read_options: ReadOptions, memory: int | None = None, model_rows: Sequence[ModelRow] = ()
) -> Catalog:
    """As ``catalog.read_unchecked``, of files of any format that is read.

    Raises UserError where these cannot be read, or a source of another format does not fit into memory.
    """
    if not is_source(path):
        return multi_file.read_unchecked(path, _of_hdf5(read_options, model_rows), memory, model_rows)
    source = read_source([path], read_options, model_rows)
    source_layout = to_layout(source, read_options)
    limit, size = memory or memories.available_bytes(), multi_file.TRAINING_COPIES * source_layout.size
    if size > limit:
        parameters = f" `parameters={read_options.parameters}`" if read_options.parameters else ""
        raise UserError(
            f"{path}: its data need {memories.format_size(size)} of memory, and `memory` allows "
            f"{memories.format_size(limit)}; cosmoinfer import '{path}'{parameters} `output=sims.h5` writes a catalog "
            "that is read from disk"
        )
    return replace(build(source, read_options, streamed=False, model_rows=model_rows), memory_limit=limit)


def _of_hdf5(read_options: ReadOptions, model_rows: Sequence[ModelRow]) -> ReadOptions:
    """Without what a model remembers of tables of text. Raises UserError where it is a setting of the user."""
    if read_options.columns and not model_rows:
        raise UserError("applies to tables of text, found HDF5", "columns")
    return replace(read_options, columns="")


def build(source: Source, read_options: ReadOptions, streamed: bool, model_rows: Sequence[ModelRow] = ()) -> Catalog:
    """The catalog of a source, its shapes checked and its values not. streamed: large arrays stay in their files."""
    catalog = layout.build_catalog(to_layout(source, read_options), streamed, model_rows)
    notes = [*source.notes, *catalog.notes]
    if catalog.theta is None and not model_rows:
        notes.append("no parameters: the rows are taken as observations (`parameters=FILE` names their file)")
    return replace(
        catalog,
        path=source.path,
        notes=tuple(notes),
        weights=source.weights,
        coordinates=source.coordinates,
    )


def read_source(paths: Sequence[Path], read_options: ReadOptions, model_rows: Sequence[ModelRow] = ()) -> Source:
    """What several files hold of the same rows, with the parameters and ids that options name.

    Raises UserError where one cannot be read, or they do not belong together.
    """
    files = [file for path in paths for file in (_channel_files(path) or [path])]
    by_name = (named_arrays.NPZ, named_arrays.TENSORS)
    if read_options.data and not any(importer.recognises(file) for importer in by_name for file in files):
        raise UserError(f"names datasets of HDF5 and arrays of .npz and .pt, found {files[0]}", "data")
    request = Request(read_options, tuple(model_rows))
    source = combine(Path(" + ".join(map(str, paths))), [_read_file(file, request) for file in files])
    inside = source.parameters is not None
    if read_options.parameters and not inside:
        source = replace(source, parameters=read_parameters(Path(read_options.parameters), read_options))
    if read_options.simulation and source.simulation is None and not Path(read_options.simulation).suffix:
        raise UserError(f"{source.path}: has no ids of that name; expected a file of ids", "simulation")
    if read_options.simulation and source.simulation is None:
        source = replace(source, simulation=_read_ids(Path(read_options.simulation)))
    return number_rows(source)


def _read_file(path: Path, request: Request) -> Source:
    importer = find_importer(path)
    if importer is None:
        storage.require_file(path)
        formats = "; ".join(entry.description for entry in IMPORTERS.values())
        raise UserError(f"{path}: is of no format that is imported ({formats}); HDF5 is read as it is")
    return importer.read(path, request)


def _channel_files(path: Path) -> list[Path]:
    """The files of a pattern, each of which is one field of the same simulations."""
    if not multi_file.is_pattern(path):
        return []
    files = list(map(Path, sorted(glob.glob(str(path), recursive=True))))
    return files if files and all(multifield.IMPORTER.recognises(file) for file in files) else []


def _read_ids(path: Path) -> np.ndarray:
    """(N,) ids as text, from a file of numpy or with one a line."""
    if path.suffix.lower() == ".npy":
        ids = storage.load_npy(path)
        if ids.ndim != 1 or ids.dtype.kind not in "iuU":
            raise UserError(f"{path}: has shape {ids.shape} of {ids.dtype}; expected (N,) ids", "simulation")
        return ids.astype(str)
    lines = [line.strip() for line in storage.load_text(path).splitlines()]
    return np.array([line for line in lines if line and not re.match("#", line)])


def read_covariance(path: Path) -> np.ndarray:
    """A covariance (K, K), or variances (K,), in a file of numpy, of text or of sacc.

    Raises UserError where the file holds none.
    """
    if sacc.recognises(path):
        return sacc.read_covariance(path)
    if path.suffix.lower() in text.SUFFIXES:
        values = storage.load_table(path).values
        return values[:, 0] if values.shape[1] == 1 else values
    return storage.load_npy(path)
