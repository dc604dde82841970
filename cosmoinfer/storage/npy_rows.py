"""Arrays of numpy in .npy files: all at once, or left in their files and read by ranges of rows."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.memory import check_memory
from cosmoinfer.storage.opening import error_reason, file_identity, require_file, require_unmodified


class StoredRows(ABC):
    """An array (N, ...) that stays in a file, read by ranges of rows."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop - 1, (n, ...)."""
        rows = np.empty((min(stop, len(self)) - start, *self.shape[1:]), self.dtype)
        self.read_into(rows, start, start + len(rows))
        return rows

    @abstractmethod
    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...).

        Raises UserError where the file has changed, is damaged or cannot be read.
        """

    def rows_per_block(self, size: int) -> int:
        """How many rows make about ``size`` bytes."""
        return max(1, size // max(1, int(np.prod(self.shape[1:])) * self.dtype.itemsize))


def load_npy(path: Path) -> np.ndarray:
    """The numbers or text of a .npy file.

    Raises UserError for any other file, one that holds less than it says, one of Python objects, and one that memory
    does not take.
    """
    array = open_npy(path)
    check_memory(array.nbytes // 8, f"{path}: an array of shape {array.shape}")
    return np.array(array)


def open_npy(path: Path) -> np.memmap:
    """The array of a .npy file, which stays in the file. Raises UserError as ``load_npy``."""
    require_file(path)
    try:
        with np.errstate(over="ignore"):
            return np.lib.format.open_memmap(path, mode="r")  # which the file bounds, not what it says of itself
    except Exception as error:  # numpy reads what it says as Python, whose tokenizer has errors of its own
        raise UserError(f"{path}: is no .npy file of numbers or text, or a truncated one") from error


class NpyRows(StoredRows):
    """The rows of a .npy file in C order, in the byte order of this machine.

    They are read, not mapped: what was read does not count as memory of this process.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError as ``load_npy``, and for arrays without rows, or in Fortran order, whose rows are scattered
        over the file."""
        array = open_npy(path)
        if not array.flags.c_contiguous or not array.ndim:
            raise UserError(f"{path}: has shape {array.shape} in Fortran order; expected rows in C order")
        self.path, self.shape = path, array.shape
        self.dtype = array.dtype.newbyteorder("=")
        self._stored_dtype, self._offset = array.dtype, int(array.offset)
        self._identity = file_identity((path,))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in the file."""
        return int(np.prod(self.shape[1:])) * self._stored_dtype.itemsize

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...).

        Raises UserError where the file has changed, or cannot be read.
        """
        require_unmodified((self.path,), self._identity)
        is_direct = rows.flags.c_contiguous and rows.dtype == self._stored_dtype
        buffer = rows if is_direct else np.empty((stop - start, *self.shape[1:]), self._stored_dtype)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self._offset + start * self.row_bytes)
                view = buffer.reshape(-1).view(np.uint8).data
                while len(view):
                    if not (count := file.readinto(view)):
                        raise OSError("it ends too early")
                    view = view[count:]
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error_reason(error)})") from error
        if not is_direct:
            rows[...] = buffer.reshape(rows.shape)
