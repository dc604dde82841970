"""``cosmoinfer cross``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmoinfer.cli.options import (
    FlowOptions,
    InputOptions,
    NetworkOptions,
    ReadingOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    given,
)
from cosmoinfer.cli.sample import Draws, How, SkipFailed, Task
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.cli.train_flow import Init, Others, Summary

if TYPE_CHECKING:
    from cosmoinfer.catalog import Catalog, Reading
    from cosmoinfer.cli.tables import WrappingTable
    from cosmoinfer.split import Split

Catalogs = Annotated[list[Path], typer.Argument(help="Catalogs, a suite each: two or more.", show_default=False)]
File = Annotated[Path, typer.Option("-o", "--output", help="The file to write; models stay in a folder of its name.")]
Figures = Annotated[Path | None, typer.Option(help="Draw the matrix too, into this folder.", show_default=False)]


def cross(
    catalogs: Catalogs,
    flow: FlowOptions,
    network: NetworkOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: File = Path("cross.h5"),
    draws: Draws = 1000,
    skip_failed: SkipFailed = False,
    summary: Summary = None,
    init: Init = None,
    figures: Figures = None,
) -> None:
    """Train a flow on each suite of simulations and test it on every one: does it hold on another than its own?

    With three suites and more also: train on all others together, test on the one left out. Run again, it goes on.

    Example: cosmoinfer cross IllustrisTNG.h5 SIMBA.h5 -o cross.h5
    """
    from cosmoinfer import storage
    from cosmoinfer.cli import inputs, train_flow
    from cosmoinfer.studies import cross_suite

    terminal, step = Terminal(say.json, say.quiet), Terminal(say.json, say.quiet, within=True)
    suites, how = _suites(catalogs, splitting, reading)
    folder = inputs.folder_of(output)
    options, others = given(flow, network, intake, training), Others(intake.noise, summary, init)
    drawing, drawn = How(reading, run, draws=draws, skip_failed=skip_failed), {}
    for plan in _plans(suites):
        model = folder / f"{plan.name}.flow.h5"
        step.say(f"{plan.name}: a flow")
        train_flow.fit(step, plan.suite.sims, how, plan.suite.parts, options, run, model, say.force, others)
        for name in plan.tested:
            path = folder / f"{plan.name} on {name}.posterior.h5"
            _draw(step, model, suites[name], drawing, path, say.force)
            drawn[plan.name, name] = path
    inside = {f"{trained} on {tested}": storage.digest(path) for (trained, tested), path in drawn.items()}
    meta = inputs.record("cross", {"suites": list(suites), "seed": run.seed}, inside)
    if inputs.stands(output, "cross", meta, terminal, say.force):
        document = cross_suite.read(output)
    else:
        document = _measure(list(suites), drawn, run.seed)
        cross_suite.write(output, document, meta, say.force)
    if figures is not None:
        from cosmoinfer import plots

        inputs.picture(lambda: plots.plot_cross_suite(document), figures / "cross.png", terminal)
    _tell(terminal, document)


@dataclass(frozen=True)
class Suite:
    """Simulations of one code, and which of them train, validate and test."""

    sims: "Catalog"
    parts: "Split"


@dataclass(frozen=True)
class Plan:
    """What one flow is trained on, and the suites that it is tested on."""

    name: str
    suite: Suite
    tested: tuple[str, ...]


def _suites(paths: list[Path], splitting: SplitOptions, reading: ReadingOptions) -> tuple[dict[str, Suite], "Reading"]:
    """By name. Split together, so that a list of test simulations may name those of every suite."""
    from cosmoinfer.catalog import multi_file, suites
    from cosmoinfer.cli import inputs, train_flow
    from cosmoinfer.errors import UserError

    if len(paths) < 2:
        raise UserError(f"expected two suites or more, found {paths[0]} alone; train-flow and evaluate serve one")
    read = [inputs.read_catalog(path, reading) for path in paths]
    for sims, _ in read:
        train_flow.check(sims)
    suites.check_agreement([sims for sims, _ in read])
    names = suites.suite_names([sims for sims, _ in read], [multi_file.name(path) for path in paths])
    named = {name: suites.of_suite(name, sims) for name, (sims, _) in zip(names, read, strict=True)}
    parts = inputs.choose_split(suites.joined(list(named.values())), splitting)
    return {name: Suite(sims, _of(parts, sims)) for name, sims in named.items()}, read[0][1]


def _of(parts: "Split", sims: "Catalog") -> "Split":
    """The share of a split that is of one suite; every part must have a simulation."""
    import numpy as np

    from cosmoinfer.split import Split

    own = np.isin(parts.simulation, sims.simulation)
    return Split(parts.simulation[own], parts.part[own]).complete()


def _plans(suites: Mapping[str, Suite]) -> Iterator[Plan]:
    """A flow for each suite; with three and more, one for all others together as well."""
    import numpy as np

    from cosmoinfer.catalog.suites import joined
    from cosmoinfer.split import Split
    from cosmoinfer.studies.cross_suite import ALL_BUT

    for name, suite in suites.items():
        yield Plan(name, suite, tuple(suites))
    for left_out in suites if len(suites) > 2 else ():
        others = [suite for name, suite in suites.items() if name != left_out]
        simulation, part = (
            np.concatenate([getattr(one.parts, key) for one in others]) for key in ("simulation", "part")
        )
        together = Suite(joined([one.sims for one in others]), Split(simulation, part))
        yield Plan(f"{ALL_BUT}{left_out}", together, (left_out,))


def _draw(terminal: Terminal, model: Path, suite: Suite, drawing: How, output: Path, force: bool) -> None:
    """The posterior of the suite's test rows, the same ones whatever was trained, unless it stands there already."""
    from cosmoinfer import posterior, storage
    from cosmoinfer.cli import inputs
    from cosmoinfer.device import device_settings, prepare_device
    from cosmoinfer.errors import UserError, listed

    device = prepare_device(drawing.run.device, drawing.run.threads)
    test = suite.parts.rows(suite.sims.simulation, "test")
    settings = {**drawing.settings, **device_settings(device)}
    fingerprints = {"catalog": suite.sims.fingerprint, "view": suite.sims.view, "model": storage.digest(model)}
    meta = inputs.record("cross", settings | {"rows": suite.sims.index[test].tolist()}, fingerprints)
    if inputs.stands(output, "posterior", meta, terminal, force):
        return
    flow = inputs.model(model, "flow", device)
    test = flow.heads(suite.sims, test)
    used = flow.frame.parts(suite.sims, test) < 2
    if used.any():
        rows = listed(suite.sims.index[test[used]])
        raise UserError(f"{suite.sims.path}: test rows that the flow of {model} has learned from (row {rows})")
    shared = int(flow.frame.met(suite.sims, test).sum())
    if shared:
        terminal.warn(
            f"{suite.sims.path}: {shared} of {len(test)} test rows have the parameters of training rows of {model}, "
            "and may score too well; --split-file with test simulations as SUITE/ID, the same of every suite, keeps "
            "matched ones together"
        )
    drawn = Task(flow, suite.sims, test, drawing, meta).draw(terminal, output.parent)
    posterior.write(output, drawn, meta, force)
    terminal.say(f"{output}: {len(drawn)} rows")


def _measure(suites: list[str], drawn: Mapping[tuple[str, str], Path], seed: int) -> dict[str, Any]:
    from cosmoinfer import metrics, posterior
    from cosmoinfer.studies import cross_suite

    found = {pair: metrics.evaluate(posterior.read(path, leave_large=True), seed) for pair, path in drawn.items()}
    return cross_suite.gather(suites, found)


def _tell(terminal: Terminal, document: dict[str, Any]) -> None:
    """A table a number, rows trained on, columns tested on; then every pair in words."""
    for table in _tables(document):
        terminal.table(table)
    for pair in document["pairs"]:
        terminal.result(pair["words"])
    terminal.document(document)


def _tables(document: dict[str, Any]) -> Iterator["WrappingTable"]:
    """A row a pair; a column a parameter of one number, or a joint number."""
    from cosmoinfer.metrics.metric import JOINT, PARAMETERS
    from cosmoinfer.studies.cross_suite import MATRIX_METRICS

    pairs = document["pairs"]
    for metric in MATRIX_METRICS[PARAMETERS]:
        columns = {
            name: [pair["metrics"][PARAMETERS][metric][name] for pair in pairs] for name in document["parameters"]
        }
        yield _table(f"{metric}; 68.3 % intervals", pairs, columns)
    there = [metric for metric in MATRIX_METRICS[JOINT] if metric in pairs[0]["metrics"][JOINT]]
    columns = {metric: [pair["metrics"][JOINT][metric] for pair in pairs] for metric in there}
    yield _table("all parameters together", pairs, columns)


def _table(title: str, pairs: list[dict[str, Any]], columns: dict[str, list[dict[str, Any]]]) -> "WrappingTable":
    from cosmoinfer.cli.tables import WrappingTable, cell

    heads = {"trained on": [pair["trained"] for pair in pairs], "tested on": [pair["tested"] for pair in pairs]}
    return WrappingTable(title, heads, {name: [cell(entry) for entry in entries] for name, entries in columns.items()})
