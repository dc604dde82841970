"""``cosmoinfer report``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import OutputOptions
from cosmoinfer.cli.terminal import Terminal

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="A folder that run wrote; or a model, a posterior, metrics, a split, and their catalog.",
        show_default=False,
    ),
]
Page = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="<file>", help="The page. [default: FOLDER/report.html, FILE.report.html]"),
]


def report(sources: Sources, output_options: OutputOptions, output: Page = None) -> None:
    """Write what is known of a posterior as one page of HTML that needs nothing else, and as report_data.json.

    Example: cosmoinfer report results
    """
    from cosmoinfer.tasks.report import write_report

    terminal = Terminal(output_options.json, output_options.quiet)
    path = write_report(sources, output, terminal.reporter())
    terminal.document({"output": str(path)})
