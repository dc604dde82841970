"""HDF5 files of ours: kind and format, JSON, arrays and their attributes; whole or absent."""

import hashlib
import json
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer import __version__
from cosmoinfer.errors import UserError
from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.atomic import atomic_write, check_free_space
from cosmoinfer.storage.hdf5 import decode_attribute, decode_text, find_datasets, open_file, read_array, require_file
from cosmoinfer.storage.out_of_core import OnDiskArray
from cosmoinfer.storage.reader import DatasetHandle, file_attribute

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
class FileContents:
    """One file: what kind it is, JSON about it, arrays by path, and the attributes of those arrays and of the file.

    large: arrays that are not in memory, by path.
    """

    kind: str
    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    file_attributes: dict[str, Any] = field(default_factory=dict)
    on_disk: dict[str, OnDiskArray] = field(default_factory=dict)

    @property
    def all_arrays(self) -> dict[str, np.ndarray | OnDiskArray]:
        """Arrays, wherever they are, by path."""
        return {**self.arrays, **self.on_disk}


def write(path: Path, record: FileContents, force: bool = False) -> None:
    """Write the whole file under another name beside it, flush it to disk, and rename it."""
    if _size(record) > out_of_core.MAX_IN_MEMORY_BYTES or record.on_disk:
        streams = {name: _coming(one) for name, one in record.on_disk.items()}
        write_streamed(path, record, streams, force)
        return
    refuse_existing(path, record.kind, force)
    image = _image(record)
    with atomic_write(path) as scratch:
        scratch.write_bytes(image)


def read(path: Path | str, *kinds: str, keep_on_disk: Container[str] = ()) -> FileContents:
    """A file of ours, of one of these kinds and of a format that this version knows.

    leave: paths of arrays that stay in the file where they are large.
    """
    with open_file(path) as file:
        kind = decode_text(file.attrs.get("kind", ""))
        if kind not in FORMATS:
            wanted = " or ".join(kinds) or "any"
            raise UserError(f"{path}: expected a {wanted} file of cosmoinfer, found another HDF5 file")
        if kinds and kind not in kinds:
            raise UserError(f"{path}: expected a {' or '.join(kinds)} file, found a {kind} file")
        found = int(file.attrs["format"])
        if found > FORMATS[kind]:
            raise UserError(f"{path}: its format is {found}, this version ({__version__}) reads up to {FORMATS[kind]}")
        arrays, attributes, large = {}, {}, {}
        for name, dataset in find_datasets(file):
            if name in keep_on_disk and dataset.nbytes > out_of_core.MAX_IN_MEMORY_BYTES:
                large[name] = OnDiskArray(DatasetHandle(Path(path), name))
            else:
                arrays[name] = read_array(Path(path), dataset)
            if len(dataset.attrs):
                attributes[name] = {key: decode_attribute(value) for key, value in dataset.attrs.items()}
        meta = json.loads(str(arrays.pop("meta")))
    return FileContents(kind, meta, arrays, attributes, on_disk=large)


def file_kind(path: Path) -> str | None:
    """The kind of a file of ours; None for any other HDF5 file."""
    return file_attribute(path, "kind")


def writing_command(path: Path) -> str | None:
    """The command that wrote a file of ours, as its /meta says; None for any other HDF5 file."""
    with open_file(path) as file:
        return (
            json.loads(decode_text(file["meta"][()])).get("command")
            if "kind" in file.attrs and "meta" in file
            else None
        )


def is_kind(path: Path, kind: str) -> bool:
    """Whether a file, of any sort, is one of ours of this kind."""
    return path.is_file() and _kind_or_nothing(path) == kind


def same_run(path: Path, meta: Mapping[str, Any]) -> bool:
    """Whether a complete file of ours stands there, made with the very same settings from the very same inputs."""
    if not path.exists():
        return False
    try:
        with open_file(path) as file:
            return "meta" in file and decode_text(file["meta"][()]) == _json(meta)
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
        return file_kind(path)
    except UserError:
        return None


def file_digest(path: Path) -> str:
    """SHA-256 of a file of ours as it lies on disk: how a later file says which one it was made from."""
    with require_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def write_streamed(
    path: Path, record: FileContents, streams: Mapping[str, "StreamedDataset"], force: bool = False
) -> None:
    """A record, and datasets beside it that come block by block; straight to disk, if that has room for them."""
    refuse_existing(path, record.kind, force)
    size = _size(record) + sum(int(np.prod(one.shape)) * one.dtype.itemsize for one in streams.values())
    check_free_space(path.parent, size)
    with atomic_write(path) as scratch, h5py.File(scratch, "w") as file:
        _fill(file, record)
        for name, one in streams.items():
            one.fill(file, name, record.attributes.get(name, {}))


@dataclass(frozen=True)
class StreamedDataset:
    """A dataset that comes piece by piece, each with its place, to lie in these chunks with a checksum each."""

    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...]
    slabs: Iterator[tuple[Any, np.ndarray]]

    def fill(self, file: h5py.File, name: str, attributes: Mapping[str, Any]) -> None:
        dataset = file.create_dataset(name, self.shape, self.dtype, chunks=self.chunks, fletcher32=True)
        for key, value in attributes.items():
            dataset.attrs[key] = _plain(value)
        for place, piece in self.slabs:
            dataset[place] = piece


def _coming(array: OnDiskArray) -> StreamedDataset:
    return StreamedDataset(array.shape, array.dtype, _chunks(array.shape, array.dtype.itemsize), array.slabs())


def _size(record: FileContents) -> int:
    return sum(np.asarray(value).nbytes for value in record.arrays.values())


def _image(record: FileContents) -> bytes:
    """The bytes of the file, made in memory: on a full disk HDF5 cannot close its file, and crashes the process."""
    with h5py.File(record.kind, "w", driver="core", backing_store=False) as file:
        _fill(file, record)
        file.flush()
        return file.id.get_file_image()


def _fill(file: h5py.File, record: FileContents) -> None:
    file.attrs["kind"] = record.kind
    file.attrs["format"] = FORMATS[record.kind]
    for key, value in record.file_attributes.items():
        file.attrs[key] = _plain(value)
    file.create_dataset("meta", data=_json(record.meta), dtype=h5py.string_dtype())
    for name, value in record.arrays.items():
        array = np.asarray(value)
        text = array.dtype.kind in "UO"
        options: dict[str, Any] = {"dtype": h5py.string_dtype()} if text else {}
        if array.ndim and array.size and not text:
            options |= {"fletcher32": True, "chunks": _chunks(array.shape, array.dtype.itemsize)}
        dataset = file.create_dataset(name, data=array.astype(object) if text else array, **options)
        for key, told in record.attributes.get(name, {}).items():
            if told is not None:
                dataset.attrs[key] = _plain(told)


def _chunks(shape: tuple[int, ...], itemsize: int, most: int = 1 << 20) -> tuple[int, ...]:
    """Whole rows of about a megabyte together: a checksum needs chunks, and readers want rows."""
    row = max(1, int(np.prod(shape[1:])) * itemsize)
    if row > most and len(shape) > 1:
        return (1, *_chunks(shape[1:], itemsize, most))
    return (max(1, min(shape[0], most // row)), *shape[1:])


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
