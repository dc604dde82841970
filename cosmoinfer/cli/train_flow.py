"""``cosmoinfer train-flow``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import (
    CatalogPath,
    FlowOptions,
    InputOptions,
    NetworkOptions,
    Output,
    ReadingOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    keywords,
)
from cosmoinfer.cli.terminal import Terminal

Summary = Annotated[Path | None, typer.Option(help="Trained regressor whose output is the condition.")]
Init = Annotated[Path | None, typer.Option(help="Trained flow, of another suite say, from whose weights to start.")]


def train_flow(
    catalog: CatalogPath,
    flow: FlowOptions,
    network: NetworkOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    summary: Summary = None,
    init: Init = None,
) -> None:
    """Train normalizing flows for p(theta | x), mixed as the validation rows say.

    Example: cosmoinfer train-flow sample_data/power_spectra.h5 --flow nsf -o nsf.h5
    """
    from cosmoinfer.tasks.train_flow import write_flow

    terminal = Terminal(say.json, say.quiet)
    settings = keywords(flow, network, intake, training, splitting, reading, run, summary=summary, init=init)
    trained = write_flow(catalog, settings, output, say.force, terminal.reporter())
    if trained.model is None:
        terminal.document({"output": str(trained.output), "complete": True})
        return
    terminal.result(trained.describe())
    document = {"output": str(trained.output), "support": trained.model.support.name, "members": trained.members}
    terminal.document({**document, "rows": trained.rows})
