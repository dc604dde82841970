"""Write files of other formats as a catalog: whole rows, a bounded number at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import catalog as catalogs
from cosmoinfer import importers, storage
from cosmoinfer.catalog import Catalog, multi_file
from cosmoinfer.catalog.selection import require_clear_axes
from cosmoinfer.catalog.writing import data_names, write_catalog
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importers.source import data_attributes
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.provenance import is_up_to_date, task_provenance
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import READ_OPTIONS, CatalogSettings


@dataclass(frozen=True)
class ImportedCatalog:
    """complete: it was there already."""

    output: Path
    catalog: Catalog
    complete: bool = False

    def describe(self) -> str:
        """In one line."""
        catalog = self.catalog
        shapes = ", ".join(f"{observable.kind} {observable.row_shape}" for observable in catalog.observables)
        names = "no parameters" if catalog.parameters is None else ", ".join(catalog.parameters.names)
        simulations = len(set(catalog.simulation.tolist()))
        return f"{self.output}: {len(catalog)} rows of {simulations} simulations, {shapes}; {names}"


def write_imported(
    paths: Sequence[Path],
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> ImportedCatalog:
    """Write what the files hold as one catalog of our layout, unless it is there already.

    keywords: settings by the name of their option. Raises UserError where files cannot be read or do not belong
    together, and if a setting selects rows or features.
    """
    check_keywords("import", keywords, READ_OPTIONS)
    read_options = CatalogSettings.from_keywords(keywords).read_options
    if read_options.infer or read_options.scale_cut or read_options.drop_nonfinite:
        raise UserError("import: copies whole rows; `infer`, `scale_cut` and `drop_nonfinite` go with a training")
    for path in paths:
        if not importers.is_source(path) and path.is_file() and storage.begins_as_hdf5(path):
            raise UserError(f"{path}: is HDF5, which every command reads as it is; cosmoinfer repack copies it")
    source = importers.read_source(paths, read_options)
    catalog = importers.build(source, read_options, streamed=True)
    require_clear_axes(catalog)
    output = output or Path(f"{multi_file.catalog_name(paths[0])}.h5")
    meta = task_provenance("import", {"read_options": importers.without_paths(read_options)}, {})
    if is_up_to_date(output, "catalog", meta, SILENT, force):
        standing = catalogs.read_unchecked(output, catalogs.ReadOptions())
        if catalogs.fingerprint(standing) == catalogs.fingerprint(catalog):
            reporter.info(f"{output}: complete already, from the same settings and inputs")
            return ImportedCatalog(output, catalog, complete=True)
        if not force:
            raise UserError(f"{output}: exists already, from other data; `force` replaces it")
    for note in catalog.notes:
        reporter.info(note)
    names = data_names(catalog)
    attributes = data_attributes(source, names, [observable.row_shape for observable in catalog.observables])
    if clash := set(catalog.coordinates) & {*names, "data", "parameters", "simulation", "meta"}:
        raise UserError(f"a coordinate cannot be called {join_first(clash)}, which is a dataset of every catalog")
    contents = storage.FileContents(
        "catalog", meta, {**catalog.coordinates, **source.extra}, attributes, source.attributes
    )
    write_catalog(output, catalog, contents, force)
    return ImportedCatalog(output, catalog)
