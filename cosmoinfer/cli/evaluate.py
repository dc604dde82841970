"""``cosmoinfer evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.sample import Draws, Partition, Recalibrate, Rows, SkipFailed
from cosmoinfer.cli.tables import metrics_table
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.errors import GateFailed, UserError

if TYPE_CHECKING:
    from cosmoinfer.tasks.evaluate import GatedEvaluation

File = Annotated[Path, typer.Argument(help="A posterior, or a model together with its catalog.", show_default=False)]
CatalogOfModel = Annotated[
    Path | None, typer.Argument(help="Catalog, for a model here or behind --compare-to.", show_default=False)
]
Folder = Annotated[
    Path | None, typer.Option(metavar="<folder>", help="Draw the figures too, into this folder.", show_default=False)
]
Against = Annotated[
    Path | None, typer.Option(help="Compare with this posterior or model of the same rows.", show_default=False)
]
Local = Annotated[
    list[int] | None,
    typer.Option(metavar="<row>", help="Test the posterior at this row number by itself (local C2ST); repeatable."),
]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<condition>",
        help="Exit 3 if this holds: 'r2[Omega_m]<0.5', 'coverage_68<0.6 by 3' (errors); repeatable.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Show every metric, not only those that one acts on.")]
DefaultGates = Annotated[bool, typer.Option("--gate", help="Exit 3 if a gate of the default set fails.")]


def _print_explanation(name: str | None) -> None:
    """What the manual says of a metric or a verdict, in place of an evaluation."""
    if name is None:
        return
    from cosmoinfer.tasks.guide import explain

    try:
        text = explain(name)
    except UserError as error:
        raise typer.BadParameter(error.message) from error
    Terminal().page(text)
    raise typer.Exit


Explain = Annotated[
    str | None,
    typer.Option(
        metavar="<name>",
        help="Say what a metric or a verdict means, and exit; all: each of them.",
        is_eager=True,
        callback=_print_explanation,
    ),
]


def evaluate(
    file: File,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    catalog: CatalogOfModel = None,
    output: Output = None,
    partition: Partition = None,
    rows: Rows = None,
    draws: Draws = None,
    skip_failed: SkipFailed = False,
    recalibrate: Recalibrate = None,
    compare_to: Against = None,
    lc2st: Local = None,
    fail_if: FailIf = None,
    gate: DefaultGates = False,
    figures: Folder = None,
    show_all: All = False,
    explain: Explain = None,
) -> None:
    """Measure a posterior against the truths: accuracy, density, calibration, each with a clustered 68.3 % interval.

    Of a metrics file, what was measured is shown again, and judged by --gate and --fail-if.

    Example: cosmoinfer evaluate nsf.posterior.h5 --gate --fail-if 'coverage_68<0.5'
    """
    from cosmoinfer.tasks.evaluate import write_evaluation

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(read_options, run, split=partition, rows=rows, draws=draws, skip_failed=skip_failed)
    settings |= {"recalibrate": recalibrate, "compare_to": compare_to, "lc2st": lc2st, "figures": figures}
    settings |= {"fail_if": fail_if, "gate": gate}
    gated = write_evaluation(file, catalog, settings, output, output_options.force, terminal.reporter())
    show_evaluation(gated, terminal, show_all)


def show_evaluation(gated: "GatedEvaluation", terminal: Terminal, show_all: bool) -> None:
    """The table, then in words how good and how calibrated the posterior is, and what to do if it is not.

    Raises GateFailed (exit status 3), naming every gate that failed.
    """
    from cosmoinfer.tasks.guide import remedies

    evaluation = gated.evaluation
    terminal.table(metrics_table(evaluation, show_all))
    for line in evaluation.summary():
        terminal.result(line)
    for word, remedy in remedies(evaluation.verdict.joint).items():
        terminal.result(f"What to do ({word}): {remedy}.")
    if not show_all:
        terminal.info("more metrics: `all`; what one means: cosmoinfer evaluate `explain=NAME`")
    checked = gated.gates.check(evaluation)
    terminal.document(checked.to_json())
    gates = checked.gates
    if gates is None:
        return
    for line in gates.skipped.values():
        terminal.info(line)
    if not gates.passed:
        raise GateFailed(*gates.failed.values())
