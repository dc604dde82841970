"""Measurements in the HDF5 form of sacc 2 (github.com/LSSTDESC/sacc): the mean vector with its tags.

Its covariance is what ``noise`` takes from the same file.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy import linalg

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importers.source import Importer, Request, Source, SourceData

MARK = "sacc_hdf5_version"  # a dataset of every such file
SUFFIXES = (".h5", ".hdf5", ".sacc")
ORDER, VALUE = "sacc_ordering", "value"
COVARIANCE = "covariance"


def recognises(path: Path) -> bool:
    """Whether a path is a file of sacc."""
    return path.suffix.lower() in SUFFIXES and storage.has_dataset(path, MARK)


def _read(path: Path, request: Request) -> Source:
    tables = _data_tables(path)
    size = sum(len(table) for table in tables.values())
    order = np.concatenate([table[ORDER] for table in tables.values()])
    if not np.array_equal(np.sort(order), np.arange(size)):
        raise UserError(
            f"{path}: numbers its {size} data points {join_first(np.sort(order))}; expected each once, from 0"
        )
    places = np.argsort(order)
    values = np.concatenate([np.asarray(table[VALUE], np.float64) for table in tables.values()])[places]
    kinds = np.concatenate([np.full(len(table), name) for name, table in tables.items()])[places]
    tracers = np.concatenate([_tracers(table) for table in tables.values()])[places]
    coordinates = {"data_type": kinds, "tracers": tracers}
    for tag in _common_tags(tables):
        coordinates[tag] = np.concatenate([np.asarray(table[tag], np.float64) for table in tables.values()])[places]
    extra = {}
    if any(name.startswith(COVARIANCE) for name in storage.describe_datasets(path)):
        extra = {COVARIANCE: read_covariance(path)}
    notes = [f"{size} data points of {join_first(tables, 20)}, in the order of the file"]
    if extra:
        notes.append("its covariance is given to a training by `noise`")
    return Source(
        path,
        {"data": SourceData(values[None], {"kind": "vector"})},
        coordinates=coordinates,
        extra=extra,
        notes=tuple(notes),
    )


def _data_tables(path: Path) -> dict[str, np.ndarray]:
    """The tables of data points, by their type."""
    names = [name for name in storage.describe_datasets(path) if name.startswith("data/")]
    tables = {name.removeprefix("data/"): storage.load(path, name) for name in names}
    for name, table in tables.items():
        if not {ORDER, VALUE} <= set(table.dtype.names or ()):
            raise UserError(f"{path}: /data/{name} has no columns {VALUE} and {ORDER}; expected a file of sacc 2")
    if not tables:
        raise UserError(f"{path}: holds no data points")
    return tables


def _tracers(table: np.ndarray) -> np.ndarray:
    """(K,) the tracers of each point, as source_0,source_1."""
    columns = [table[name].astype(str) for name in table.dtype.names or () if name.startswith("tracer_")]
    return np.array([",".join(words) for words in zip(*columns, strict=True)] if columns else [""] * len(table))


def _common_tags(tables: Mapping[str, np.ndarray]) -> list[str]:
    """Numbers that every data point has, as ell or theta."""
    tags = [
        {name for name in table.dtype.names or () if table[name].ndim == 1 and table[name].dtype.kind in "fiu"}
        for table in tables.values()
    ]
    taken = {ORDER, VALUE, "window_ind", "window_id", "data", "parameters", "simulation", "meta"}
    return sorted(set.intersection(*tags) - taken)


def read_covariance(path: Path) -> np.ndarray:
    """(K, K), full, in blocks, or from variances. Raises UserError where the file has none."""
    described = storage.describe_datasets(path)
    parts = {name: info for name, info in described.items() if name.startswith(COVARIANCE)}
    if not parts:
        raise UserError(f"{path}: holds no covariance")
    ordered = sorted(parts, key=lambda name: int(np.ravel(parts[name].attributes.get("SACCBIDX", 0))[0]))
    blocks = []
    for name in ordered:
        table = storage.load(path, name)
        columns = table.dtype.names or ()
        if len(columns) != 1:
            raise UserError(f"{path}: /{name} is no covariance of sacc 2 (its columns are {join_first(columns)})")
        values = np.asarray(table[columns[0]], np.float64)
        blocks.append(np.diag(values) if values.ndim == 1 else values)
    if any(block.ndim != 2 or block.shape[0] != block.shape[1] for block in blocks):
        raise UserError(f"{path}: its covariance has blocks of shape {join_first(block.shape for block in blocks)}")
    return np.asarray(linalg.block_diag(*blocks))


IMPORTER = Importer("measurements of sacc, HDF5", recognises, _read)
