"""``cosmoinfer inspect``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import ReadingOptions, SayOptions
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.catalog import rows
    from cosmoinfer.storage import Record

File = Annotated[Path, typer.Argument(help="Any file of ours, or any catalog.", show_default=False)]
Audit = Annotated[bool, typer.Option("--audit", help="Look for every fault of a catalog that can be found.")]

Manifest = Annotated[
    Path | None, typer.Option(help="Write JSON that stands for the files of this catalog.", show_default=False)
]


def inspect(
    file: File, reading: ReadingOptions, say: SayOptions, audit: Audit = False, manifest: Manifest = None
) -> None:
    """Say what is in a file; of a catalog, what would break a training (then exit 1) or deserves a look.

    Example: cosmoinfer inspect sample_data/maps.h5 --audit
    """
    from cosmoinfer import storage
    from cosmoinfer.catalog import multi_file
    from cosmoinfer.errors import UserError

    terminal = Terminal(say.json, say.quiet)
    kind = storage.kind_of(multi_file.first(file))
    if kind in (None, "catalog"):
        parts = _catalog(terminal, file, reading, audit)
        if manifest is not None:
            _list_files(terminal, parts, manifest, say.force)
    elif audit or manifest:
        raise UserError(f"--audit, --manifest: are for catalogs; {file} is a {kind} file")
    else:
        _ours(terminal, file, str(kind))


def _catalog(terminal: Terminal, file: Path, options: ReadingOptions, full: bool) -> "Sequence[rows.File]":
    """Gives the files that it consists of."""
    from cosmoinfer import audit, catalog, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.cli.tables import two_column_table
    from cosmoinfer.errors import UserError

    reading = catalog.Reading(**options.given())
    sims = catalog.narrow(catalog.assemble(file, reading, inputs.memory_of(options)), reading)
    rows, simulations = len(sims), len(set(sims.simulation.tolist()))
    sims = audit.sample(sims)
    findings = audit.audit(sims, storage.contents(sims.first), full)
    ranges = audit.ranges(sims)
    terminal.table(two_column_table(ranges, f"{file}: {rows} rows of {simulations} simulations"))
    for finding in findings:
        terminal.result(f"{finding.level}: {finding.text}")
    document: dict[str, Any] = {"kind": "catalog", "rows": rows, "simulations": simulations, "contents": ranges}
    document["findings"] = [asdict(finding) for finding in findings]
    terminal.document(document)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise UserError(f"{file}: a training would break: {errors[0].text}")
    return sims.files


def _list_files(terminal: Terminal, parts: "Sequence[rows.File]", manifest: Path, force: bool) -> None:
    from cosmoinfer import storage
    from cosmoinfer.catalog import multi_file
    from cosmoinfer.errors import UserError

    if manifest.suffix != ".json":
        raise UserError(f"--manifest {manifest}: expected the name of a .json file")
    if not manifest.parent.is_dir():
        raise UserError(f"{manifest}: the folder {manifest.parent} does not exist")
    if manifest.exists() and not force:
        raise UserError(f"{manifest}: exists already; --force replaces it")
    with storage.whole_or_absent(manifest) as scratch:
        scratch.write_text(multi_file.manifest(parts, manifest.parent))
    terminal.say(f"{manifest}: stands for {len(parts)} files")


def _ours(terminal: Terminal, file: Path, kind: str) -> None:
    from cosmoinfer import posterior, storage
    from cosmoinfer.cli.tables import two_column_table

    record = storage.read(file, leave=posterior.DRAWN)
    contents = TOLD[kind](record) if kind in TOLD else {}
    shapes = {f"/{name}": f"{value.shape} {value.dtype}" for name, value in sorted(record.every.items()) if value.shape}
    settings = {key: str(value) for key, value in record.meta["settings"].items()}
    if contents:
        terminal.table(two_column_table(contents, f"{file}: {kind}"))
    terminal.table(
        two_column_table(settings, f"{file}: {kind} of version {record.meta['version']}, {record.meta['command']}")
    )
    terminal.table(two_column_table(shapes, "datasets"))
    terminal.document({"kind": kind, "contents": contents, "meta": record.meta, "datasets": shapes})


def _model(record: "Record") -> dict[str, str]:
    """What a model says of what, and what it is made of."""
    config = json.loads(str(record.arrays["config"]))
    names, classes = ", ".join(record.attributes["parameters"]["names"]), config["frame"]["classes"]
    what = {
        "flow": f"p({names} | data)",
        "regressor": f"{names}, loss {config.get('loss')}",
        "classifier": f"{names}: {', '.join(classes)}; loss {config.get('loss')}",
        "density": f"p(data | {names})" if config.get("condition") else "p(data)",
    }
    told = {config["model"]: what[config["model"]]}
    for number, one in enumerate(config["frame"]["inputs"]):
        gaps = ", NaN marks gaps" if one["masked"] else ""
        code = record.arrays.get(f"inputs/{number}/compression/config")
        fewer = (
            "" if code is None else f", in {json.loads(str(code))['size']} numbers ({json.loads(str(code))['name']})"
        )
        told[f"/{one['name']}"] = f"{one['kind']} {tuple(one['shape'])}{gaps}{fewer}"
    others = {
        "noise/root": ("noise", "added to simulations"),
        "summary/config": ("data", "through a trained regressor"),
        "ancestor/config": ("weights", "begins from another flow"),
    }
    told |= dict(what for path, what in others.items() if path in record.arrays)
    number = 0
    while f"stacks/{number}/config" in record.arrays:
        stack = json.loads(str(record.arrays[f"stacks/{number}/config"]))
        made = stack.get("flow") or ", ".join(name for name, _ in stack["networks"])
        best = sorted(int(epoch) + 1 for epoch in record.arrays[f"stacks/{number}/history/best"])
        told[f"stack {number}"] = f"{int(record.arrays[f'stacks/{number}/members'])} x {made}, best epochs {best}"
        number += 1
    return told


def _posterior(record: "Record") -> dict[str, str]:
    """Of which parameters, or classes, for how many rows."""
    told = {"rows": str(len(record.arrays["index"])), "parameters": ", ".join(record.attributes["names"]["names"])}
    if "samples" in record.every:
        told["draws"] = str(record.every["samples"].shape[1])
    if "probabilities" in record.arrays:
        told["classes"] = ", ".join(record.attributes["probabilities"]["names"])
    return told


def _scores(record: "Record") -> dict[str, str]:
    """How many rows, and from where to where their scores go."""
    scores = {name: values for name, values in record.arrays.items() if values.dtype.kind == "f"}
    told = {name: f"{values.min():.4g}..{values.max():.4g}" for name, values in scores.items()}
    return {"rows": str(len(record.arrays["index"])), **told}


TOLD: dict[str, Callable[["Record"], dict[str, str]]] = {"model": _model, "posterior": _posterior, "scores": _scores}
