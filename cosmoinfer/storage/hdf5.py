"""Datasets of any HDF5 file: what it holds, and their values, whole or by ranges of rows."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import DamageError, UserError
from cosmoinfer.storage.attributes import Attributes, decode_text, read_attributes, type_problem
from cosmoinfer.storage.digests import OWN_ATTRIBUTES, TABLE, DatasetDigest, DigestTable, changed_values, digest_of
from cosmoinfer.storage.encoding import PLAIN, Encoding, RowAxis
from cosmoinfer.storage.filters import filter_problem, register_filters
from cosmoinfer.storage.links import Entry, find_dataset, find_group, walk
from cosmoinfer.storage.npy_rows import StoredRows
from cosmoinfer.storage.opening import (
    CRASHES,
    error_reason,
    file_identity,
    open_file,
    open_hdf5,
    require_file,
    require_unmodified,
)
from cosmoinfer.storage.probe import survives_dataset
from cosmoinfer.storage.raw_sources import check_sources, holding_files, size_problem

MAX_CHUNK_OVERREAD = 8  # bytes of whole chunks, divided by the bytes that were asked for


def read_array(
    path: Path,
    dataset: h5py.Dataset,
    digest: DatasetDigest | None = None,
    text_fallback: str = "",
    follow_links: bool = False,
) -> np.ndarray:
    """All values, text as str. text_fallback: the encoding of text that is no UTF-8, which is an error otherwise.

    Raises UserError for damaged chunks, filters that are not installed, values in other files that are incomplete or
    not to be opened, more values than the file can hold, and where a digest is another.
    """
    if problem := _problem(dataset, follow_links):
        raise UserError(f"{path}: {dataset.name} {problem}")
    check_sources(path, dataset)
    register_filters(dataset)
    if not survives_dataset(Path(dataset.file.filename), dataset):
        raise DamageError(f"{path}: {dataset.name} is damaged ({CRASHES})")
    try:
        array = np.asarray(dataset[()])
    except OSError as error:
        raise _unreadable(path, dataset, error) from error
    if digest is not None and not digest.matches_blocks(array, 0):
        raise changed_values(dataset)
    if array.dtype.kind not in "SO":
        return array
    return np.vectorize(partial(decode_text, fallback=text_fallback), otypes=[str])(array)


def _problem(dataset: h5py.Dataset, follow_links: bool) -> str:
    """Why the values of a dataset cannot be read, in words; empty if they can."""
    path = Path(dataset.file.filename)
    try:
        files = holding_files(path, dataset, follow_links)
    except UserError as error:
        return error.message
    try:
        dataset.dtype  # noqa: B018  which the type of the file may not have
    except TypeError as error:
        return f"holds values of a type that cannot be read ({error_reason(error)})"
    if dataset.shape is None:
        return "is empty: it has no values"
    return type_problem(dataset.id.get_type()) or size_problem(dataset, files)


def _unreadable(path: Path, dataset: h5py.Dataset, error: OSError) -> UserError:
    return UserError(f"{path}: {dataset.name} {filter_problem(dataset) or f'is damaged ({error_reason(error)})'}")


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
    unreadable: why other attributes cannot be read, by name.
    problem: why its values cannot be read, in words; shape and dtype are then void.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    compression: str | None
    attributes: Attributes
    unreadable: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def holds_objects(self) -> bool:
        """Whether its values are references or of variable length, other than text: they can be read, not written."""
        return self.dtype.hasobject and h5py.check_string_dtype(self.dtype) is None

    @classmethod
    def from_entry(cls, entry: Entry, follow_links: bool = False) -> "DatasetInfo":
        """Of a name in an open file. follow_links: to other files that hold some of the values."""
        dataset = entry.dataset
        if dataset is None:
            return cls(entry.name, (), np.dtype("V"), None, None, {}, problem=entry.problem)
        attributes, unreadable = read_attributes(dataset)
        if problem := _problem(dataset, follow_links):
            return cls(entry.name, (), np.dtype("V"), None, None, attributes, unreadable, problem)
        layout = (tuple(dataset.shape), dataset.dtype, dataset.chunks, dataset.compression)
        return cls(entry.name, *layout, attributes, unreadable)


def file_attributes(path: Path) -> Attributes:
    """The attributes of the file itself that can be read, but for those that this tool writes for itself."""
    with open_file(path) as file:
        DigestTable.read_from(file)
        attributes, _ = read_attributes(file)
    return {name: value for name, value in attributes.items() if name not in OWN_ATTRIBUTES}


def file_attribute(path: Path, name: str) -> str | None:
    """A text attribute of the file itself; None when it has none of that name, or an empty one.

    Raises UserError when it is of another type.
    """
    with open_file(path) as file:
        attributes, unreadable = read_attributes(file)
    value = attributes.get(name)
    if isinstance(value, tuple | np.ndarray) and len(value) == 1:
        value = value[0]
    if name in unreadable or isinstance(value, tuple | np.ndarray):
        reason = unreadable.get(name, "holds several values; expected one")
        raise UserError(f"{path}: the attribute {name} of the file {reason}")
    return None if value is None else str(value) or None


def group_attributes(path: Path, name: str, follow_links: bool = False) -> Attributes | None:
    """The attributes of a group that can be read; None when no group has that name."""
    with open_file(path) as file:
        group = find_group(file, name, follow_links)
        return None if group is None else read_attributes(group)[0]


def describe_datasets(path: Path, follow_links: bool = False) -> dict[str, DatasetInfo]:
    """Every dataset of a file, by its path without the leading slash, and every link that leads to none.

    follow_links: also those that lead into other files. No values are read.
    """
    with open_file(path) as file:
        entries = walk(file, follow_links)
        if (table := DigestTable.read_from(file)) is not None:
            entries = [entry for entry in entries if entry.name != TABLE]
            for entry in entries:
                table.of_dataset(entry.dataset)
        return {entry.name: DatasetInfo.from_entry(entry, follow_links) for entry in entries}


def describe_dataset(path: Path, name: str, follow_links: bool = False) -> DatasetInfo:
    """What a file says of one dataset. Raises UserError when it is missing."""
    with open_file(path) as file:
        dataset = find_dataset(path, file, name, follow_links)
        digest_of(dataset)
        return DatasetInfo.from_entry(Entry(name, dataset), follow_links)


def load(path: Path, name: str, follow_links: bool = False) -> np.ndarray:
    """All values of a dataset, text as str.

    Raises UserError when it is missing or damaged, or has values in other files which are missing.
    """
    with open_file(path) as file:
        dataset = find_dataset(path, file, name, follow_links)
        return read_array(path, dataset, digest_of(dataset), "latin-1", follow_links)


class DatasetHandle(StoredRows):
    """A dataset of numbers that stays in its file, read by ranges of rows.

    The file is opened when it is first read, once a process; a fork or an unpickled copy opens its own. A file that
    was replaced or modified since is not read any further.
    """

    def __init__(self, path: Path, name: str, follow_links: bool = False, encoding: Encoding = PLAIN) -> None:
        """follow_links: into another file, from which the rows are then read. encoding: from which rows are decoded.

        Raises UserError when the file, or another one that holds some of the values, is missing.
        """
        with open_file(path) as file:
            dataset = find_dataset(path, file, name, follow_links)
            if problem := _problem(dataset, follow_links):
                raise UserError(f"{path}: {dataset.name} {problem}")
            self.path, self.name = path, name
            self.files = tuple(dict.fromkeys((path, Path(dataset.file.filename))))  # the second at the end of a link
            self.identity = file_identity(self.files)
            self.shape, self.dtype = encoding.shape(dataset.shape), encoding.dtype(dataset.dtype)
            self.encoding, self.chunks = encoding, dataset.chunks
            self._digest = digest_of(dataset)
            self._verified: set[int] = set()  # blocks of rows
            check_sources(self.files[-1], dataset)
            register_filters(dataset)

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...).

        Raises UserError when the file has changed or is damaged.
        """
        try:
            dataset = _open_for_reading(os.getpid(), self.files, self.identity)[self.name]
        except OSError as error:
            raise UserError(f"{self.path}: cannot be opened any more ({error_reason(error)})") from error
        try:
            if self.encoding == PLAIN:
                dataset.read_direct(rows.reshape(stop - start, *self.shape[1:]), np.s_[start:stop])
            else:
                rows[:] = self.encoding.read_rows(dataset, start, stop).reshape(rows.shape)
            if self._digest is not None:
                self._verify(dataset, self._digest, rows, start, stop)
        except OSError as error:
            raise _unreadable(self.path, dataset, error) from error
        finally:
            require_unmodified(self.files, self.identity)

    def _verify(self, dataset: h5py.Dataset, digest: DatasetDigest, rows: np.ndarray, start: int, stop: int) -> None:
        """Raises DamageError where the blocks that rows start..stop - 1 lie in are not as they were written.

        Whole blocks are compared as they were read, others are read for it; each once.
        """
        size, n_blocks = digest.rows_per_block, len(digest.blocks)
        rows_are_first = self.encoding.row_axis in (RowAxis.FIRST, RowAxis.ONLY)
        required = range(start // size, -(-stop // size)) if rows_are_first else range(n_blocks)
        if self._verified.issuperset(required):
            return
        whole = range(-(-start // size), n_blocks if stop == len(self) else stop // size)
        if self.encoding == PLAIN and rows.dtype == dataset.dtype and whole:
            matches = digest.matches_blocks(rows[whole.start * size - start : whole.stop * size - start], whole.start)
            edges = (range(required.start, whole.start), range(whole.stop, required.stop))
        else:
            matches, edges = True, (required, range(0))
        if not matches or not all(digest.matches_stored(dataset, blocks) for blocks in edges):
            raise changed_values(dataset)
        self._verified.update(required)

    def rows_per_block(self, size: int) -> int:
        """How many rows make about ``size`` bytes, in whole chunks of the file."""
        chunk_rows = self.chunks[-1 if self.encoding.row_axis is RowAxis.LAST else 0] if self.chunks else 1
        row_bytes = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        rows = chunk_rows * max(1, round(size / (row_bytes * chunk_rows)))
        if rows * row_bytes > MAX_CHUNK_OVERREAD * size:  # chunks that extend over all rows
            return max(1, size // row_bytes)
        return rows


@lru_cache(maxsize=32)
def _open_for_reading(process: int, files: tuple[Path, ...], identity: tuple[int, ...]) -> h5py.File:
    """One of the last files that were read in this process; a file that is dropped from the cache is closed.

    files: itself, and one to which it links.
    """
    require_unmodified(files, identity)
    return open_hdf5(files[0])
