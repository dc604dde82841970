"""``cosmoinfer tune``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.job import MaxTime, stop_after
from cosmoinfer.cli.options import CatalogPath, FlowTrainingOptions, Output, OutputOptions, keywords
from cosmoinfer.cli.terminal import Terminal

Trials = Annotated[
    int | None,
    typer.Option(help="Trials, of all processes. [default: {tasks.tune:TuneSettings.trials}]", show_default=False),
]
Top = Annotated[
    int | None,
    typer.Option(help="Join so many of the best. [default: {tasks.tune:TuneSettings.top}]", show_default=False),
]
JournalPath = Annotated[
    Path | None,
    typer.Option(
        "--journal", help="Journal of the trials, which processes share. [default: OUTPUT.journal]", show_default=False
    ),
]


def tune(
    catalog: CatalogPath,
    training: FlowTrainingOptions,
    output_options: OutputOptions,
    output: Output = None,
    trials: Trials = None,
    top: Top = None,
    journal: JournalPath = None,
    max_time: MaxTime = None,
) -> None:
    """Search architecture and training settings of a flow, join the best trials, and compare them to the default.

    The pilots of the default recipe choose the support; a trial is one member of one architecture, the first with the
    settings of the best pilot. Options of architecture and training are the same in all trials, the others are
    searched. The same command, started several times, works on the same trials; run again, it goes on where it stopped.

    Example: cosmoinfer tune sample_data/power_spectra.h5 -o best.flow.h5 --trials 20
    """
    from cosmoinfer.tasks.tune import write_tuned

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(training, trials=trials, top=top, journal=journal)
    tuned = write_tuned(catalog, settings, output, output_options.force, terminal.reporter())
    terminal.document(tuned.to_json())
