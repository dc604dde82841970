"""``cosmoinfer inspect``."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import OutputOptions, ReadOptions, TargetOptions, keywords
from cosmoinfer.cli.tables import two_column_table
from cosmoinfer.cli.terminal import Terminal, with_options
from cosmoinfer.errors import UserError
from cosmoinfer.settings import is_given

if TYPE_CHECKING:
    from cosmoinfer.audit.check import Finding
    from cosmoinfer.tasks.inspect import CatalogDescription, FileDescription

File = Annotated[Path, typer.Argument(help="Any file of ours, or any catalog of any format.", show_default=False)]
Audit = Annotated[bool, typer.Option("--audit", help="Look for every fault of a catalog that can be found.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare all that a file of ours holds with its digests.")]
Manifest = Annotated[
    Path | None, typer.Option(help="Write JSON that stands for the files of this catalog.", show_default=False)
]


def inspect(
    file: File,
    read_options: ReadOptions,
    target_options: TargetOptions,
    output_options: OutputOptions,
    audit: Audit = False,
    manifest: Manifest = None,
    verify: Verify = False,
) -> None:
    """Say what is in a file; of a catalog, what would break a training (then exit 1) or deserves a look.

    Example: cosmoinfer inspect sample_data/maps.h5 --audit
    """
    from cosmoinfer.tasks import inspect as task

    terminal = Terminal(output_options.json, output_options.quiet)
    if verify:
        for path, datasets in task.verify_files(file):
            terminal.result(f"{path}: undamaged, {datasets} datasets are as they were written")
    contents = task.inspect_file(file, keywords(read_options, target_options, audit=audit, manifest=manifest))
    if isinstance(contents, task.FileDescription):
        _show_file(contents, terminal)
        return
    _show_catalog(contents, terminal)
    if contents.error is not None:
        raise UserError(f"{file}: a training would break: {contents.error.message}")
    if manifest is not None:
        task.write_manifest(contents, manifest, output_options.force)
        terminal.info(f"{manifest}: stands for {len(contents.files)} files")


def _show_catalog(contents: "CatalogDescription", terminal: Terminal) -> None:
    rows, simulations = contents.rows, contents.simulations
    terminal.table(two_column_table(contents.ranges, f"{contents.file}: {rows} rows of {simulations} simulations"))
    for finding in contents.findings:
        terminal.result(f"{finding.level}: {finding.message} ({finding.check})")
    document: dict[str, object] = {"kind": "catalog", "rows": rows, "simulations": simulations}
    document |= {"contents": dict(contents.ranges), "findings": [_to_json(finding) for finding in contents.findings]}
    terminal.document(document)


def _to_json(finding: "Finding") -> dict[str, str]:
    """The fields of a finding, with the settings that its remedy names as options."""
    return {name: with_options(text) for name, text in asdict(finding).items()}


def _show_file(contents: "FileDescription", terminal: Terminal) -> None:
    kind, meta = contents.kind, contents.meta
    if contents.contents:
        terminal.table(two_column_table(contents.contents, f"{contents.file}: {kind}"))
    settings = settings_rows(meta["settings"])
    terminal.table(
        two_column_table(settings, f"{contents.file}: {kind} of version {meta['version']}, {meta['command']}")
    )
    terminal.table(two_column_table(without_weights(contents.datasets), "datasets"))
    document: dict[str, object] = {"kind": kind, "contents": dict(contents.contents), "meta": dict(meta)}
    terminal.document(document | {"datasets": dict(contents.datasets)})


def settings_rows(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Those that are not empty or false, a row each; of a list of several a row for each item: ``recipe.stacks.0``."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows |= settings_rows(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            rows |= {f"{name}.{number}": _in_words(item) for number, item in enumerate(value)}
        elif is_given(value):
            rows[name] = _in_words(value)
    return rows


def _in_words(value: Any) -> str:
    """``nsf, hidden=50``: settings within others in parentheses, without those that are empty or false."""
    if isinstance(value, Mapping):
        nonempty = {key: item for key, item in value.items() if is_given(item)}
        return ", ".join(
            f"{key} ({_in_words(item)})" if isinstance(item, Mapping | list) else f"{key}={item}"
            for key, item in nonempty.items()
        )
    return ", ".join(map(_in_words, filter(is_given, value))) if isinstance(value, list) else str(value)


def without_weights(datasets: Mapping[str, str]) -> dict[str, str]:
    """The datasets by path, the weights of each network in one row."""
    counts = Counter(match[0] for name in datasets if (match := re.match(r".*/weights(?=/)", name)))
    listed = {name: text for name, text in datasets.items() if not re.match(r".*/weights/", name)}
    return listed | {name: f"{count} arrays" for name, count in counts.items()}
