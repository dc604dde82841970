"""``cosmoinfer workflow``."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import OutputOptions
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.errors import UserError


class Action(str, Enum):
    """What is done with the workflow."""

    INIT = "init"


Do = Annotated[Action, typer.Argument(help="init: write the files.", show_default=False)]
Folder = Annotated[str, typer.Argument(help="Folder that they go into.", show_default=False)]


def workflow(action: Do, folder: Folder, output_options: OutputOptions) -> None:
    """Write a workflow for Snakemake, on one machine or on SLURM, and two files for sbatch alone; to be edited.

    Example: cosmoinfer workflow init pipeline
    """
    from cosmoinfer.tasks.workflow import init_workflow

    if not folder:  # as of a variable of a shell that is not set; of a path it would be the current folder
        raise UserError("expected the name of a folder, found an empty one")
    terminal = Terminal(output_options.json, output_options.quiet)
    initialised = init_workflow(Path(folder), output_options.force)
    n_written, n_unchanged = len(initialised.written), len(initialised.unchanged)
    terminal.result(
        f"{folder}: wrote {n_written} of {n_written + n_unchanged} files" + ", the others are there" * bool(n_unchanged)
    )
    config = initialised.folder / "config" / "config.yaml"
    terminal.info(f"name your catalog, seeds and gates in {config}; then, in {folder}:")
    terminal.info("  snakemake                                       on this machine")
    terminal.info("  snakemake --workflow-profile profiles/slurm     on a cluster")
    terminal.info("  sbatch slurm/train.sbatch                       on a cluster without Snakemake; see README.md")
    terminal.document(
        {
            "output": str(folder),
            "written": [str(path) for path in initialised.written],
            "unchanged": [str(path) for path in initialised.unchanged],
        }
    )
