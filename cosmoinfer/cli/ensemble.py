"""``cosmoinfer ensemble``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import CatalogPath, Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.terminal import Terminal

Models = Annotated[
    list[Path],
    typer.Argument(help="Flows, two or more, trained on one split of the catalog.", show_default=False),
]
Top = Annotated[
    int | None,
    typer.Option(
        help="Join the best on the validation rows, so many at most. [default: {tasks.ensemble:EnsembleSettings.top}]",
        show_default=False,
    ),
]


def ensemble(
    models: Models,
    catalog: CatalogPath,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    top: Top = None,
) -> None:
    """Join trained flows of one catalog into one, in the shares that its validation rows ask for.

    Example: cosmoinfer ensemble nsf.h5 maf.h5 sample_data/power_spectra.h5 -o joined.h5
    """
    from cosmoinfer.tasks.ensemble import write_ensemble

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(read_options, run, top=top)
    joined = write_ensemble(models, catalog, settings, output, output_options.force, terminal.reporter())
    terminal.document(joined.to_json())
