"""``cosmoinfer inspect``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cosmoinfer.cli.options import ReadingOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

File = Annotated[Path, typer.Argument(help="Any file of ours, or any catalog.", show_default=False)]


def inspect(file: File, reading: ReadingOptions, say: SayOptions) -> None:
    """Say what is in a file; of a catalog, what would break a training (then exit 1) or deserves a look.

    Example: cosmoinfer inspect sample_data/maps.h5
    """
    from cosmoinfer import storage

    terminal = Terminal(say.json, say.quiet)
    kind = storage.kind_of(file)
    if kind in (None, "catalog"):
        _catalog(terminal, file, reading)
    else:
        _ours(terminal, file, str(kind))


def _catalog(terminal: Terminal, file: Path, options: ReadingOptions) -> None:
    from cosmoinfer import audit, catalog, storage
    from cosmoinfer.cli.tables import listing
    from cosmoinfer.errors import UserError

    reading = catalog.Reading(**options.given())
    sims = catalog.narrow(catalog.assemble(file, reading), reading)
    findings = audit.audit(sims, storage.contents(file))
    ranges = audit.ranges(sims)
    simulations = len(set(sims.simulation.tolist()))
    terminal.table(listing(ranges, f"{file}: {len(sims)} rows of {simulations} simulations"))
    for finding in findings:
        terminal.result(f"{finding.level}: {finding.text}")
    document: dict[str, Any] = {"kind": "catalog", "rows": len(sims), "simulations": simulations, "contents": ranges}
    document["findings"] = [{"level": finding.level, "text": finding.text} for finding in findings]
    terminal.document(document)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise UserError(f"{file}: a training would break: {errors[0].text}")


def _ours(terminal: Terminal, file: Path, kind: str) -> None:
    from cosmoinfer import storage
    from cosmoinfer.cli.tables import listing

    record = storage.read(file)
    shapes = {f"/{name}": f"{value.shape} {value.dtype}" for name, value in record.arrays.items() if value.ndim}
    settings = {key: str(value) for key, value in record.meta["settings"].items()}
    terminal.table(listing(settings, f"{file}: {kind} of version {record.meta['version']}, {record.meta['command']}"))
    terminal.table(listing(shapes, "datasets"))
    terminal.document({"kind": kind, "meta": record.meta, "datasets": shapes})
