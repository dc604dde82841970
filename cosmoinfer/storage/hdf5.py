"""Any HDF5 file: opened, what it holds, and its datasets, whole or by ranges of rows.

Text is decoded, and virtual datasets are checked.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import UserError, join_first

Attributes = dict[str, Any]  # of a file or a dataset: what HDF5 holds, with text as str
MAX_NAMES_IN_ERROR = 10  # of datasets
MAX_CHUNK_OVERREAD = 8  # bytes of whole chunks, divided by the bytes that were asked for


@contextmanager
def open_file(path: Path | str) -> Iterator[h5py.File]:
    """A file to read. Raises UserError for one that is missing, being written, truncated or damaged."""
    try:
        file = h5py.File(require_file(path), "r")
    except BlockingIOError as error:
        raise UserError(f"{path}: another process has it open to write; try again when it is done") from error
    except OSError as error:
        raise UserError(f"{path}: is no HDF5 file, or a truncated one ({error_reason(error)})") from error
    with file:
        try:
            yield file
        except UserError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py on damaged headers; JSON; text
            raise UserError(f"{path}: is damaged ({error_reason(error)})") from error


def require_file(path: Path | str) -> Path:
    """The path. Raises UserError when no file has it."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def find_datasets(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    """Every dataset below a group, with its path, sorted by path."""
    datasets: list[tuple[str, h5py.Dataset]] = []
    group.visititems(lambda name, node: datasets.append((name, node)) if isinstance(node, h5py.Dataset) else None)
    return sorted(datasets, key=lambda pair: pair[0])


def read_array(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """All values, text as str. Raises UserError for damaged chunks and incomplete virtual datasets."""
    if dataset.is_virtual:
        check_virtual_sources(path, dataset)
    try:
        array = np.asarray(dataset[()])
    except OSError as error:
        raise UserError(f"{path}: {dataset.name} is damaged ({error_reason(error)})") from error
    return np.vectorize(decode_text, otypes=[str])(array) if array.dtype.kind in "SO" else array


def check_virtual_sources(path: Path, dataset: h5py.Dataset) -> None:
    """Raises UserError when a source of a virtual dataset is missing or too short, which HDF5 would read as zeros."""
    n_mapped, countable = 0, True
    for source in dataset.virtual_sources():
        if "%b" in source.file_name:  # as many files as exist: they determine the number of rows
            countable = False
            continue
        n_mapped += source.vspace.get_select_npoints()
        file_path = _source_path(path, dataset, source.file_name)
        with open_file(file_path) as file:
            target = file.get(source.dset_name)
            if not isinstance(target, h5py.Dataset):
                raise UserError(
                    f"{path}: a source of {dataset.name} is missing: {file_path} has no dataset {source.dset_name}"
                )
            if _is_too_short(source, target):
                raise UserError(
                    f"{path}: {dataset.name} refers to more than {source.dset_name} of {file_path} holds, which has "
                    f"shape {target.shape}"
                )
            if target.is_virtual:
                check_virtual_sources(file_path, target)
    if countable and n_mapped < dataset.size:
        missing = dataset.size - n_mapped
        raise UserError(f"{path}: {dataset.name} has no source for {missing} of its {dataset.size} values")


def _source_path(path: Path, dataset: h5py.Dataset, file_name: str) -> Path:
    """Where the file of a source lies, as HDF5 looks for it: beside the virtual file, or beside what it links to."""
    if file_name == ".":
        return path
    candidates = (path.parent / file_name, path.resolve().parent / file_name)
    existing = next((candidate for candidate in candidates if candidate.is_file()), None)
    if existing is None:
        raise UserError(f"{path}: a source of {dataset.name} is missing: {file_name}")
    return existing


def _is_too_short(source: Any, target: h5py.Dataset) -> bool:
    """Whether a dataset has less than a virtual one takes from it."""
    if source.src_space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:  # all of it
        return bool(target.size < source.vspace.get_select_npoints())
    last = source.src_space.get_select_bounds()[1]
    return len(last) != target.ndim or any(end >= size for end, size in zip(last, target.shape, strict=True))


def decode_attribute(value: Any) -> Any:
    """An attribute with its text as str, or a tuple of str."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return tuple(decode_text(item) for item in value.ravel())
    return decode_text(value) if isinstance(value, bytes) else value


def encode_attribute(attribute: Any) -> Any:
    """An attribute as HDF5 holds it: the inverse of ``decode_attribute``."""
    if isinstance(attribute, tuple | list) and attribute and isinstance(attribute[0], str):
        return np.array(attribute, dtype=h5py.string_dtype())
    return attribute


def decode_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def error_reason(error: BaseException) -> str:
    """What the system says of an error, in one line."""
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]


def chunk_shape(shape: tuple[int, ...], itemsize: int, max_bytes: int = 1 << 20) -> tuple[int, ...]:
    """Whole rows of about a megabyte together: a checksum needs chunks, and readers ask for rows."""
    row_bytes = max(1, int(np.prod(shape[1:])) * itemsize)
    if row_bytes > max_bytes and len(shape) > 1:
        return (1, *chunk_shape(shape[1:], itemsize, max_bytes))
    return (max(1, min(shape[0], max_bytes // row_bytes)), *shape[1:])


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of a file: how a later file says which one it was made from."""
    with require_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def _sha256(file: Any) -> str:
    sha = hashlib.sha256()
    while block := file.read(1 << 20):
        sha.update(block)
    return sha.hexdigest()


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
            names = join_first((f"/{dataset}" for dataset, _ in find_datasets(file)), MAX_NAMES_IN_ERROR) or "nothing"
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
