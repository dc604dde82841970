"""Arrays that stay in their file, and are read row by row."""

import numpy as np

from cosmoinfer.storage.anybody import Stored


class Filed:
    """Rows (n, ...) of a dataset: by number one of them (...), by slice or list those (k, ...), read when asked for."""

    def __init__(self, stored: Stored, rows: np.ndarray | None = None) -> None:
        self.stored = stored
        self.rows = np.arange(len(stored)) if rows is None else rows

    @property
    def dtype(self) -> np.dtype:
        return self.stored.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.stored.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: int | slice | np.ndarray) -> np.ndarray:
        rows = np.atleast_1d(self.rows[which])
        found = np.empty((len(rows), *self.shape[1:]), self.stored.dtype)
        ends = np.append(np.flatnonzero(np.diff(rows) != 1) + 1, len(rows))  # runs of rows that follow each other
        start = 0
        for end in ends[ends > 0].tolist():
            self.stored.read_into(found[start:end], int(rows[start]), int(rows[end - 1]) + 1)
            start = end
        return found[0] if isinstance(which, int | np.integer) else found

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def take(self, rows: np.ndarray) -> "Filed":
        """These rows of them, by number or by mask, still in the file."""
        return Filed(self.stored, self.rows[rows])
