"""``cosmoinfer merge``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import OutputOptions
from cosmoinfer.cli.posteriors import describe_posterior, show_posterior
from cosmoinfer.cli.terminal import Terminal

Shards = Annotated[list[Path], typer.Argument(help="Posterior files of all shards, in any order.", show_default=False)]
File = Annotated[Path, typer.Option("-o", "--output", help="The file to write.")]


def merge(shards: Shards, output_options: OutputOptions, output: File = Path("posterior.h5")) -> None:
    """Join what sample --shard 1/16 to 16/16 drew: the bytes of a sampling without shards.

    Example: cosmoinfer merge nsf.posterior-*-of-16.h5 -o nsf.posterior.h5
    """
    from cosmoinfer.tasks.merge import write_merged

    terminal = Terminal(output_options.json, output_options.quiet)
    merged = write_merged(shards, output, output_options.force, terminal.reporter())
    show_posterior(merged, terminal)
    terminal.document(describe_posterior(merged))
