"""A catalog of simulations: parameters beside data, row by row, in our layout or as somebody else stored them."""

from pathlib import Path

from cosmoinfer.catalog.checks import nonfinite_rows, validated
from cosmoinfer.catalog.from_arrays import from_arrays
from cosmoinfer.catalog.multi_file import assemble
from cosmoinfer.catalog.reading import Reading
from cosmoinfer.catalog.rows import Catalog, Summary, fingerprint
from cosmoinfer.catalog.scale_cuts import narrow
from cosmoinfer.catalog.writing import write

__all__ = [
    "Catalog",
    "Reading",
    "Summary",
    "assemble",
    "fingerprint",
    "from_arrays",
    "narrow",
    "nonfinite_rows",
    "read",
    "write",
]


def read(path: Path | str, reading: Reading | None = None, memory: int | None = None) -> Catalog:
    """A catalog that a training can trust: finite, consistent, inside its box.

    path: a file, a pattern of files, or a manifest.
    memory: bytes that the data may take, by default a share of what there is; what does not fit stays in its file.

    Raises UserError, which says in which file and row, when the catalog is not as it must be.
    """
    reading = reading or Reading()
    return validated(assemble(Path(path), reading, memory), reading)
