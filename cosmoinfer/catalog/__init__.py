"""A catalog of simulations: parameters beside data, row by row, in our layout or as somebody else stored them."""

from cosmoinfer.catalog.catalog import Catalog, Observable
from cosmoinfer.catalog.from_arrays import from_arrays, unmasked
from cosmoinfer.catalog.multi_file import read, read_unchecked
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.selection import (
    fingerprint,
    nonfinite_data,
    nonfinite_rows,
    select,
    without_placeholders,
)
from cosmoinfer.catalog.writing import write

__all__ = [
    "Catalog",
    "Observable",
    "ReadOptions",
    "fingerprint",
    "from_arrays",
    "nonfinite_data",
    "nonfinite_rows",
    "read",
    "read_unchecked",
    "select",
    "unmasked",
    "without_placeholders",
    "write",
]
