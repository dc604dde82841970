"""How stored values stand for those that are meant: packed, with fill values, with axes in reverse order, complex."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

COMPLEX_FIELDS = (("r", "i"), ("re", "im"), ("real", "imag"))  # of compound types, as other tools write them


class RowAxis(Enum):
    """Where the axis of the rows is among those of a dataset."""

    FIRST = "first"
    LAST = "last"  # all axes in reverse order, as Fortran, Julia and MATLAB have them
    ABSENT = "absent"  # of a single row
    ONLY = "only"  # one number a row


class ComplexForm(Enum):
    """The real numbers that stand for complex ones."""

    AMPLITUDE = "amplitude"  # absolute values
    PARTS = "parts"  # real, then imaginary parts, along the axis after the rows
    LAST_PARTS = "last parts"  # along the last axis
    CHANNELS = "channels"  # real and imaginary parts along a new axis after the rows


COMPLEX_PARTS = (ComplexForm.PARTS, ComplexForm.LAST_PARTS, ComplexForm.CHANNELS)


@dataclass(frozen=True)
class Encoding:
    """Of one dataset; a row of it is decoded without the others.

    row_axis: where the rows are.
    scale, offset: value = stored * scale + offset in float64; None where the dataset is not packed.
    fill_values: stored values that stand for none, decoded as NaN.
    unsigned: whether signed integers stand for unsigned ones.
    complex_form: what complex numbers are turned into; None leaves them.
    """

    row_axis: RowAxis = RowAxis.FIRST
    scale: float | None = None
    offset: float | None = None
    fill_values: tuple[float, ...] = ()
    unsigned: bool = False
    complex_form: ComplexForm | None = None

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Of the decoded values, rows first."""
        shape = {
            RowAxis.FIRST: stored,
            RowAxis.LAST: stored[::-1],
            RowAxis.ABSENT: (1, *stored),
            RowAxis.ONLY: (*stored, 1),
        }[self.row_axis]
        if self.complex_form is ComplexForm.CHANNELS:
            return (shape[0], 2, *shape[1:])
        if self.complex_form is ComplexForm.LAST_PARTS:
            return (*shape[:-1], 2 * shape[-1])
        return (shape[0], 2 * shape[1], *shape[2:]) if self.complex_form is ComplexForm.PARTS else shape

    def dtype(self, stored: np.dtype) -> np.dtype:
        """Of the decoded values."""
        return self._parts(self._decode_values(np.zeros(0, stored)))[0].dtype

    def read_rows(self, dataset: Any, start: int, stop: int) -> np.ndarray:
        """Rows start..stop - 1 of a dataset or array, decoded."""
        if self.row_axis is RowAxis.ABSENT:
            return self.decode(np.asarray(dataset[()]))[start:stop]
        return self.decode(dataset[..., start:stop] if self.row_axis is RowAxis.LAST else dataset[start:stop])

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """All values, or those of some rows: (...) as stored -> (n, ...), see ``shape``."""
        values = self._decode_values(stored)
        if self.row_axis is RowAxis.LAST:
            values = np.ascontiguousarray(values.T)
        elif self.row_axis is RowAxis.ABSENT:
            values = values[None]
        elif self.row_axis is RowAxis.ONLY:
            values = values[:, None]
        parts = self._parts(values)
        if len(parts) == 1:
            return values
        if self.complex_form is ComplexForm.CHANNELS:
            return np.stack(parts, axis=1)
        return np.concatenate(parts, axis=-1 if self.complex_form is ComplexForm.LAST_PARTS else 1)

    def _parts(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Real and imaginary, where both are kept."""
        return (values.real, values.imag) if self.complex_form in COMPLEX_PARTS else (values,)

    def _decode_values(self, stored: np.ndarray) -> np.ndarray:
        """Value by value, in the shape of the file."""
        values = _as_numbers(stored)
        gaps = _equal_to_any(values, self.fill_values)
        if self.unsigned:
            values = values.view(values.dtype.str.replace("i", "u"))
        if self.scale is not None or self.offset is not None:
            values = values * np.float64(1 if self.scale is None else self.scale)
            values = values + np.float64(0 if self.offset is None else self.offset)
        if self.fill_values:
            values = values.astype(values.dtype if values.dtype.kind in "fc" else np.float64)
            values[gaps] = complex(np.nan, np.nan) if values.dtype.kind == "c" else np.nan
        return np.abs(values) if self.complex_form is ComplexForm.AMPLITUDE else values


PLAIN = Encoding()


def is_complex(dtype: np.dtype) -> bool:
    """Whether values of a type are complex numbers."""
    return dtype.kind == "c" or dtype.names in COMPLEX_FIELDS


def _equal_to_any(values: np.ndarray, candidates: tuple[float, ...]) -> np.ndarray:
    """Whether each value is one of these numbers, in the type of the values."""
    equal = np.zeros(values.shape if candidates else (), bool)
    for candidate in candidates:
        equal |= values == np.array(candidate).astype(values.dtype)
    return equal


def _as_numbers(stored: np.ndarray) -> np.ndarray:
    """Truth values as 0 and 1; pairs of a real and an imaginary part as complex numbers."""
    if stored.dtype.names in COMPLEX_FIELDS:
        real, imaginary = (stored[name] for name in stored.dtype.names)
        return real + 1j * imaginary
    return stored.view(np.uint8) if stored.dtype.kind == "b" else stored
