"""Write the workflow that ships with the package, for Snakemake and for SLURM alone, into a folder to be edited."""

import os
from dataclasses import dataclass
from pathlib import Path

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first

FOLDER = Path(__file__).parents[1] / "workflow"


@dataclass(frozen=True)
class InitialisedWorkflow:
    """written, unchanged: paths of its files, those that were written and those that were there."""

    folder: Path
    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]


def init_workflow(folder: Path, force: bool = False) -> InitialisedWorkflow:
    """Write all files of the workflow; what is there with the same content stays as it is.

    Raises UserError, and writes nothing, if files of these names have other contents and are not to be replaced.
    """
    sources = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    contents = {folder / path.relative_to(FOLDER): path.read_bytes() for path in sources}
    unchanged = tuple(path for path, content in contents.items() if _holds(path, content))
    written = tuple(path for path in contents if path not in unchanged)
    edited = [path for path in written if path.exists()]
    if edited and not force:
        raise UserError(
            f"{folder}: {len(edited)} of {len(contents)} files exist with other contents "
            f"({join_first([path.relative_to(folder) for path in edited], 3)}); `force` replaces them"
        )
    for path in written:
        storage.make_folder(path.parent)
        with storage.atomic_write(path) as scratch:
            scratch.write_bytes(contents[path])
    return InitialisedWorkflow(folder, written, unchanged)


def _holds(path: Path, content: bytes) -> bool:
    """Whether this is what a file holds; False if there is no file. Raises UserError if it is none, or unreadable."""
    if not os.path.lexists(path):
        return False
    if not path.is_file():
        raise UserError(f"{path}: expected a file, or nothing of that name")
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
