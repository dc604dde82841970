"""Anybody's HDF5 files: what a file holds, and its datasets, whole or by ranges of rows."""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.storage.hdf5 import (
    check_virtual_sources,
    decode_attribute,
    decode_text,
    error_reason,
    find_datasets,
    open_file,
    read_array,
    require_file,
)

MAX_CHUNK_OVERREAD = 8  # times as many bytes as were asked for, that whole chunks may make


@dataclass(frozen=True)
class DatasetInfo:
    """What a file says of one dataset before any of it is read."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None
    compression: str | None
    attributes: dict[str, Any]


def file_attributes(path: Path) -> dict[str, Any]:
    """Of a whole file, anybody's; of ours, what it has beside its kind and format."""
    with open_file(path) as file:
        return {key: decode_attribute(value) for key, value in file.attrs.items() if key not in ("kind", "format")}


def file_attribute(path: Path, name: str) -> str | None:
    """A text that a file, anybody's, has as an attribute of the whole; None where it has not."""
    with open_file(path) as file:
        return decode_text(file.attrs.get(name, "")) or None


def describe_datasets(path: Path) -> dict[str, DatasetInfo]:
    """Every dataset of any HDF5 file, by its path without the leading slash."""
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
    """One whole dataset; strings come as str. A virtual dataset with a missing part is an error, not zeros."""
    with open_file(path) as file:
        if not isinstance(file.get(name), h5py.Dataset):
            there = ", ".join("/" + found for found, _ in find_datasets(file)) or "nothing"
            raise UserError(f"{path}: has no dataset /{name.strip('/')}; it holds {there}")
        return read_array(path, file[name])


class DatasetHandle:
    """One dataset of numbers that stays in its file, read by ranges of rows.

    The file is opened when it is first read, once a process; a fork or an unpickled copy opens its own. A file that
    was replaced or written to since is another one, and not read on. Whole rows that lie as they are in memory, in one
    piece or in chunks, are read past HDF5, in half the time.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.identity = _identity(require_file(path))
        with open_file(path) as file:
            found = file[name]
            self.shape, self.dtype, self.chunks = tuple(found.shape), found.dtype, found.chunks
            if found.is_virtual:
                check_virtual_sources(path, found)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop - 1."""
        rows = np.empty((min(stop, len(self)) - start, *self.shape[1:]), self.dtype)
        self.read_into(rows, start, start + len(rows))
        return rows

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """The same without a copy, into as many rows of an array."""
        known = os.getpid(), self.path, self.identity
        try:
            if len(self._places) and rows.dtype == self.dtype and rows.flags.c_contiguous:
                file = _kept(io.FileIO, *known)
                self._straight(rows.reshape(-1).view(np.uint8).data, file.fileno(), start, stop)
            else:
                file = _kept(_read_only, *known)
                file[self.name].read_direct(rows.reshape(stop - start, *self.shape[1:]), np.s_[start:stop])
        except OSError as error:
            raise UserError(f"{self.path}: /{self.name} is damaged ({error_reason(error)})") from error

    def _straight(self, buffer: memoryview, descriptor: int, start: int, stop: int) -> None:
        """Piece by piece; chunks that lie one after the other are one."""
        row, step = self.dtype.itemsize * int(np.prod(self.shape[1:])), self._step
        done = start
        while done < stop:
            first = last = done // step
            while (last + 1) * step < stop and self._places[last + 1] == self._places[last] + step * row:
                last += 1
            end = min(stop, (last + 1) * step)
            place = int(self._places[first]) + (done - first * step) * row
            _fill(buffer[(done - start) * row : (end - start) * row], descriptor, place)
            done = end

    @property
    def _step(self) -> int:
        """Rows that lie in one piece."""
        return self.chunks[0] if self.chunks else max(1, len(self))

    @cached_property
    def _places(self) -> np.ndarray:
        """Where each piece begins in the file, in bytes; none where HDF5 has to be asked."""
        with open_file(self.path) as file:
            return self._told_places(file[self.name], file.userblock_size)

    def _told_places(self, found: h5py.Dataset, before: int) -> np.ndarray:
        none = np.zeros(0, np.int64)
        if found.is_virtual or found.external:
            return none
        if found.chunks is None:
            offset = found.id.get_offset()  # None before anything is written, or inside of the header
            return none if offset is None else np.array([offset])
        if found.chunks[1:] != found.shape[1:] or found.id.get_create_plist().get_nfilters() or before:
            return none
        places = np.full(-(-len(self) // self._step), -1)

        def note(chunk: Any) -> None:
            places[chunk.chunk_offset[0] // self._step] = chunk.byte_offset

        found.id.chunk_iter(note)
        return none if (places < 0).any() else places

    def whole_chunks(self, size: int) -> int:
        """Rows that make about so many bytes, and whole chunks of the file."""
        chunk = self.chunks[0] if self.chunks else 1
        row = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        rows = chunk * max(1, round(size / (row * chunk)))
        return (
            rows if rows * row <= MAX_CHUNK_OVERREAD * size else max(1, size // row)
        )  # chunks that run across all rows


def _read_only(path: Path) -> h5py.File:
    return h5py.File(path, "r")


@lru_cache(maxsize=32)
def _kept(opens: Callable[[Path], Any], process: int, path: Path, identity: tuple[int, ...]) -> Any:
    """A file of the last few that were read, in this process, by HDF5 or past it; those that are let go are closed."""
    if _identity(require_file(path)) != identity:
        raise UserError(f"{path}: has changed since it was first looked at")
    return opens(path)


def _fill(buffer: memoryview, descriptor: int, place: int) -> None:
    """With the bytes of a file from there on."""
    while buffer:
        count = os.preadv(descriptor, [buffer], place)
        if count == 0:
            raise OSError("the file ends before its data do")
        buffer, place = buffer[count:], place + count


def _identity(path: Path) -> tuple[int, ...]:
    """Of the file that now bears this name: inode, bytes, and when it was last written."""
    told = path.stat()
    return told.st_ino, told.st_size, told.st_mtime_ns
