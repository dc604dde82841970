"""A format of another tool: which files it makes of a table of draws. Writing them, whole or not at all."""

import filecmp
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.exporters.draw_table import DrawTable

FileWriter = Callable[[Path], None]  # fills a file, whatever its name is


class Exporter(ABC):
    """suffix: of the name of its file."""

    suffix: ClassVar[str]

    @abstractmethod
    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        """What fills each file, by path; the last one makes the others complete. output: as the user names it.

        Raises UserError where a package is missing, or the format cannot hold the table.
        """

    def names(self, table: DrawTable) -> tuple[str, ...]:
        """Of the parameters, as the format takes them."""
        return table.names


class _Discarded(Exception):
    """Ends the writing of a file that is not to be kept."""


def write_files(files: Mapping[Path, FileWriter], force: bool = False) -> bool:
    """Write each file, whole or not at all, unless it has these bytes already; whether all had.

    force: others are replaced. Raises UserError where a file is there with other content and is not to be replaced, or
    is one of this tool, or cannot be written; nothing is replaced then.
    """
    for path in files:
        storage.check_replaceable(path)
    same = {path for path, fill in files.items() if path.exists() and _has_content(path, fill)}
    different = [path for path in files if path.exists() and path not in same]
    if different and not force:
        raise UserError(f"{different[0]}: exists already, with other content; `force` replaces it")
    for path, fill in files.items():
        if path not in same:
            with storage.atomic_write(path) as scratch:
                fill(scratch)
    return len(same) == len(files)


def _has_content(path: Path, fill: FileWriter) -> bool:
    """Whether a file has the very bytes that would be written."""
    same = False
    with suppress(_Discarded), storage.atomic_write(path) as scratch:
        fill(scratch)
        same = filecmp.cmp(scratch, path, shallow=False)
        raise _Discarded
    return same
