"""HDF5 files of ours: kind and format, JSON, arrays and their attributes; whole or absent."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer import __version__
from cosmoinfer.errors import UserError
from cosmoinfer.storage.anybody import Stored, attribute
from cosmoinfer.storage.filed import Filed
from cosmoinfer.storage.hdf5 import array_of, datasets, existing, opened, text_of, value_of
from cosmoinfer.storage.whole import whole_or_absent

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


MOST_IN_MEMORY = 1 << 26  # bytes of a file whose image is made in memory before it is written; of one array of it


@dataclass(frozen=True)
class Record:
    """One file: what kind it is, JSON about it, arrays by path, and the attributes of those arrays and of the file.

    filed: arrays that were left in it, by path.
    """

    kind: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_file: dict[str, Any] = field(default_factory=dict)
    filed: dict[str, Filed] = field(default_factory=dict)


def write(path: Path, record: Record, force: bool = False) -> None:
    """Write the whole file under another name beside it, flush it to disk, and rename it."""
    if _size(record) > MOST_IN_MEMORY:
        write_streamed(path, record, {}, force)
        return
    refuse_existing(path, record.kind, force)
    image = _image(record)
    with whole_or_absent(path) as scratch:
        scratch.write_bytes(image)


def read(path: Path | str, *kinds: str, leave_large: bool = False) -> Record:
    """A file of ours, of one of these kinds and of a format that this version knows; large arrays left in it."""
    with opened(path) as file:
        kind = text_of(file.attrs.get("kind", ""))
        if kind not in FORMATS:
            wanted = " or ".join(kinds) or "any"
            raise UserError(f"{path}: expected a {wanted} file of cosmoinfer, found another HDF5 file")
        if kinds and kind not in kinds:
            raise UserError(f"{path}: expected a {' or '.join(kinds)} file, found a {kind} file")
        found = int(file.attrs["format"])
        if found > FORMATS[kind]:
            raise UserError(f"{path}: its format is {found}, this version ({__version__}) reads up to {FORMATS[kind]}")
        arrays, attributes, filed = {}, {}, {}
        for name, dataset in datasets(file):
            if leave_large and dataset.nbytes > MOST_IN_MEMORY:
                filed[name] = Filed(Stored(Path(path), name))
            else:
                arrays[name] = array_of(Path(path), dataset)
            if len(dataset.attrs):
                attributes[name] = {key: value_of(value) for key, value in dataset.attrs.items()}
        meta = json.loads(str(arrays.pop("meta")))
    return Record(kind, meta, arrays, attributes, filed=filed)


def kind_of(path: Path) -> str | None:
    """The kind of a file of ours; None for any other HDF5 file."""
    return attribute(path, "kind")


def command_of(path: Path) -> str | None:
    """The command that wrote a file of ours, as its /meta says; None for any other HDF5 file."""
    with opened(path) as file:
        return json.loads(text_of(file["meta"][()])).get("command") if "kind" in file.attrs and "meta" in file else None


def is_kind(path: Path, kind: str) -> bool:
    """Whether a file, of any sort, is one of ours of this kind."""
    return path.is_file() and _kind_or_nothing(path) == kind


def same_run(path: Path, meta: Mapping[str, Any]) -> bool:
    """Whether a complete file of ours stands there, made with the very same settings from the very same inputs."""
    if not path.exists():
        return False
    try:
        with opened(path) as file:
            return "meta" in file and text_of(file["meta"][()]) == _json(meta)
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
    with existing(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def write_streamed(path: Path, record: Record, streams: Mapping[str, "Coming"], force: bool = False) -> None:
    """A record, and datasets beside it that come block by block; straight to disk, if that has room for them."""
    refuse_existing(path, record.kind, force)
    _check_free(path, _size(record) + sum(int(np.prod(one.shape)) * one.dtype.itemsize for one in streams.values()))
    with whole_or_absent(path) as scratch, h5py.File(scratch, "w") as file:
        _fill(file, record)
        for name, one in streams.items():
            one.fill(file, name, record.attributes.get(name, {}))


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
        for key, value in attributes.items():
            dataset.attrs[key] = _plain(value)
        for block in self.blocks:
            dataset[done : done + len(block)] = block
            done += len(block)


@contextmanager
def unfinished(path: Path, kind: str, force: bool = False) -> Iterator["Unfinished"]:
    """A file of this kind that comes bit by bit, whole or absent in the end."""
    refuse_existing(path, kind, force)
    with ExitStack() as until_done:
        yield Unfinished(path, force, until_done)


class Unfinished:
    """A file of ours that is being made: large arrays have their place in it and are filled there, the rest is last."""

    def __init__(self, path: Path, force: bool, until_done: ExitStack) -> None:
        self.path, self.force, self.until_done = path, force, until_done
        self.file: h5py.File | None = None

    def place(self, name: str, shape: tuple[int, ...]) -> Any:
        """Room for so many float64, written and read by rows: in memory if it is little, else in the file."""
        size = 8 * int(np.prod(shape))
        if size <= MOST_IN_MEMORY:
            return np.empty(shape)
        _check_free(self.path, size)
        if self.file is None:
            scratch = self.until_done.enter_context(whole_or_absent(self.path))
            self.file = self.until_done.enter_context(h5py.File(scratch, "w"))
        chunks = _chunks(np.broadcast_to(0.0, shape))
        return self.file.create_dataset(name, shape, np.float64, chunks=chunks, fletcher32=True)

    def finish(self, record: Record) -> None:
        """All that has no place in the file yet."""
        if self.file is None:
            write(self.path, record, self.force)
        else:
            _fill(self.file, record)


def _check_free(path: Path, size: int) -> None:
    """Before a file of so many bytes is begun."""
    if (free := shutil.disk_usage(path.parent).free) < 1.01 * size:
        raise UserError(f"{path}: wants {size / 1e9:.3g}GB, and {free / 1e9:.3g}GB are free")


def _size(record: Record) -> int:
    return sum(np.asarray(value).nbytes for value in record.arrays.values())


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
        for key, told in record.attributes.get(name, {}).items():
            if told is not None:
                dataset.attrs[key] = _plain(told)


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


def _sha256(file: Any) -> str:
    sha = hashlib.sha256()
    while block := file.read(1 << 20):
        sha.update(block)
    return sha.hexdigest()
