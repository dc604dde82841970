"""Any HDF5 file: what it holds, and its datasets, whole or by ranges of rows."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.storage.hdf5 import (
    Attributes,
    check_virtual_sources,
    decode_attribute,
    decode_text,
    error_reason,
    find_datasets,
    open_file,
    read_array,
    require_file,
)

MAX_CHUNK_OVERREAD = 8  # bytes of whole chunks, divided by the bytes that were asked for


@dataclass(frozen=True)
class DatasetInfo:
    """What a file says of one dataset before any of it is read.

    path: within the file, without the leading slash.
    shape, dtype: of its values.
    chunks: shape of a chunk; None when it is contiguous.
    compression: name of the filter, if any.
    attributes: text as str.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    compression: str | None
    attributes: Attributes


def file_attributes(path: Path) -> Attributes:
    """The attributes of the file itself, but for ``kind`` and ``format``."""
    with open_file(path) as file:
        return {key: decode_attribute(value) for key, value in file.attrs.items() if key not in ("kind", "format")}


def file_attribute(path: Path, name: str) -> str | None:
    """A text attribute of the file itself; None when it has none of that name."""
    with open_file(path) as file:
        return decode_text(file.attrs.get(name, "")) or None


def describe_datasets(path: Path) -> dict[str, DatasetInfo]:
    """Every dataset of a file, by its path without the leading slash; no values are read."""
    with open_file(path) as file:
        return {
            name: DatasetInfo(
                name,
                tuple(dataset.shape or ()),
                dataset.dtype,
                dataset.chunks,
                dataset.compression,
                {key: decode_attribute(value) for key, value in dataset.attrs.items()},
            )
            for name, dataset in find_datasets(file)
        }


def load(path: Path, name: str) -> np.ndarray:
    """All values of a dataset, text as str.

    Raises UserError when it is missing or damaged, or a virtual dataset that lacks a source.
    """
    with open_file(path) as file:
        if not isinstance(file.get(name), h5py.Dataset):
            names = ", ".join(f"/{dataset}" for dataset, _ in find_datasets(file)) or "nothing"
            raise UserError(f"{path}: has no dataset /{name.strip('/')}; it holds {names}")
        return read_array(path, file[name])


class DatasetHandle:
    """A dataset of numbers that stays in its file, read by ranges of rows.

    The file is opened when it is first read, once a process; a fork or an unpickled copy opens its own. A file that
    was replaced or modified since is not read any further.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Raises UserError when the file or a source of a virtual dataset is missing."""
        self.path, self.name = path, name
        self.identity = _file_identity(require_file(path))
        with open_file(path) as file:
            dataset = file[name]
            self.shape, self.dtype, self.chunks = tuple(dataset.shape), dataset.dtype, dataset.chunks
            if dataset.is_virtual:
                check_virtual_sources(path, dataset)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop - 1, (n, ...)."""
        rows = np.empty((min(stop, len(self)) - start, *self.shape[1:]), self.dtype)
        self.read_into(rows, start, start + len(rows))
        return rows

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...).

        Raises UserError when the file has changed or is damaged.
        """
        try:
            file = _open_for_reading(os.getpid(), self.path, self.identity)
            file[self.name].read_direct(rows.reshape(stop - start, *self.shape[1:]), np.s_[start:stop])
        except OSError as error:
            raise UserError(f"{self.path}: /{self.name} is damaged ({error_reason(error)})") from error

    def rows_per_block(self, size: int) -> int:
        """How many rows make about ``size`` bytes, in whole chunks of the file."""
        chunk_rows = self.chunks[0] if self.chunks else 1
        row_bytes = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        rows = chunk_rows * max(1, round(size / (row_bytes * chunk_rows)))
        if rows * row_bytes > MAX_CHUNK_OVERREAD * size:  # chunks that extend over all rows
            return max(1, size // row_bytes)
        return rows


@lru_cache(maxsize=32)
def _open_for_reading(process: int, path: Path, identity: tuple[int, ...]) -> h5py.File:
    """One of the last files that were read in this process; a file that is dropped from the cache is closed."""
    if _file_identity(require_file(path)) != identity:
        raise UserError(f"{path}: was modified after it was opened")
    return h5py.File(path, "r")


def _file_identity(path: Path) -> tuple[int, ...]:
    """Inode, size in bytes and time of the last change."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
