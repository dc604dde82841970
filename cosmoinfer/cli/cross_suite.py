"""``cosmoinfer cross-suite``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.job import MaxTime, stop_after
from cosmoinfer.cli.options import FlowTrainingOptions, OutputOptions, keywords
from cosmoinfer.cli.sample import Draws, SkipFailed
from cosmoinfer.cli.tables import render_table
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.cli.train_flow import FineTune, Summary

if TYPE_CHECKING:
    from cosmoinfer.studies.cross_suite import CrossSuite

Catalogs = Annotated[list[Path], typer.Argument(help="Catalogs, a suite each: two or more.", show_default=False)]
File = Annotated[Path, typer.Option("-o", "--output", help="The file to write; models stay in a folder of its name.")]
Figures = Annotated[
    Path | None, typer.Option(metavar="<folder>", help="Draw the matrix too, into this folder.", show_default=False)
]


def cross_suite(
    catalogs: Catalogs,
    training: FlowTrainingOptions,
    output_options: OutputOptions,
    output: File = Path("cross.h5"),
    draws: Draws = None,
    skip_failed: SkipFailed = False,
    summary: Summary = None,
    fine_tune: FineTune = None,
    figures: Figures = None,
    max_time: MaxTime = None,
) -> None:
    """Train a flow on each suite of simulations and test it on every one: does it hold on another than its own?

    With three suites and more also: train on all others together, test on the one left out. Run again, it goes on.

    Example: cosmoinfer cross-suite IllustrisTNG.h5 SIMBA.h5 -o cross.h5
    """
    from cosmoinfer.tasks.cross_suite import write_cross_suite

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(
        training, summary=summary, fine_tune=fine_tune, draws=draws, skip_failed=skip_failed, figures=figures
    )
    study = write_cross_suite(catalogs, settings, output, output_options.force, terminal.reporter())
    _show_study(study.study, terminal)


def _show_study(study: "CrossSuite", terminal: Terminal) -> None:
    """A table a metric, a row a pair of what was trained on and tested on; then a sentence on each pair."""
    for table in study.tables():
        terminal.table(render_table(table))
    for pair in study.pairs:
        terminal.result(pair.sentence)
    terminal.document(study.to_json())
