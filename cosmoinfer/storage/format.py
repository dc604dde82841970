"""The files that this tool writes: kind and format, JSON, arrays and their attributes; whole or absent."""

import json
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer import __version__
from cosmoinfer.errors import UserError
from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.atomic import atomic_write
from cosmoinfer.storage.attributes import (
    Attributes,
    decode_attribute,
    decode_text,
    encode_attribute,
    read_attributes,
    text_attribute,
)
from cosmoinfer.storage.hdf5 import DatasetHandle, chunk_shape, read_array
from cosmoinfer.storage.links import find_datasets
from cosmoinfer.storage.opening import open_file
from cosmoinfer.storage.out_of_core import OnDiskArray, StreamedDataset, check_free_space

JSONObject = dict[str, Any]  # only what json.dumps takes
FORMAT = 2  # of all kinds
REMAKE_COMMANDS = {
    "split": "split the catalog",
    "model": "train",
    "checkpoint": "train",
    "posterior": "sample",
    "metrics": "evaluate",
    "scores": "score",
    "catalog": "simulate or repack",
    "cross-suite": "compare the suites",
    "learning-curve": "make the curve",
}  # kind: what makes a new one
FORMATS = dict.fromkeys(REMAKE_COMMANDS, FORMAT)  # kind: the format that is written and read


@dataclass(frozen=True)
class FileContents:
    """What one file holds.

    kind: a key of FORMATS.
    meta: JSON that says from what it was made.
    arrays: by path, without the leading slash.
    attributes: of the arrays, by path.
    file_attributes: of the file itself.
    on_disk: arrays that are not in memory, by path.
    """

    kind: str
    meta: JSONObject
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Attributes] = field(default_factory=dict)
    file_attributes: Attributes = field(default_factory=dict)
    on_disk: dict[str, OnDiskArray] = field(default_factory=dict)

    @property
    def all_arrays(self) -> dict[str, np.ndarray | OnDiskArray]:
        """All arrays by path, in memory or not."""
        return {**self.arrays, **self.on_disk}


def write(path: Path, contents: FileContents, force: bool = False) -> None:
    """Write a file, whole or not at all.

    Raises UserError when it exists and is not to be replaced, or cannot be written.
    """
    if _size_in_bytes(contents) > out_of_core.MAX_IN_MEMORY_BYTES or contents.on_disk:
        streams = {name: array.streamed() for name, array in contents.on_disk.items()}
        write_streamed(path, contents, streams, force)
        return
    refuse_existing(path, contents.kind, force, contents.meta)
    image = _file_image(contents)
    with atomic_write(path) as scratch:
        scratch.write_bytes(image)


def read(path: Path | str, *kinds: str, keep_on_disk: Container[str] = (), omit: str = "") -> FileContents:
    """A file that this tool wrote, of one of these kinds (by default of any).

    keep_on_disk: paths of arrays that stay in the file when they are large. omit: name of groups that are not read.

    Raises UserError for another kind or format, and for a damaged file.
    """
    with open_file(path) as file:
        kind = text_attribute(file, "kind")
        if kind not in FORMATS:
            expected = " or ".join(kinds) or "any"
            raise UserError(f"{path}: expected a {expected} file of cosmoinfer, found {_describe(file)}")
        if kinds and kind not in kinds:
            raise UserError(f"{path}: expected a {' or '.join(kinds)} file, found {_describe(file)}")
        _check_format(path, kind, _format_number(file))
        arrays, attributes, on_disk = {}, {}, {}
        for name, dataset in find_datasets(file):
            if omit and omit in name.split("/")[:-1]:
                continue
            if name in keep_on_disk and dataset.nbytes > out_of_core.MAX_IN_MEMORY_BYTES:
                on_disk[name] = OnDiskArray(DatasetHandle(Path(path), name))
            else:
                arrays[name] = read_array(Path(path), dataset)
            if len(dataset.attrs):
                attributes[name] = {key: decode_attribute(value) for key, value in dataset.attrs.items()}
        meta = json.loads(str(arrays.pop("meta")))
    return FileContents(kind, meta, arrays, attributes, on_disk=on_disk)


def _check_format(path: Path | str, kind: str, number: int | None) -> None:
    if number is None:
        raise UserError(f"{path}: is damaged (the number of its format is missing)")
    if number > FORMATS[kind]:
        raise UserError(f"{path}: its format is {number}, this version ({__version__}) reads format {FORMATS[kind]}")
    if number < FORMATS[kind]:
        raise UserError(
            f"{path}: its format {number} is no longer read (this version reads {FORMATS[kind]}); "
            f"{REMAKE_COMMANDS[kind]} again"
        )


def _format_number(file: h5py.File) -> int | None:
    number = read_attributes(file)[0].get("format")
    return int(number) if isinstance(number, np.integer) else None


def file_kind(path: Path) -> str | None:
    """The kind of a file that this tool wrote; None for any other HDF5 file."""
    with open_file(path) as file:
        return text_attribute(file, "kind") or None if "format" in file.attrs else None


def describe_file(path: Path) -> str:
    """What a file is, for an error: ``a flow (model file)``, ``a posterior file``, ``a catalog``."""
    with open_file(path) as file:
        return _describe(file)


def _describe(file: h5py.File) -> str:
    kind = text_attribute(file, "kind") if "format" in file.attrs else ""
    if kind == "model" and "config" in file:
        return f"a {json.loads(decode_text(file['config'][()]))['kind']} (model file)"
    if kind in FORMATS and kind != "catalog":
        return f"a {kind} file"
    return "a catalog" if {"parameters", "data"} & set(file) else "an HDF5 file of another tool"


def writing_command(path: Path) -> str | None:
    """The command that wrote a file, as its /meta says; None for a file of another tool."""
    with open_file(path) as file:
        if "kind" not in file.attrs or "meta" not in file:
            return None
        return json.loads(decode_text(file["meta"][()])).get("command")


def is_kind(path: Path, kind: str) -> bool:
    """Whether a path is a file of this kind that this tool wrote."""
    return path.is_file() and _kind_or_none(path) == kind


def same_run(path: Path, meta: Mapping[str, Any]) -> bool:
    """Whether a complete file of this format exists, made with the same settings from the same inputs."""
    if not path.exists():
        return False
    try:
        with open_file(path) as file:
            if "meta" not in file or decode_text(file["meta"][()]) != _encode_json(meta):
                return False
            return _format_number(file) == FORMAT
    except UserError:
        return False


def refuse_existing(path: Path, kind: str, force: bool = False, meta: Mapping[str, Any] | None = None) -> None:
    """Check an output before any work is done; ``force`` lets it replace a file of the same kind, and no other.

    meta: of what is to be written, if that may be there already.

    Raises UserError when it exists, or when its folder does not take a file.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    if path.exists() and not force:
        is_same = meta is not None and same_run(path, meta)
        origin = "from the same settings and inputs" if is_same else "made with other settings or inputs"
        raise UserError(f"{path}: exists already, {origin}; `force` replaces a {kind} file")
    if path.exists() and (existing := _kind_or_none(path)) != kind:
        raise UserError(f"{path}: `force` replaces a {kind} file only, found {existing or 'a file of another tool'}")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written")


def _kind_or_none(path: Path) -> str | None:
    try:
        return file_kind(path)
    except UserError:
        return None


def write_streamed(
    path: Path, contents: FileContents, streams: Mapping[str, StreamedDataset], force: bool = False
) -> None:
    """Write contents, and datasets that arrive slab by slab, straight to disk.

    Raises UserError as ``write`` does, and when the disk has no room for them.
    """
    refuse_existing(path, contents.kind, force, contents.meta)
    stream_bytes = sum(int(np.prod(stream.shape)) * stream.dtype.itemsize for stream in streams.values())
    check_free_space(path.parent, _size_in_bytes(contents) + stream_bytes)
    with atomic_write(path) as scratch, h5py.File(scratch, "w") as file:
        _fill(file, contents)
        for name, stream in streams.items():
            stream.write_to(file, name, contents.attributes.get(name, {}))


def _size_in_bytes(contents: FileContents) -> int:
    return sum(np.asarray(value).nbytes for value in contents.arrays.values())


def _file_image(contents: FileContents) -> bytes:
    """The bytes of the file, made in memory: on a full disk HDF5 cannot close its file and crashes the process."""
    with h5py.File(contents.kind, "w", driver="core", backing_store=False) as file:
        _fill(file, contents)
        file.flush()
        return file.id.get_file_image()


def _fill(file: h5py.File, contents: FileContents) -> None:
    file.attrs["kind"] = contents.kind
    file.attrs["format"] = FORMATS[contents.kind]
    for key, value in contents.file_attributes.items():
        file.attrs[key] = encode_attribute(value)
    file.create_dataset("meta", data=_encode_json(contents.meta), dtype=h5py.string_dtype())
    for name, value in contents.arrays.items():
        array = np.asarray(value)
        text = array.dtype.kind in "UO"
        options: dict[str, Any] = {"dtype": h5py.string_dtype()} if text else {}
        if array.ndim and array.size and not text:
            options |= {"fletcher32": True, "chunks": chunk_shape(array.shape, array.dtype.itemsize)}
        dataset = file.create_dataset(name, data=array.astype(object) if text else array, **options)
        for key, attribute in contents.attributes.get(name, {}).items():
            if attribute is not None:
                dataset.attrs[key] = encode_attribute(attribute)


def _encode_json(meta: Mapping[str, Any]) -> str:
    return json.dumps(meta, sort_keys=True, allow_nan=False)
