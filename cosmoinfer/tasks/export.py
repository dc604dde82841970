"""Write the draws of a posterior as other tools read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import exporters, storage
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.exporters import EXPORTERS, DrawTable, Exporter
from cosmoinfer.formatting import count_text
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.provenance import output_beside
from cosmoinfer.tasks.reading import find_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import OutputSettings, names_of_fields, select_keywords
from cosmoinfer.tasks.sources import PosteriorSource, open_posterior


@dataclass(frozen=True)
class ExportSettings:
    """to: a format, of EXPORTERS. rows: row numbers of the posterior, or ``3,5,20:25``; by default all."""

    to: str = ""
    rows: str | tuple[int, ...] | None = None


@dataclass(frozen=True)
class ExportedFiles:
    """output: the file, or the root of several. paths: of all files. to: the format. table: what they hold.

    complete: they were there already.
    """

    output: Path
    paths: tuple[Path, ...]
    to: str
    table: DrawTable
    complete: bool

    def describe(self) -> str:
        """In one line."""
        n, count, _ = self.table.samples.shape
        rows = count_text(n, "row")
        files = f", {len(self.paths)} files, the last {self.paths[-1]}" if len(self.paths) > 1 else ""
        return f"{self.output}: {rows}, {count} draws of {', '.join(self.table.names)} for {self.to}{files}"


def export(
    posterior: PosteriorSource,
    to: str,
    *,
    output: Path | str,
    rows: str | Sequence[int] | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> list[Path]:
    """Write the draws of a posterior as another tool reads them; returns the paths of the files.

    posterior: a path or an object. to: getdist, arviz, csv, npz or parquet.
    output: the file, whatever its name ends with; of GetDist the root of four files, ``exports/nsf`` of
        ``exports/nsf.txt``, which gains ``_row3`` of several observations. Its folder must be there.
    rows: row numbers of the posterior, ``"0:10"`` or ``[3, 5]``; by default all.
    force: replace files of other content.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    target = OutputSettings.from_arguments(output, force, reporter)
    settings = {"to": to, "rows": rows}
    if target.output is None:
        raise UserError("expected the path of a file, found None", setting="output")
    _require_root(to, target.output)
    return list(_export(posterior, settings, target.output, target.force, target.reporter).paths)


def write_exported(
    file: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> ExportedFiles:
    """The same for the command line.

    keywords: settings by the name of their option. Raises UserError if a setting or the posterior is not usable.
    """
    if output is not None:
        _require_root(str(keywords.get("to")), output)
    output = output or output_beside(file, _exporter(str(keywords.get("to"))).suffix)
    return _export(file, keywords, output, force, reporter)


def _exporter(to: str) -> Exporter:
    if to not in EXPORTERS:
        raise UserError(f"{to!r} is not known; {list_choices(to, EXPORTERS)}", setting="to")
    return EXPORTERS[to]


def _require_root(to: str, output: Path) -> None:
    """Raises UserError where the root of several files is a folder, outside which they would lie."""
    if not _exporter(to).suffix and storage.require_name(output).is_dir():
        raise UserError(f"{output}: is a folder; name the root of its files, as {output}/draws", setting="output")


def _export(
    source: PosteriorSource, keywords: Mapping[str, Any], output: Path, force: bool, reporter: Reporter
) -> ExportedFiles:
    check_keywords("export", keywords, names_of_fields(ExportSettings))
    settings = select_keywords(ExportSettings, keywords)
    exporter, opened = _exporter(settings.to), open_posterior(source)
    posterior = opened.posterior
    if settings.rows is not None and len(posterior):
        posterior = posterior.select(find_rows(opened.name, posterior.index, None, settings.rows))
    table = posterior.draw_table
    renamed = [pair for pair in zip(table.names, exporter.names(table), strict=True) if pair[0] != pair[1]]
    if renamed:
        listing = join_first(f"{name!r} is {accepted}" for name, accepted in renamed)
        reporter.info(f"names that {settings.to} does not take are changed: {listing}")
    files = exporter.files(table, output)
    if isinstance(source, Path | str) and any(
        storage.require_name(path).exists() and path.samefile(source) for path in files
    ):
        raise UserError(f"{source}: is read by this command; name another output")
    complete = exporters.write_files(files, force)
    if complete:
        reporter.info(f"{output}: complete already, with the same content")
    return ExportedFiles(output, tuple(files), settings.to, table, complete)
