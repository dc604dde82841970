"""Packed data: the conventions of netCDF (CF) for scaled integers and missing values, as attributes declare them.

The attribute ``scale_factor`` of floating-point numbers is packing beside ``add_offset`` or a fill value only: alone it
is also what cosmologists call a = 1 / (1 + z).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer.catalog.declarations import Declarations
from cosmoinfer.errors import UserError
from cosmoinfer.storage import Attributes, DatasetInfo, Encoding, describe_dataset, load
from cosmoinfer.storage.encoding import RowAxis

SCALING = ("scale_factor", "add_offset")
FILL = ("_FillValue", "missing_value")
UNSIGNED = "_Unsigned"
PACKING = (*SCALING, *FILL, UNSIGNED)  # the attributes that are applied to the values
RANGES = ("valid_range", "valid_min", "valid_max")  # those that are not


def declares_packing(dataset: DatasetInfo) -> bool:
    """Whether the values of a dataset are decoded into double precision."""
    return any(name in dataset.attributes for name in (*SCALING, *FILL))


def packed_encoding(declarations: Declarations, dtype: np.dtype, row_axis: RowAxis, notes: list[str]) -> Encoding:
    """What the attributes of a dataset of that type declare. notes: gets a line for each.

    Raises UserError where they are no numbers, or no scale.
    """
    name = declarations.source.rpartition(": ")[2]
    fill_values = _fill_values(declarations, dtype, notes)
    is_packed = dtype.kind in "iu" or "add_offset" in declarations.attributes or bool(fill_values)
    scale = _single_number(declarations, "scale_factor") if is_packed else None
    offset = _single_number(declarations, "add_offset")
    if scale == 0:
        raise UserError(f"{declarations.source}: the attribute scale_factor is 0; expected another number")
    if "scale_factor" in declarations.attributes and not is_packed:
        number = np.squeeze(declarations.attributes["scale_factor"])
        notes.append(f"{name}: its scale_factor, {number}, is not applied: {dtype} without add_offset is not packed")
    unsigned = dtype.kind == "i" and any(declarations.flags(UNSIGNED) or ())
    encoding = Encoding(row_axis, scale, offset, unsigned=unsigned)
    if scale is not None or offset is not None:
        factor, shift = 1 if scale is None else scale, 0 if offset is None else offset
        notes.append(f"{name}: packed; a value is {factor:.6g} * stored + {shift:.6g} (scale_factor, add_offset)")
    if fill_values:
        values = ", ".join(f"{value:.6g}" for value in fill_values)
        notes.append(f"{name}: {values} is its fill value (_FillValue, missing_value), and read as NaN")
        encoding = replace(encoding, fill_values=fill_values)
    if ranges := [attribute for attribute in RANGES if attribute in declarations.attributes]:
        notes.append(f"{name}: declares {', '.join(ranges)}, which is not applied")
    return encoding


def load_unpacked(path: Path, name: str, follow_links: bool) -> np.ndarray:
    """All values of a dataset that is no part of the rows. Raises UserError when it cannot be read."""
    dataset, values = describe_dataset(path, name, follow_links), load(path, name, follow_links)
    if not declares_packing(dataset):
        return values
    declarations = Declarations(f"{path}: /{name}", dataset.attributes, dataset.unreadable)
    return packed_encoding(declarations, dataset.dtype, RowAxis.FIRST, []).decode(values)


def without_packing(attributes: Attributes) -> Attributes:
    """Those of values that are unpacked."""
    return {name: value for name, value in attributes.items() if name not in (*PACKING, *RANGES)}


def _single_number(declarations: Declarations, name: str) -> float | None:
    numbers = declarations.numbers(name)
    if numbers is None:
        return None
    if numbers.size != 1 or not np.isfinite(numbers).all():
        raise UserError(f"{declarations.source}: the attribute {name} holds {numbers.tolist()}; expected one number")
    return float(numbers.ravel()[0])


def _fill_values(declarations: Declarations, dtype: np.dtype, notes: list[str]) -> tuple[float, ...]:
    """Those that a value of that type may have; NaN needs no decoding."""
    fill_values: list[float] = []
    for name in FILL:
        value = declarations.attributes.get(name)
        if isinstance(value, str | tuple):
            notes.append(f"{declarations.source.rpartition(': ')[2]}: its {name} is text, and not applied")
            continue
        if value is not None and declarations.numbers(name) is not None:
            fill_values += np.ravel(value).tolist()
    return tuple(dict.fromkeys(value for value in fill_values if _is_value_of(value, dtype)))


def _is_value_of(value: float, dtype: np.dtype) -> bool:
    if np.isnan(value) or dtype.kind not in "fciu":
        return False
    limits = np.finfo(dtype) if dtype.kind in "fc" else np.iinfo(dtype)
    if dtype.kind in "iu" and value != round(value):
        return False
    return bool(np.isinf(value) or limits.min <= value <= limits.max)
