"""Write a catalog anew, in the layout that trainings read fastest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer.catalog import Catalog, fingerprint, read_unchecked, repack
from cosmoinfer.errors import UserError
from cosmoinfer.importers import is_source
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.provenance import default_output, is_up_to_date, task_provenance
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import READ_OPTIONS, CatalogSettings

MEMORY_BYTES = 1  # for data: all of it stays in its files


@dataclass(frozen=True)
class RepackedCatalog:
    """left_out: datasets that are no part of the catalog and cannot be copied. complete: it was there already."""

    output: Path
    catalog: Catalog
    left_out: tuple[str, ...] = ()
    complete: bool = False

    def describe(self) -> str:
        """In one line."""
        shapes = ", ".join(f"{observable.kind} {observable.row_shape}" for observable in self.catalog.observables)
        return f"{self.output}: {len(self.catalog)} rows of {shapes}"


def write_repacked(
    path: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> RepackedCatalog:
    """Copy a catalog into one file of our layout, unless it is up to date; rows, ids and fingerprint stay.

    keywords: settings by the name of their option. Raises UserError if they select rows or features.
    """
    check_keywords("repack", keywords, READ_OPTIONS)
    output, read_options = (
        output or default_output(path, "packed"),
        CatalogSettings.from_keywords(keywords).read_options,
    )
    if read_options.infer or read_options.scale_cut or read_options.drop_nonfinite:
        raise UserError("repack: copies whole rows; `infer`, `scale_cut` and `drop_nonfinite` go with a training")
    if is_source(path):
        raise UserError(f"{path}: is no HDF5; cosmoinfer import writes a catalog, which needs no repacking")
    catalog = read_unchecked(path, read_options, MEMORY_BYTES)
    meta = task_provenance("repack", {"read_options": read_options}, {"catalog": fingerprint(catalog)})
    if is_up_to_date(output, "catalog", meta, reporter, force, *(file.path for file in catalog.files)):
        return RepackedCatalog(output, catalog, complete=True)
    left_out = repack.repack(catalog, read_options, output, meta, force)
    return RepackedCatalog(output, catalog, tuple(left_out))
