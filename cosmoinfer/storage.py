"""HDF5 files of ours, whole or absent; and the only door to other people's. Nothing else imports h5py.

It knows arrays, attributes and JSON, and nothing of what they mean.
"""

import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer import __version__
from cosmoinfer.errors import UserError

FORMATS = {
    "split": 1,
    "model": 1,
    "posterior": 1,
    "metrics": 1,
    "scores": 1,
    "catalog": 1,
    "cross": 1,
    "learning-curve": 1,
}  # kind: newest format we write and read


@dataclass(frozen=True)
class Record:
    """One file: what kind it is, JSON about it, arrays by path, and the attributes of those arrays and of the file."""

    kind: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_file: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """What a file says of one dataset before any of it is read."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    compression: str | None
    attributes: dict[str, Any]


# ---------------------------------------------------------------------------------------------------- files of ours
def write(path: Path, record: Record, force: bool = False) -> None:
    """Write the whole file under another name beside it, flush it to disk, and rename it."""
    refuse_existing(path, record.kind, force)
    image = _image(record)
    with _whole_or_absent(path) as scratch:
        scratch.write_bytes(image)


def read(path: Path, *kinds: str) -> Record:
    """A file of ours, of one of these kinds and of a format that this version knows."""
    with _open(path) as file:
        kind = _text(file.attrs.get("kind", ""))
        if kind not in FORMATS:
            wanted = " or ".join(kinds) or "any"
            raise UserError(f"{path}: expected a {wanted} file of cosmoinfer, found another HDF5 file")
        if kinds and kind not in kinds:
            raise UserError(f"{path}: expected a {' or '.join(kinds)} file, found a {kind} file")
        found = int(file.attrs["format"])
        if found > FORMATS[kind]:
            raise UserError(f"{path}: its format is {found}, this version ({__version__}) reads up to {FORMATS[kind]}")
        arrays, attributes = {}, {}
        for name, dataset in _datasets(file):
            arrays[name] = _array(path, dataset)
            if len(dataset.attrs):
                attributes[name] = {key: _attribute(value) for key, value in dataset.attrs.items()}
        meta = json.loads(str(arrays.pop("meta")))
    return Record(kind, meta, arrays, attributes)


def file_attributes(path: Path) -> dict[str, Any]:
    """Of a whole file, anybody's; of ours, what it has beside its kind and format."""
    with _open(path) as file:
        return {key: _attribute(value) for key, value in file.attrs.items() if key not in ("kind", "format")}


def kind_of(path: Path) -> str | None:
    """The kind of a file of ours; None for any other HDF5 file."""
    return attribute(path, "kind")


def attribute(path: Path, name: str) -> str | None:
    """A text that a file, anybody's, has as an attribute of the whole; None where it has not."""
    with _open(path) as file:
        return _text(file.attrs.get(name, "")) or None


def command_of(path: Path) -> str | None:
    """The command that wrote a file of ours, as its /meta says; None for any other HDF5 file."""
    with _open(path) as file:
        return json.loads(_text(file["meta"][()])).get("command") if "kind" in file.attrs and "meta" in file else None


def is_kind(path: Path, kind: str) -> bool:
    """Whether a file, of any sort, is one of ours of this kind."""
    return path.is_file() and _kind_or_nothing(path) == kind


def same_run(path: Path, meta: Mapping[str, Any]) -> bool:
    """Whether a complete file of ours stands there, made with the very same settings from the very same inputs."""
    if not path.exists():
        return False
    try:
        with _open(path) as file:
            return "meta" in file and _text(file["meta"][()]) == _json(meta)
    except UserError:
        return False


def refuse_existing(path: Path, kind: str, force: bool = False) -> None:
    """Before any work is done: the output must not exist, and its folder must take a file.

    Forced, it may replace a file of the same kind; never somebody's catalog, nor a model by a posterior.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if path.exists() and not force:
        raise UserError(f"{path}: exists already, made with other settings or inputs; --force replaces a {kind} file")
    if path.exists() and (there := _kind_or_nothing(path)) != kind:
        raise UserError(f"{path}: --force replaces a {kind} file only, found {there or 'one that is not ours'}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written")


def _kind_or_nothing(path: Path) -> str | None:
    try:
        return kind_of(path)
    except UserError:
        return None


def digest(path: Path) -> str:
    """SHA-256 of a file of ours as it lies on disk: how a later file says which one it was made from."""
    with _existing(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def write_streamed(path: Path, record: Record, streams: Mapping[str, "Coming"], force: bool = False) -> None:
    """A record, and datasets beside it that come block by block."""
    refuse_existing(path, record.kind, force)
    size = sum(int(np.prod(one.shape)) * one.dtype.itemsize for one in streams.values())
    if (free := shutil.disk_usage(path.parent).free) < 1.01 * size:
        raise UserError(f"{path}: wants {size / 1e9:.3g}GB, and {free / 1e9:.3g}GB are free")
    with _whole_or_absent(path) as scratch, h5py.File(scratch, "w") as file:
        _fill(file, record)
        for name, one in streams.items():
            one.fill(file, name, record.attributes.get(name, {}))


# ------------------------------------------------------------------------------------------------- anybody's files
def contents(path: Path) -> dict[str, Dataset]:
    """Every dataset of any HDF5 file, by its path without the leading slash."""
    with _open(path) as file:
        return {
            name: Dataset(
                name,
                tuple(dataset.shape or ()),
                dataset.dtype,
                dataset.chunks,
                dataset.compression,
                {key: _attribute(value) for key, value in dataset.attrs.items()},
            )
            for name, dataset in _datasets(file)
        }


def load(path: Path, name: str) -> np.ndarray:
    """One whole dataset; strings come as str. A virtual dataset with a missing part is an error, not zeros."""
    with _open(path) as file:
        if not isinstance(file.get(name), h5py.Dataset):
            there = ", ".join("/" + found for found, _ in _datasets(file)) or "nothing"
            raise UserError(f"{path}: has no dataset /{name.strip('/')}; it holds {there}")
        return _array(path, file[name])


MOST_CHUNKS = 8  # times as many bytes as were asked for, that whole chunks may make


@dataclass(frozen=True)
class Coming:
    """A dataset (N, ...) that comes in blocks (n, ...), to lie in chunks of so many rows with a checksum each."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows: int
    blocks: Iterator[np.ndarray]

    def fill(self, file: h5py.File, name: str, attributes: Mapping[str, Any]) -> None:
        chunks = (min(self.rows, self.shape[0]), *self.shape[1:])
        dataset, done = file.create_dataset(name, self.shape, self.dtype, chunks=chunks, fletcher32=True), 0
        for key, attribute in attributes.items():
            dataset.attrs[key] = _plain(attribute)
        for block in self.blocks:
            dataset[done : done + len(block)] = block
            done += len(block)


class Stored:
    """One dataset of numbers that stays in its file, read by ranges of rows.

    The file is opened when it is first read, once a process; a fork or an unpickled copy opens its own.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        with _open(path) as file:
            found = file[name]
            self.shape, self.dtype, self.chunks = tuple(found.shape), found.dtype, found.chunks
            if found.is_virtual:
                _check_parts(path, found)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop - 1."""
        try:
            return np.asarray(self._dataset()[start:stop])
        except OSError as error:
            raise UserError(f"{self.path}: /{self.name} is damaged ({_reason(error)})") from error

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """The same without a copy, into as many rows of an array."""
        try:
            self._dataset().read_direct(rows.reshape(stop - start, *self.shape[1:]), np.s_[start:stop])
        except OSError as error:
            raise UserError(f"{self.path}: /{self.name} is damaged ({_reason(error)})") from error

    def whole_chunks(self, size: int) -> int:
        """Rows that make about so many bytes, and whole chunks of the file."""
        chunk = self.chunks[0] if self.chunks else 1
        row = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        rows = chunk * max(1, round(size / (row * chunk)))
        return rows if rows * row <= MOST_CHUNKS * size else max(1, size // row)  # chunks that run across all rows

    def _dataset(self) -> h5py.Dataset:
        return _opened(os.getpid(), _existing(self.path))[self.name]


@functools.lru_cache(maxsize=32)
def _opened(process: int, path: Path) -> h5py.File:
    """A file of the last few that were read, in this process; those that are let go are closed."""
    return h5py.File(path, "r")


# -------------------------------------------------------------------------------------------------------- the rest
def _image(record: Record) -> bytes:
    """The bytes of the file, made in memory: on a full disk HDF5 cannot close its file, and crashes the process."""
    with h5py.File(record.kind, "w", driver="core", backing_store=False) as file:
        _fill(file, record)
        file.flush()
        return file.id.get_file_image()


def _fill(file: h5py.File, record: Record) -> None:
    file.attrs["kind"] = record.kind
    file.attrs["format"] = FORMATS[record.kind]
    for key, value in record.of_file.items():
        file.attrs[key] = _plain(value)
    file.create_dataset("meta", data=_json(record.meta), dtype=h5py.string_dtype())
    for name, value in record.arrays.items():
        array = np.asarray(value)
        text = array.dtype.kind in "UO"
        options: dict[str, Any] = {"dtype": h5py.string_dtype()} if text else {}
        if array.ndim and array.size and not text:
            options |= {"fletcher32": True, "chunks": _chunks(array)}
        dataset = file.create_dataset(name, data=array.astype(object) if text else array, **options)
        for key, attribute in record.attributes.get(name, {}).items():
            if attribute is not None:
                dataset.attrs[key] = _plain(attribute)


def _chunks(array: np.ndarray, most: int = 1 << 20) -> tuple[int, ...]:
    """Whole rows of about a megabyte together: a checksum needs chunks, and readers want rows."""
    row = max(1, array[:1].nbytes)
    if row > most and array.ndim > 1:
        return (1, *_chunks(array[0], most))
    return (max(1, min(array.shape[0], most // row)), *array.shape[1:])


def _plain(attribute: Any) -> Any:
    if isinstance(attribute, tuple | list) and attribute and isinstance(attribute[0], str):
        return np.array(attribute, dtype=h5py.string_dtype())
    return attribute


def _json(meta: Mapping[str, Any]) -> str:
    return json.dumps(meta, sort_keys=True, allow_nan=False)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(_existing(path), "r")
    except OSError as error:
        raise UserError(f"{path}: is no HDF5 file, or a truncated one ({_reason(error)})") from error
    with file:
        try:
            yield file
        except UserError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py on damaged headers; JSON; text
            raise UserError(f"{path}: is damaged ({_reason(error)})") from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def _datasets(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    group.visititems(lambda name, node: found.append((name, node)) if isinstance(node, h5py.Dataset) else None)
    return sorted(found, key=lambda pair: pair[0])


def _array(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    if dataset.is_virtual:
        _check_parts(path, dataset)
    try:
        array = np.asarray(dataset[()])
    except OSError as error:
        raise UserError(f"{path}: {dataset.name} is damaged ({_reason(error)})") from error
    return np.vectorize(_text, otypes=[str])(array) if array.dtype.kind in "SO" else array


def _check_parts(path: Path, dataset: h5py.Dataset) -> None:
    """Where a part of a virtual dataset is missing, HDF5 reads zeros; here that is an error."""
    for source in dataset.virtual_sources():
        part = path
        if source.file_name != ".":
            beside = (path.parent / source.file_name, path.resolve().parent / source.file_name)
            part = next((one for one in beside if one.is_file()), beside[0])
            if not part.is_file():
                raise UserError(f"{path}: {dataset.name} wants a part that is missing: {source.file_name}")
        with _open(part) as file:
            there = file.get(source.dset_name)
            if not isinstance(there, h5py.Dataset):
                raise UserError(f"{path}: {dataset.name} wants a part that is missing: {part} {source.dset_name}")
            if there.is_virtual:
                _check_parts(part, there)


def _attribute(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return tuple(_text(item) for item in value.ravel())
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]


def _sha256(file: Any) -> str:
    sha = hashlib.sha256()
    while block := file.read(1 << 20):
        sha.update(block)
    return sha.hexdigest()


@contextmanager
def _whole_or_absent(path: Path) -> Iterator[Path]:
    """Another name beside it, to be filled: flushed to disk and renamed when that is done, gone when it fails."""
    scratch = _sibling(path)
    try:
        yield scratch
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(scratch, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: could not be written ({_reason(error)}); nothing is left behind") from error
    finally:
        scratch.unlink(missing_ok=True)


def _sibling(path: Path) -> Path:
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({_reason(error)})") from error
    os.close(descriptor)
    os.chmod(name, 0o666 & ~_umask())
    return Path(name)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
