"""``cosmoinfer import``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, keywords
from cosmoinfer.cli.terminal import Terminal

Sources = Annotated[
    list[Path],
    typer.Argument(help="Files of any format that is read, or a pattern.", show_default=False),
]


def import_catalog(
    sources: Sources,
    read_options: ReadOptions,
    output_options: OutputOptions,
    output: Output = None,
) -> None:
    """Write files of other formats as a catalog: arrays of numpy, tables of text, CAMELS, Quijote, torch, sacc, chains.

    Every other command reads such files directly where they are small. Several files are several observables, or
    channels.

    Example: cosmoinfer import maps.npy --parameters params.txt -o sims.h5
    """
    from cosmoinfer.tasks.importing import write_imported

    terminal = Terminal(output_options.json, output_options.quiet)
    imported = write_imported(sources, keywords(read_options), output, output_options.force, terminal.reporter())
    if not imported.complete:
        terminal.info(imported.describe())
