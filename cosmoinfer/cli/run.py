"""``cosmoinfer run``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.evaluate import DefaultGates, FailIf
from cosmoinfer.cli.options import (
    CatalogPath,
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
from cosmoinfer.cli.sample import Draws, Recalibrate
from cosmoinfer.cli.terminal import Terminal

Folder = Annotated[Path, typer.Option("-o", "--output", help="Folder for everything.")]


def run(
    catalog: CatalogPath,
    flow: FlowOptions,
    network: NetworkOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Folder = Path("results"),
    draws: Draws = 1000,
    recalibrate: Recalibrate = None,
    fail_if: FailIf = None,
    gate: DefaultGates = False,
) -> None:
    """Split, train a flow, sample, evaluate and draw the figures, in one go; run again, it goes on where it stopped.

    Example: cosmoinfer run sample_data/power_spectra.h5 -o results
    """
    from cosmoinfer import models, storage
    from cosmoinfer.cli import evaluate, inputs, sample, split, train_flow

    gates = evaluate.checked(fail_if)
    terminal, step = Terminal(say.json, say.quiet), Terminal(say.json, say.quiet, within=True)
    files = {name: output / f"{name}.h5" for name in ("split", "flow", "posterior", "metrics")}
    sims, how = inputs.read_catalog(catalog, reading)
    train_flow.check(sims)
    inputs.make_folder(output)
    options, others = given(flow, network, intake, training), train_flow.Others(intake.noise)
    parts = split.write(step, sims, splitting, files["split"], say.force)
    train_flow.fit(step, sims, how, parts, options, run, files["flow"], say.force, others)
    drawing = sample.How(reading, run, part="test", draws=draws, recalibrate=recalibrate)
    drawn = sample.write(step, files["flow"], catalog, drawing, files["posterior"], say.force)
    meta = inputs.record(
        "evaluate", {"part": None, "seed": run.seed}, {"posterior": storage.digest(files["posterior"])}
    )
    document = evaluate.measure(lambda: drawn, meta, run.seed, files["metrics"], step, say.force)
    curves = {"histories": models.histories(models.read(files["flow"]))}
    evaluate.picture(drawn, document, curves, run.seed, output / "figures", terminal)
    evaluate.tell(terminal, document)
    evaluate.stop_at(document, gates, gate, terminal)
