"""``cosmoinfer plot``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import RARE, DataOptions, OutputOptions, keywords
from cosmoinfer.cli.terminal import Terminal

Files = Annotated[
    list[Path],
    typer.Argument(
        help="Posteriors, drawn one over the other; a model, a study; catalogs: HDF5, .npy, ...", show_default=False
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="The file to write: .pdf, .png or .svg.", show_default=False),
]
Figure = Annotated[
    str, typer.Option(metavar="<name>", help="corner, coverage, truth_prediction, losses, ... [default: corner]")
]
Rows = Annotated[
    str | None,
    typer.Option(metavar="<numbers>", help="Row numbers of the catalog: 3 or 0:5. [default: a typical row]"),
]
Names = Annotated[
    str,
    typer.Option(
        metavar="<names>", help="Parameters of the corner, in this order: a,b; or the file of those of a catalog."
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="<name=latex>", help="Label in LaTeX, with its unit: 'H_0=H_0 [km/s/Mpc]'; repeatable."),
]
Legend = Annotated[str, typer.Option(metavar="<names>", help="Names of the posteriors. [default: those of the files]")]
Truth = Annotated[
    str, typer.Option(metavar="<name=number>", help="Values to mark: 'Omega_m=0.31,sigma_8=0.81'. [default: truths]")
]
Width = Annotated[
    float | None,
    typer.Option(help="Width in print, in inches: 3.4 is a column, 7.1 a page.", show_default=False),
]
Seed = Annotated[
    int,
    typer.Option(help="Seed of randomised ranks. [default: 0]", show_default=False, rich_help_panel=f"Options{RARE}"),
]


def plot(
    files: Files,
    data_options: DataOptions,
    output_options: OutputOptions,
    output: Output = None,
    figure: Figure = "",
    rows: Rows = None,
    parameters: Names = "",
    labels: Labels = None,
    legend: Legend = "",
    truth: Truth = "",
    width: Width = None,
    seed: Seed = 0,
) -> None:
    """Draw one figure for a paper, as PDF, PNG or SVG: by default the corner of a posterior, or of several.

    Example: cosmoinfer plot nsf.posterior.h5 --width 3.4 -o corner.pdf
    """
    from cosmoinfer.tasks.figures import write_figure

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(data_options, rows=rows, parameters=parameters, labels=labels, legend=legend, truth=truth)
    settings |= {"width": width, "seed": seed}
    path = write_figure(files, figure, settings, output, output_options.force, terminal.reporter())
    terminal.document({"output": str(path)})
