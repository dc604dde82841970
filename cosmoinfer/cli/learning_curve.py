"""``cosmoinfer learning-curve``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.job import MaxTime, stop_after
from cosmoinfer.cli.options import CatalogPath, FlowTrainingOptions, Output, OutputOptions, keywords
from cosmoinfer.cli.tables import render_table
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.studies.learning_curve import LearningCurve

Sizes = Annotated[
    str | None,
    typer.Option(
        metavar="<numbers>", help="Training simulations: 500,1000,2000,4000. [default: all, and up to four halvings]"
    ),
]
Predict = Annotated[
    str | None,
    typer.Option(metavar="<numbers>", help="Predict the log_prob of so many simulations: 16000, or 8000,16000."),
]
Figures = Annotated[
    Path | None, typer.Option(metavar="<folder>", help="Draw the curve, into this folder.", show_default=False)
]


def learning_curve(
    catalog: CatalogPath,
    training: FlowTrainingOptions,
    output_options: OutputOptions,
    output: Output = None,
    sizes: Sizes = None,
    predict: Predict = None,
    figures: Figures = None,
    max_time: MaxTime = None,
) -> None:
    """Say whether more simulations would help: train on nested subsets, extend the held-out log_prob by a power law.

    Every size has the recipe and the support of the largest, and its share of the validation simulations. The models
    stay in a folder of the output's name: run again, it goes on where it stopped.

    Example: cosmoinfer learning-curve sample_data/power_spectra.h5 --predict 16000
    """
    from cosmoinfer.tasks.learning_curve import write_learning_curve

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(training, sizes=sizes, predict=predict, figures=figures)
    study = write_learning_curve(catalog, settings, output, output_options.force, terminal.reporter())
    _show_study(study.curve, terminal)


def _show_study(curve: "LearningCurve", terminal: Terminal) -> None:
    terminal.table(render_table(curve.table()))
    for sentence in curve.sentences:
        terminal.result(sentence)
    terminal.document(curve.to_json())
