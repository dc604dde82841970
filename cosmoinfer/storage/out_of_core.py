"""Arrays that are too large for memory: in a scratch file while they are made, or left in a file. Read by rows."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import IO, Any

import h5py
import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.memory import format_size, slices
from cosmoinfer.storage.attributes import Attributes, encode_attribute, encode_text
from cosmoinfer.storage.digests import DatasetDigest
from cosmoinfer.storage.hdf5 import DatasetHandle
from cosmoinfer.storage.opening import error_reason
from cosmoinfer.storage.skeleton import reserve_dataset

MAX_IN_MEMORY_BYTES = 1 << 26  # of an array, or of the image of a file
SLAB_BYTES = 1 << 24  # copied at once


def check_free_space(folder: Path, size: int) -> None:
    """Raises UserError when the disk of a folder has less than ``size`` bytes free, and a percent."""
    disk, required = shutil.disk_usage(folder), int(1.01 * size)
    if disk.total and disk.free < required:  # a file system that says nothing has a size of 0
        missing = format_size(required - disk.free)
        raise UserError(f"{folder}: {format_size(required)} of disk are required, {missing} more than are free")


class ScratchArray:
    """float64 (n, S, ...) in a temporary file, written and read as ``[row, start:stop]``; removed with the process.

    Raises UserError when the folder cannot hold it.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder, self.shape = folder, shape
        with self._disk_errors():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  open as long as this object lives
        weakref.finalize(self, _close, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __setitem__(self, key: tuple[int, slice], values: np.ndarray) -> None:
        first, stop = self._range(key[1])
        full = np.broadcast_to(values, (stop - first, *self.shape[2:]))
        with self._disk_errors():
            self._file.seek(self._offset(key[0], first))
            self._file.write(np.ascontiguousarray(full, self.dtype).data)

    def __getitem__(self, key: tuple[int, slice]) -> np.ndarray:
        first, stop = self._range(key[1])
        values = np.empty((stop - first, *self.shape[2:]))
        self._read(values, self._offset(key[0], first))
        return values

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, S, ...)."""
        self._read(rows, self._offset(start, 0))

    def _read(self, values: np.ndarray, offset: int) -> None:
        with self._disk_errors():
            self._file.seek(offset)
            if self._file.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:
                raise OSError("it was not written completely")

    def _range(self, draws: slice) -> tuple[int, int]:
        first, stop, _ = draws.indices(self.shape[1])
        return first, stop

    def _offset(self, row: int, first: int) -> int:
        return 8 * int(np.prod(self.shape[2:])) * (row * self.shape[1] + first)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.folder}: cannot hold the draws so far ({error_reason(error)})") from error


def _close(file: IO[bytes]) -> None:
    """Errors of the disk were raised when it was written to."""
    with suppress(OSError):
        file.close()


class JoinedRows:
    """Rows (n, ...) of several arrays that are not in memory, one after the other."""

    def __init__(self, arrays: Sequence["OnDiskArray"]) -> None:
        self.arrays, self.dtype = arrays, arrays[0].dtype
        self.starts = np.cumsum([0, *map(len, arrays)]).tolist()
        self.shape = (self.starts[-1], *arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...)."""
        for array, first in zip(self.arrays, self.starts, strict=False):
            low, high = max(start, first), min(stop, first + len(array))
            if low < high:
                rows[low - start : high - start] = array[low - first : high - first]


class OnDiskArray:
    """Rows (n, ...) that are not in memory: ``[number]`` reads (...), ``[slice, list or mask]`` reads (k, ...)."""

    def __init__(self, source: DatasetHandle | ScratchArray | JoinedRows, rows: np.ndarray | None = None) -> None:
        self.source = source
        self.rows = np.arange(len(source)) if rows is None else rows

    @classmethod
    def concatenated(cls, arrays: Sequence["OnDiskArray"]) -> "OnDiskArray":
        """Arrays of the same row shape, one after the other, still out of memory."""
        return cls(JoinedRows(arrays))

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | slice | np.ndarray | tuple[Any, ...] | EllipsisType) -> np.ndarray:
        """Raises TypeError for the last two, which numpy takes: they are no row numbers."""
        if isinstance(key, tuple) or key is Ellipsis:
            raise TypeError(f"expected row numbers, found {key}: out of memory, only rows can be indexed")
        rows = np.atleast_1d(self.rows[key])
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        ends = np.append(np.flatnonzero(np.diff(rows) != 1) + 1, len(rows))  # of runs of consecutive rows
        start = 0
        for end in ends[ends > 0].tolist():
            self.source.read_into(values[start:end], int(rows[start]), int(rows[end - 1]) + 1)
            start = end
        return values[0] if isinstance(key, int | np.integer) else values

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an array that is not in memory cannot be given without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def select(self, rows: np.ndarray) -> "OnDiskArray":
        """These rows, by number (n,) or mask, still out of memory."""
        return OnDiskArray(self.source, self.rows[rows])

    def slabs(self) -> Iterator[np.ndarray]:
        """All values in order, SLAB_BYTES at a time: several rows (k, ...), or draws of one row."""
        row_bytes = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        if row_bytes <= SLAB_BYTES or not isinstance(self.source, ScratchArray):
            for rows in slices(len(self), SLAB_BYTES // row_bytes):
                yield self[rows]
            return
        for row in self.rows.tolist():
            for draws in slices(self.shape[1], SLAB_BYTES * self.shape[1] // row_bytes):
                yield self.source[row, draws]

    def streamed(self) -> "StreamedDataset":
        """To be written as a dataset of a file."""
        return StreamedDataset(self.shape, self.dtype, self.slabs())


@dataclass(frozen=True)
class StreamedDataset:
    """A dataset that arrives slab by slab.

    shape, dtype: of all values.
    slabs: values that follow one another in the order of the dataset.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    slabs: Iterable[np.ndarray]

    @classmethod
    def of_array(cls, values: np.ndarray) -> "StreamedDataset":
        """Of all values at once, text as HDF5 holds it."""
        array = np.asarray(values)
        stored = encode_text(array) if array.dtype.kind in "UO" else array
        return cls(stored.shape, stored.dtype, [stored])

    def write_to(self, file: h5py.File, disk: IO[bytes], name: str, attributes: Attributes) -> DatasetDigest:
        """Make the dataset of that name in a file, whose values go to ``disk``: its digest. Raises OSError."""
        dataset = reserve_dataset(file, name, self.shape, self.dtype)
        for key, value in attributes.items():
            if value is not None:
                dataset.attrs[key] = encode_attribute(value)

        def written() -> Iterator[np.ndarray]:
            if (offset := dataset.id.get_offset()) is not None:
                disk.seek(offset)
            for slab in self.slabs:
                values = np.asarray(slab, self.dtype)
                if offset is None:
                    dataset[...] = values
                else:
                    disk.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
                yield values
            if offset is not None and disk.tell() != offset + dataset.nbytes:
                raise ValueError(f"{name}: {disk.tell() - offset} bytes came, expected {dataset.nbytes}")

        return DatasetDigest.of_slabs(self.dtype, self.shape, written(), attributes)
