"""``cosmoinfer evaluate``."""

import functools
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions
from cosmoinfer.cli.sample import How, Part, Recalibrate, Rows, SkipFailed, Task
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from cosmoinfer.metrics import ReferencePosterior
    from cosmoinfer.posterior import Posterior

File = Annotated[Path, typer.Argument(help="A posterior, or a model together with its catalog.", show_default=False)]
Sims = Annotated[Path | None, typer.Argument(help="Catalog, for a model here or behind --against.", show_default=False)]
DrawsOfModel = Annotated[
    int | None, typer.Option("--draws", help=f"Draws of each row of a model [{How.draws}].", show_default=False)
]
Folder = Annotated[Path | None, typer.Option(help="Draw the figures too, into this folder.", show_default=False)]
Against = Annotated[
    Path | None, typer.Option(help="Hold it against this posterior or model of the same rows.", show_default=False)
]
Local = Annotated[
    list[int] | None, typer.Option(help="Test the posterior at this row number by itself (local C2ST); repeatable.")
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(help="Exit 3 if this holds: 'r2[Omega_m]<0.5', 'coverage_68<0.6 by 3' (errors); repeatable."),
]
DefaultGates = Annotated[bool, typer.Option("--gate", help="Exit 3 if a gate of the default set fails.")]


def evaluate(
    file: File,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    catalog: Sims = None,
    output: Output = None,
    part: Part = None,
    rows: Rows = None,
    draws: DrawsOfModel = None,
    skip_failed: SkipFailed = False,
    recalibrate: Recalibrate = None,
    against: Against = None,
    local: Local = None,
    fail_if: FailIf = None,
    gate: DefaultGates = False,
    figures: Folder = None,
) -> None:
    """Measure a posterior against the truths: accuracy, density, calibration, each with a clustered 68.3 % interval.

    Example: cosmoinfer evaluate nsf.posterior.h5 --gate --fail-if 'coverage_68<0.5'
    """
    from cosmoinfer import metrics, storage
    from cosmoinfer.errors import UserError

    gates = checked(fail_if)
    terminal = Terminal(say.json, say.quiet)
    output = output or file.with_name(f"{file.stem}.metrics.h5")
    if (kind := storage.kind_of(file)) in (None, "catalog"):
        raise UserError(f"{file}: is a catalog; the model comes first: cosmoinfer evaluate MODEL {file}")
    if kind != "model" and (against is None or storage.kind_of(against) != "model"):
        _check_drawn(file, catalog, {"draws": draws, "skip_failed": skip_failed, **asdict(reading)})
    how = How(reading, run, part, rows, How.draws if draws is None else draws, skip_failed, recalibrate=recalibrate)
    case = _model(file, catalog, how, output.parent, terminal) if kind == "model" else _posterior(file, how, terminal)
    if local:
        metrics.check_local(local, case.index)
        case = replace(case, local=tuple(dict.fromkeys(local)), meta=_with(case.meta, {"local": local}))
    if against is not None:
        case = _beside(case, against, catalog, how, output.parent, terminal)
    document = measure(case.draw, case.meta, run.seed, output, terminal, say.force, case.other, case.local)
    if figures is not None:
        picture(case.draw(), document, case.curves, run.seed, figures, terminal)
    tell(terminal, document)
    stop_at(document, gates, gate, terminal)


def _check_drawn(path: Path, catalog: Path | None, options: "Mapping[str, Any]") -> None:
    """What says how to draw, or how to read a catalog, says nothing of a posterior that was drawn before."""
    from cosmoinfer.errors import UserError, listed

    if catalog is not None:
        raise UserError(f"{path}: is a posterior and holds its truths; a catalog goes with a model only")
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value not in (None, False, [])]
    if given:
        raise UserError(f"{path}: is a posterior, drawn already; only a model takes {listed(given)}")


@dataclass(frozen=True)
class Case:
    """What is to be measured, and the /meta that says so; drawn when it is first asked for.

    index: row numbers, as far as they are known before. curves: the learning curves, by field of ``plots.Material``.
    """

    draw: "Callable[[], Posterior]"
    index: "np.ndarray"
    meta: dict[str, Any]
    curves: "Mapping[str, Any]"
    other: "Callable[[], ReferencePosterior | None]" = lambda: None
    local: tuple[int, ...] = ()


def _model(path: Path, catalog: Path | None, how: How, folder: Path, terminal: Terminal) -> Case:
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError

    if catalog is None:
        raise UserError(f"{path}: is a model; name its catalog too: cosmoinfer evaluate {path} CATALOG")
    task = Task.prepare(path, catalog, how)
    if task.sims.theta is None:
        raise UserError(f"{catalog}: has no true parameters to compare with")
    _check_unseen(task.parts, how)
    inputs.tell_seen(task.parts, how.part, terminal)
    meta = inputs.record("evaluate", task.meta["settings"], task.meta["inputs"])
    draw = functools.cache(lambda: of_part(task.draw(terminal, folder, written=False), path, how.part, terminal))
    return Case(draw, task.sims.index[task.chosen], meta, task.curves)


def _posterior(path: Path, how: How, terminal: Terminal) -> Case:
    from cosmoinfer import posterior, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.errors import UserError

    if how.recalibrate is not None:
        raise UserError(f"{path}: is a posterior, drawn already; --recalibrate goes with a model")
    kept, settings = posterior.read(path, leave_large=True), {"part": how.part, "seed": how.run.seed}
    if how.rows is not None:
        kept = kept.take(inputs.numbered(path, kept.index, how.part, how.rows))
        settings["rows"] = kept.index.tolist()
        _check_unseen(kept.split, how)
    kept = of_part(kept, path, how.part, terminal)
    meta = inputs.record("evaluate", settings, {"posterior": storage.digest(path)})
    return Case(lambda: kept, kept.index, meta, {})


def _beside(case: Case, path: Path, catalog: Path | None, how: How, folder: Path, terminal: Terminal) -> Case:
    """The same rows of another posterior: read, or drawn from a model; rows that only one of them has are left out."""
    from cosmoinfer import metrics, posterior, storage
    from cosmoinfer.errors import UserError

    if storage.kind_of(path) == "model":
        if catalog is None:
            raise UserError(
                f"{path}: is a model; name its catalog too: cosmoinfer evaluate FILE CATALOG --against {path}"
            )
        same = replace(how, part=None, rows=",".join(map(str, case.index)), recalibrate=None)
        task = Task.prepare(path, catalog, same)
        seen = int((task.parts < 2).sum())
        if seen:
            terminal.warn(f"{path}: was trained on or chosen by {seen} of these {len(case.index)} rows")
        settings, inputs = {"against": task.meta["settings"]}, task.meta["inputs"]

        @functools.cache
        def find() -> "ReferencePosterior":
            terminal.say(f"{path}: the same rows")
            return metrics.ReferencePosterior(task.draw(terminal, folder, written=False), task.model.kind)
    else:
        exact = storage.command_of(path) == "simulate"
        settings, inputs = {}, {"posterior": storage.digest(path)}
        kind = "exact posterior" if exact else "other posterior"
        find = functools.cache(lambda: metrics.ReferencePosterior(posterior.read(path, leave_large=True), kind, exact))
    both = functools.cache(lambda: _common(case.draw(), find(), terminal))
    meta = _with(case.meta, settings, {f"against_{name}": value for name, value in inputs.items()})
    return replace(case, draw=lambda: both()[0], other=lambda: both()[1], meta=meta)


def _common(
    drawn: "Posterior", other: "ReferencePosterior", terminal: Terminal
) -> "tuple[Posterior, ReferencePosterior]":
    from cosmoinfer import metrics

    found, beside = metrics.match_observations(drawn, other)
    if len(found) < len(drawn):
        terminal.say(f"left out {len(drawn) - len(found)} rows that the {other.kind} does not hold")
    return found, beside


def _with(meta: dict[str, Any], settings: dict[str, Any], inputs: dict[str, str] | None = None) -> dict[str, Any]:
    """The /meta of a file that was made with more than this."""
    return meta | {"settings": meta["settings"] | settings, "inputs": meta["inputs"] | (inputs or {})}


def _check_unseen(parts: "np.ndarray", how: How) -> None:
    """Of rows that were named, those that no training has seen are judged: before they are drawn, if there are any."""
    from cosmoinfer.errors import UserError

    if how.rows is not None and (parts < 2).all():
        raise UserError(
            f"--rows {how.rows}: the model was trained on or chosen by all of them; --split train or validation judges "
            "what it has seen"
        )


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
    draw: "Callable[[], Posterior]",
    meta: dict[str, Any],
    seed: int,
    output: Path,
    terminal: Terminal,
    force: bool,
    other: "Callable[[], ReferencePosterior | None]" = lambda: None,
    local: tuple[int, ...] = (),
) -> dict[str, Any]:
    """The metrics of a posterior, written unless they stand there already; only then is it drawn."""
    from cosmoinfer import metrics
    from cosmoinfer.cli import inputs

    if inputs.stands(output, "metrics", meta, terminal, force):
        return metrics.read(output)
    document = metrics.evaluate(draw(), seed, other(), local)
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
    drawings = plots.draw(plots.FigureData(drawn, document, **curves, seed=seed), folder)
    terminal.say(f"{folder}: {', '.join(drawing.name for drawing in drawings)}")


def tell(terminal: Terminal, document: dict[str, Any]) -> None:
    """The table, then in words how good and how calibrated the posterior is."""
    from cosmoinfer import metrics
    from cosmoinfer.cli.tables import metrics_table

    terminal.table(metrics_table(document))
    for line in metrics.summary(document):
        terminal.result(line)
    terminal.document(document)


def checked(fail_if: list[str] | None) -> list[str]:
    """The gates, if they can be any: told before any work is done."""
    from cosmoinfer import metrics

    for one in fail_if or []:
        metrics.validate_gate(one)
    return fail_if or []


def stop_at(document: dict[str, Any], gates: list[str], default: bool, terminal: Terminal) -> None:
    """Exit 3 naming every gate that failed; everything is written and told by then."""
    from cosmoinfer import metrics
    from cosmoinfer.errors import GateFailed

    failed = [reason for one in gates if (reason := metrics.gate_failure(document, one))]
    if default:
        judged = metrics.check_default_gates(document)
        for line in judged.skipped.values():
            terminal.say(line)
        failed += judged.failed.values()
    if failed:
        raise GateFailed("; ".join(failed))
