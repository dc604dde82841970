"""Arrays that are too large for memory: on their way to a file, and left in one. Read row by row."""

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.storage.hdf5 import error_reason
from cosmoinfer.storage.reader import DatasetHandle

MAX_IN_MEMORY_BYTES = 1 << 26  # bytes of an array, or of the image of a file, that is not held in memory
SLAB_BYTES = 1 << 24  # bytes that are copied at once


class ScratchArray:
    """float64 (n, S, ...) on disk, written and read by [row, some of its S]; gone with the process, however it ends."""

    dtype = np.dtype(np.float64)

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder, self.shape = folder, shape
        with self._told():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  open as long as this object lives
        weakref.finalize(self, _let_go, self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __setitem__(self, place: tuple[int, slice], values: np.ndarray) -> None:
        first, stop = self._range(place[1])
        whole = np.broadcast_to(values, (stop - first, *self.shape[2:]))
        with self._told():
            self._file.seek(self._offset(place[0], first))
            self._file.write(np.ascontiguousarray(whole, self.dtype).data)

    def __getitem__(self, place: tuple[int, slice]) -> np.ndarray:
        first, stop = self._range(place[1])
        found = np.empty((stop - first, *self.shape[2:]))
        self._read(found, self._offset(place[0], first))
        return found

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1, into as many rows of an array."""
        self._read(rows, self._offset(start, 0))

    def _read(self, found: np.ndarray, offset: int) -> None:
        with self._told():
            self._file.seek(offset)
            if self._file.readinto(found.reshape(-1).view(np.uint8).data) < found.nbytes:
                raise OSError("not all of it was ever written")

    def _range(self, some: slice) -> tuple[int, int]:
        first, stop, _ = some.indices(self.shape[1])
        return first, stop

    def _offset(self, row: int, first: int) -> int:
        return 8 * int(np.prod(self.shape[2:])) * (row * self.shape[1] + first)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.folder}: cannot hold what was drawn so far ({error_reason(error)})") from error


def _let_go(file: IO[bytes]) -> None:
    """What the disk did not take any more was told when it was written."""
    with suppress(OSError):
        file.close()


class OnDiskArray:
    """Rows (n, ...) that are not in memory: one by its number (...), several by a slice, a list or a mask (k, ...)."""

    def __init__(self, source: DatasetHandle | ScratchArray, rows: np.ndarray | None = None) -> None:
        self.source = source
        self.rows = np.arange(len(source)) if rows is None else rows

    @property
    def dtype(self) -> np.dtype:
        return self.source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: int | slice | np.ndarray) -> np.ndarray:
        if isinstance(which, tuple) or which is Ellipsis:
            raise TypeError(f"expected rows, found {which}: of arrays that are not in memory, only rows can be picked")
        rows = np.atleast_1d(self.rows[which])
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        ends = np.append(np.flatnonzero(np.diff(rows) != 1) + 1, len(rows))  # runs of rows that follow each other
        start = 0
        for end in ends[ends > 0].tolist():
            self.source.read_into(found[start:end], int(rows[start]), int(rows[end - 1]) + 1)
            start = end
        return found[0] if isinstance(which, int | np.integer) else found

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("what is not in memory cannot be had without a copy")
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def take(self, rows: np.ndarray) -> "OnDiskArray":
        """These rows of them, by number or by mask, still out of memory."""
        return OnDiskArray(self.source, self.rows[rows])

    def slabs(self) -> Iterator[tuple[Any, np.ndarray]]:
        """All of it, a bounded number of bytes at a time, each with its place: some rows, or some of one row."""
        row = max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize)
        step = max(1, SLAB_BYTES // row)
        if row <= SLAB_BYTES or not isinstance(self.source, ScratchArray):
            for start in range(0, len(self), step):
                rows = slice(start, min(start + step, len(self)))
                yield rows, self[rows]
            return
        step = max(1, SLAB_BYTES * self.shape[1] // row)
        for number, one in enumerate(self.rows.tolist()):
            for first in range(0, self.shape[1], step):
                some = slice(first, min(first + step, self.shape[1]))
                yield (number, some), self.source[one, some]
