"""``cosmoinfer run``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.evaluate import All, DefaultGates, FailIf, show_evaluation
from cosmoinfer.cli.job import MaxTime, stop_after
from cosmoinfer.cli.options import CatalogPath, FlowTrainingOptions, OutputOptions, keywords
from cosmoinfer.cli.sample import Draws, Recalibrate
from cosmoinfer.cli.terminal import Terminal

Folder = Annotated[Path, typer.Option("-o", "--output", metavar="<folder>", help="Folder for everything.")]


def run(
    catalog: CatalogPath,
    training: FlowTrainingOptions,
    output_options: OutputOptions,
    output: Folder = Path("results"),
    draws: Draws = None,
    recalibrate: Recalibrate = None,
    fail_if: FailIf = None,
    gate: DefaultGates = False,
    max_time: MaxTime = None,
    show_all: All = False,
) -> None:
    """Split, train a flow, sample, evaluate and report, in one go; run again, it goes on where it stopped.

    Example: cosmoinfer run sample_data/power_spectra.h5 -o results
    """
    from cosmoinfer.tasks.run import run_all

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(training, draws=draws, recalibrate=recalibrate, fail_if=fail_if, gate=gate)
    command = shlex.join(["cosmoinfer", *sys.argv[1:]])
    gated = run_all(catalog, settings, output, output_options.force, terminal.reporter(), command)
    show_evaluation(gated, terminal, show_all)
