"""A catalog of simulations: parameters beside data, row by row, in our layout or as somebody else stored them."""

from dataclasses import replace
from pathlib import Path

from cosmoinfer.catalog.checks import check_box, finite, nonfinite_rows
from cosmoinfer.catalog.multi_file import assemble
from cosmoinfer.catalog.reading import Reading
from cosmoinfer.catalog.rows import Catalog, Summary, fingerprint, view
from cosmoinfer.catalog.scale_cuts import narrow
from cosmoinfer.catalog.writing import write

__all__ = ["Catalog", "Reading", "Summary", "assemble", "fingerprint", "narrow", "nonfinite_rows", "read", "write"]


def read(path: Path | str, reading: Reading | None = None, memory: int | None = None) -> Catalog:
    """A catalog that a training can trust: finite, consistent, inside its box; else a UserError that says where.

    memory: bytes that it may take, by default a share of what there is; what does not fit stays in its file.
    """
    reading = reading or Reading()
    catalog = finite(assemble(Path(path), reading, memory), reading.drop_nonfinite)
    if catalog.parameters is not None and catalog.theta is not None:
        check_box(catalog, catalog.parameters, catalog.theta)
    catalog = replace(catalog, fingerprint=fingerprint(catalog))
    narrowed = narrow(catalog, reading)
    return replace(narrowed, view=view(narrowed, cut=narrowed.summaries is not catalog.summaries))
