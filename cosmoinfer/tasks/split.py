"""Decide which simulations train, validate and test."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import split as splits
from cosmoinfer.catalog import Catalog
from cosmoinfer.settings import check_keywords
from cosmoinfer.split import Split
from cosmoinfer.tasks.provenance import catalog_inputs, default_output, is_up_to_date, task_provenance
from cosmoinfer.tasks.reading import choose_split, read_catalog
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import READ_OPTIONS, SPLIT, CatalogSettings, SplitSettings, select_keywords


@dataclass(frozen=True)
class WrittenSplit:
    """A split and the file that holds it."""

    output: Path
    split: Split

    def describe(self) -> str:
        """In one line."""
        train, validation, test = self.split.sizes
        return f"{self.output}: {train} simulations train, {validation} validate, {test} test"


def write_split(
    path: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> WrittenSplit:
    """Split a catalog by simulation, and write the split unless it is up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or the catalog is not usable.
    """
    check_keywords("split", keywords, (*READ_OPTIONS, *SPLIT))
    catalog = read_catalog(path, CatalogSettings.from_keywords(keywords))
    settings = select_keywords(SplitSettings, keywords)
    return split_and_write(catalog, settings, output or default_output(path, "split"), force, reporter)


def split_and_write(
    catalog: Catalog, settings: SplitSettings, output: Path, force: bool, reporter: Reporter
) -> WrittenSplit:
    """Split a catalog that has been read, and write the split unless it is up to date."""
    split = choose_split(catalog, settings)
    used = {"fractions": settings.fractions or splits.DEFAULT_FRACTIONS, "split_seed": settings.split_seed}
    inputs = {**catalog_inputs(catalog), "split": splits.fingerprint(split)}
    meta = task_provenance("split", used, inputs)
    if not is_up_to_date(output, "split", meta, reporter, force, settings.split_file):
        splits.write(output, split, meta, force)
    return WrittenSplit(output, split)
