"""``cosmoinfer export``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import OutputOptions
from cosmoinfer.cli.options.declare import option
from cosmoinfer.cli.terminal import Terminal

PosteriorPath = Annotated[Path, typer.Argument(help="Posterior file, with draws.", show_default=False)]
Format = Annotated[str, option("Format:", "Export", "--to", choices=("exporters:EXPORTERS",))]
Target = Annotated[
    Path | None,
    option(
        "The file to write; of getdist the root of files, nsf of nsf.txt or nsf_row3.txt.",
        "Export",
        "-o",
        "--output",
        default="beside the posterior",
    ),
]
Rows = Annotated[str | None, option("Row numbers: 3,5,20:25.", "Export", "--rows", default="all")]


def export(
    file: PosteriorPath, output_options: OutputOptions, to: Format, output: Target = None, rows: Rows = None
) -> None:
    """Write the draws of a posterior as other tools read them.

    Example: cosmoinfer export nsf.posterior.h5 --to getdist --rows 12 -o nsf
    """
    from cosmoinfer.tasks.export import write_exported

    terminal = Terminal(output_options.json, output_options.quiet)
    exported = write_exported(file, {"to": to, "rows": rows}, output, output_options.force, terminal.reporter())
    terminal.result(exported.describe())
    document: dict[str, object] = {"output": [str(path) for path in exported.paths], "to": exported.to}
    terminal.document(document | {"rows": exported.table.index.tolist(), "draws": exported.table.samples.shape[1]})
