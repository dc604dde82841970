"""``cosmoinfer generate``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, RunOptions, keywords
from cosmoinfer.cli.terminal import Terminal

DensityPath = Annotated[Path, typer.Argument(help="Density model of train-density.", show_default=False)]
At = Annotated[
    str | None,
    typer.Option(metavar="<name=number,...>", help="Parameters: 'Omega_m=0.3,sigma_8=0.8', for a p(x | theta)."),
]
Count = Annotated[int | None, typer.Option(help="Rows to draw. [default: {tasks.generate:DRAWS}]", show_default=False)]


def generate(
    model: DensityPath,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    at: At = None,
    draws: Count = None,
) -> None:
    """Draw new vectors or maps from a density model; what is written is a catalog.

    Example: cosmoinfer generate maps.density.h5 --at Omega_m=0.3,sigma_8=0.8 --draws 64 -o new_maps.h5
    """
    from cosmoinfer.tasks.generate import write_generated

    terminal = Terminal(output_options.json, output_options.quiet)
    generated = write_generated(
        model, keywords(run, at=at, draws=draws), output, output_options.force, terminal.reporter()
    )
    terminal.result(generated.describe())
    terminal.document({"output": str(generated.output), "rows": generated.rows})
