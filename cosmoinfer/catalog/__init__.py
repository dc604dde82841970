"""A catalog of simulations: parameters beside data, row by row, in our layout or as somebody else stored them."""

from pathlib import Path

from cosmoinfer.catalog.checks import nonfinite_rows, validated
from cosmoinfer.catalog.from_arrays import from_arrays
from cosmoinfer.catalog.multi_file import read_unchecked
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.rows import Catalog, Observable, fingerprint
from cosmoinfer.catalog.scale_cuts import select
from cosmoinfer.catalog.writing import write

__all__ = [
    "Catalog",
    "Observable",
    "ReadOptions",
    "fingerprint",
    "from_arrays",
    "nonfinite_rows",
    "read",
    "read_unchecked",
    "select",
    "write",
]


def read(path: Path | str, read_options: ReadOptions | None = None, memory: int | None = None) -> Catalog:
    """A catalog that a training can trust: finite, consistent, inside its box.

    path: a file, a pattern of files, or a manifest.
    memory: bytes that the data may take, by default a share of what there is; what does not fit stays in its file.

    Raises UserError, which says in which file and row, when the catalog is not as it must be.
    """
    read_options = read_options or ReadOptions()
    return validated(read_unchecked(Path(path), read_options, memory), read_options)
