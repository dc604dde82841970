"""``cosmoinfer learning-curve``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

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
from cosmoinfer.cli.tables import cell
from cosmoinfer.cli.terminal import Terminal

Sizes = Annotated[
    str | None, typer.Option(help=r"Training simulations: 500,1000,2000,4000 \[all, and up to four halvings].")
]
Predict = Annotated[str | None, typer.Option(help="Predict the log_prob with so many, too: 16000, or 8000,16000.")]
Figures = Annotated[Path | None, typer.Option(help="Draw the curve, into this folder.", show_default=False)]


def learning_curve(
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
    sizes: Sizes = None,
    predict: Predict = None,
    figures: Figures = None,
) -> None:
    """Say whether more simulations would help: train on nested subsets, extend the held-out log_prob by a power law.

    Every size has the recipe and the support of the largest, and its share of the validation simulations. The models
    stay in a folder of the output's name: run again, it goes on where it stopped.

    Example: cosmoinfer learning-curve sample_data/power_spectra.h5 --predict 16000
    """
    from cosmoinfer.tasks.learning_curve import write_learning_curve

    terminal = Terminal(say.json, say.quiet)
    settings = keywords(flow, network, intake, training, splitting, reading, run)
    settings |= {"sizes": sizes, "predict": predict, "figures": figures}
    study = write_learning_curve(catalog, settings, output, say.force, terminal.reporter())
    _show_study(study.document, terminal)


def _show_study(document: dict[str, Any], terminal: Terminal) -> None:
    terminal.table(_table(document))
    for line in document["words"]:
        terminal.result(line)
    terminal.document(document)


def _table(document: dict[str, Any]) -> Table:
    """A row a size."""
    table = Table(title=f"{document['rows']} test rows of {document['simulations']} simulations; 68.3 % intervals")
    for name in ("training simulations", "validation", "log_prob", "gain over the size before"):
        table.add_column(name, justify="right")
    for size, validation, score, gain in zip(
        *(document[key] for key in ("sizes", "validation", "log_prob", "gain")), strict=True
    ):
        table.add_row(str(size), str(validation), cell(score), cell(gain))
    return table
