"""``cosmoinfer evaluate``."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions
from cosmoinfer.cli.sample import Draws, Part, Rows, SkipFailed
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cosmoinfer.posterior import Posterior

File = Annotated[Path, typer.Argument(help="A posterior, or a model together with its catalog.", show_default=False)]
Sims = Annotated[Path | None, typer.Argument(help="Catalog, for a model.", show_default=False)]
Folder = Annotated[Path | None, typer.Option(help="Draw the figures too, into this folder.", show_default=False)]
FailIf = Annotated[list[str] | None, typer.Option(help="Exit 3 if this holds: 'r2[Omega_m]<0.5'; repeatable.")]


def evaluate(
    file: File,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    catalog: Sims = None,
    output: Output = None,
    part: Part = None,
    rows: Rows = None,
    draws: Draws = 1000,
    skip_failed: SkipFailed = False,
    fail_if: FailIf = None,
    figures: Folder = None,
) -> None:
    """Measure a posterior against the truths: accuracy, density, calibration, each with a clustered 68.3 % interval.

    Example: cosmoinfer evaluate nsf.posterior.h5 --fail-if 'coverage_68<0.5'
    """
    from cosmoinfer import metrics, posterior, storage
    from cosmoinfer.cli import inputs, sample
    from cosmoinfer.errors import GateFailed, UserError
    from cosmoinfer.metrics.gate import parse

    gates = fail_if or []
    for gate in gates:
        parse(gate)  # before any work
    terminal = Terminal(say.json, say.quiet)
    output = output or file.with_name(f"{file.stem}.metrics.h5")
    kind = storage.kind_of(file)
    if kind == "model":
        if catalog is None:
            raise UserError(f"{file}: is a model; name its catalog too: cosmoinfer evaluate {file} CATALOG")
        task = sample.Task.prepare(file, catalog, reading, run, part, rows, draws, skip_failed)
        inputs.tell_seen(task.model.frame, task.sims, task.chosen, part, terminal)
        meta = inputs.record("evaluate", task.meta["settings"], task.meta["inputs"])
        curves = task.curves
        draw = functools.cache(lambda: of_part(task.draw(terminal), file, part, terminal))
    else:
        if catalog is not None:
            raise UserError(f"{file}: is a posterior and holds its truths; a catalog goes with a model only")
        kept = of_part(posterior.read(file), file, part, terminal)
        meta = inputs.record("evaluate", {"part": part, "seed": run.seed}, {"posterior": storage.digest(file)})
        curves, draw = {}, functools.cache(lambda: kept)
    document = measure(draw, meta, run.seed, output, terminal, say.force)
    if figures is not None:
        picture(draw(), document, curves, run.seed, figures, terminal)
    failed = [reason for gate in gates if (reason := metrics.gate(document, gate))]
    tell(terminal, document)
    if failed:
        raise GateFailed("; ".join(failed))


def of_part(drawn: "Posterior", path: Path, part: str | None, terminal: Terminal) -> "Posterior":
    """The rows of a part; unnamed, whatever no training has seen."""
    from cosmoinfer.errors import UserError
    from cosmoinfer.split import PARTS

    if part not in (None, "all", *PARTS):
        raise UserError(f"--split: {part!r} is not known; there are {', '.join(PARTS)} and all")
    if part == "all":
        return drawn
    keep = drawn.split >= 2 if part is None else drawn.split == PARTS.index(part)
    if not keep.any():
        raise UserError(f"{path}: holds no {part or 'test'} rows; --split train, validation or all names others")
    if part is None and not keep.all():
        terminal.say(f"left out {int((~keep).sum())} rows of the training and validation parts (--split names others)")
    return drawn.take(keep)


def measure(
    draw: "Callable[[], Posterior]", meta: dict[str, Any], seed: int, output: Path, terminal: Terminal, force: bool
) -> dict[str, Any]:
    """The metrics of a posterior, written unless they stand there already; only then is it drawn."""
    from cosmoinfer import metrics
    from cosmoinfer.cli import inputs

    if inputs.stands(output, "metrics", meta, terminal, force):
        return metrics.read(output)
    document = metrics.evaluate(draw(), seed)
    metrics.write(output, document, meta, force)
    return document


def picture(
    drawn: "Posterior",
    document: dict[str, Any],
    curves: "Mapping[str, Any]",
    seed: int,
    folder: Path,
    terminal: Terminal,
) -> None:
    """Every figure that applies, into a folder; curves: what is known of the learning curves, by field of Material."""
    from cosmoinfer import plots
    from cosmoinfer.cli import inputs

    inputs.make_folder(folder)
    drawings = plots.draw(plots.Material(drawn, document, **curves, seed=seed), folder)
    terminal.say(f"{folder}: {', '.join(drawing.name for drawing in drawings)}")


def tell(terminal: Terminal, document: dict[str, Any]) -> None:
    """The table, then in words how good and how calibrated the posterior is."""
    from cosmoinfer import metrics
    from cosmoinfer.cli.tables import metrics_table

    terminal.table(metrics_table(document))
    for line in metrics.summary(document):
        terminal.result(line)
    terminal.document(document)
