"""Write what is known of a posterior as one page: a report, and its content as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cosmoinfer import __version__, storage
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import GateResults
from cosmoinfer.report import render
from cosmoinfer.tasks.report_content import ReportSources, build_report
from cosmoinfer.tasks.reporter import SILENT, Reporter

PAGE = "report.html"  # in a folder of run
KINDS = ("split", "model", "posterior", "metrics")  # of files that a report is made of
GENERATOR = '<meta name="generator" content="cosmoinfer">'
MARK_LENGTH = 4096  # bytes, in which the mark of a page lies


def write_report(paths: Sequence[Path], output: Path | None = None, reporter: Reporter = SILENT) -> Path:
    """The page of a folder that ``run`` wrote, or of files: a model, posterior, metrics, a split, and a catalog.

    Raises UserError where a file is not one of these, two are of one kind, or the output is another file.
    """
    files, catalogs = _files_by_kind(paths)
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else Path()
    if output is None:
        output = folder / PAGE if paths[0].is_dir() else paths[0].with_suffix(".report.html")
    check_page(output)
    command = _command_before(_data_path(output))
    sources = ReportSources.from_files(files, catalogs[0] if catalogs else None, command)
    write_page(sources, _title(folder, files), None, output, reporter)
    return output


def write_page(sources: ReportSources, title: str, gates: GateResults | None, output: Path, reporter: Reporter) -> None:
    """output: the page; ``report_data.json`` of its name lies beside it. Raises UserError as ``write_report``."""
    check_page(output)
    data = _data_path(output)
    report = build_report(sources, title, gates)
    evaluation = None if sources.evaluation is None else sources.evaluation.to_json()
    document = {"kind": "report", "version": __version__, "command": sources.command, **report.to_json()}
    texts = {output: render(report), data: json.dumps({**document, "evaluation": evaluation}, indent=1) + "\n"}
    for path, text in texts.items():
        storage.make_folder(path.parent)
        with storage.atomic_write(path) as scratch:
            scratch.write_text(text, encoding="utf-8")
    reporter.result(f"{output}: report, {len(report.sections)} sections; its data in {data.name}")


def check_page(output: Path) -> None:
    """Before any work is done. Raises UserError where a report cannot be written, or would replace another file."""
    if storage.require_name(output).is_dir():
        raise UserError(f"{output}: is a folder; name a file")
    for path, is_ours in ((output, _is_page), (_data_path(output), _is_data)):
        if path.exists() and not (path.is_file() and is_ours(path)):
            raise UserError(f"{path}: is no report of this tool, and is not replaced; move it away")


def _files_by_kind(paths: Sequence[Path]) -> tuple[dict[str, Path], list[Path]]:
    """Those of our kinds, and catalogs."""
    if not paths:
        raise UserError("expected a folder of run, or files of one posterior: a model, a posterior, metrics")
    files, catalogs = dict[str, Path](), []
    for path in (file for source in paths for file in _files_of(source)):
        kind = storage.file_kind(path) or "catalog"
        if kind == "catalog":
            catalogs.append(path)
        elif kind not in KINDS:
            raise UserError(f"{path}: is a {kind} file; a report is made of {', '.join(KINDS)} and a catalog")
        elif kind in files:
            raise UserError(f"{path}: is a {kind}, as {files[kind]} is; a report is about one")
        else:
            files[kind] = path
    if len(catalogs) > 1:
        raise UserError(f"{catalogs[1]}: is a catalog, as {catalogs[0]} is; a report is about one")
    if not files.keys() & {"posterior", "metrics", "model"}:
        content = f"is {storage.describe_file(paths[0])}, and " if paths[0].is_file() else ""
        raise UserError(f"{paths[0]}: {content}holds no model, posterior or metrics to report on")
    return files, catalogs


def _files_of(path: Path) -> list[Path]:
    """The files of a folder that are ours, or the file itself."""
    if not path.is_dir():
        return [storage.require_file(path)]
    return [file for file in sorted(path.glob("*.h5")) if storage.file_kind(file) in KINDS]


def _title(folder: Path, files: Mapping[str, Path]) -> str:
    return folder.resolve().name if folder != Path() else next(iter(files.values())).stem


def _data_path(output: Path) -> Path:
    """``report_data.json`` beside report.html."""
    return output.parent / f"{output.stem}_data.json"


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(MARK_LENGTH)


def _is_data(path: Path) -> bool:
    try:
        return storage.parse_object(storage.load_text(path)).get("kind") == "report"
    except (UserError, ValueError):
        return False


def _command_before(data: Path) -> str:
    """The command that a report before this one names; empty without one."""
    if not data.is_file() or not _is_data(data):
        return ""
    return str(storage.parse_object(storage.load_text(data)).get("command", ""))
