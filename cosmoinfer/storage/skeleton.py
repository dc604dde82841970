"""The structure of an HDF5 file that is being written, in memory: the library never sees the disk.

The library cannot close a file that the disk does not take: it crashes the process. So it writes names, types and
attributes here, and reserves for the values of each dataset a place at which they are written past it.
"""

import io
from typing import IO, Any

import h5py
import numpy as np


class Skeleton(io.RawIOBase):
    """A file object for ``h5py.File``. What was not written reads as zeros, and takes no memory."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []  # offset and bytes, in the order of their writing
        self._position = self._size = 0

    def write_to(self, disk: IO[bytes]) -> None:
        """All that was written here, and the size. Raises OSError."""
        for offset, piece in self._pieces:
            disk.seek(offset)
            disk.write(piece)
        disk.truncate(self._size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def write(self, buffer: Any) -> int:
        """At the position."""
        piece = bytes(buffer)
        self._pieces.append((self._position, piece))
        self._position += len(piece)
        self._size = max(self._size, self._position)
        return len(piece)

    def readinto(self, buffer: Any) -> int:
        """From the position on."""
        view = memoryview(buffer).cast("B")
        first, last = self._position, self._position + len(view)
        view[:] = bytes(len(view))
        for offset, piece in self._pieces:
            start, stop = max(offset, first), min(offset + len(piece), last)
            if start < stop:
                view[start - first : stop - first] = piece[start - offset : stop - offset]
        self._position = last
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """The new size, larger or smaller."""
        self._size = self._position if size is None else size
        self._pieces = [(offset, piece[: self._size - offset]) for offset, piece in self._pieces if offset < self._size]
        return self._size


def reserve_dataset(file: h5py.File, name: str, shape: tuple[int, ...], dtype: np.dtype) -> h5py.Dataset:
    """A new dataset whose values have their place in the file (``id.get_offset()``) before they are written.

    A scalar has none, nor has one without values.
    """
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return file.create_dataset(name, shape, dtype, dcpl=properties)
