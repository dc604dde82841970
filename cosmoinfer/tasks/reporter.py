"""To whom a task reports while it works."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from cosmoinfer.errors import warn


def ignore_line(line: str) -> None:
    """For lines that nobody asked for."""


def ignore_progress(task: str, done: int, total: int, note: str = "") -> None:
    """For progress that nobody asked for."""


@dataclass(frozen=True, repr=False)
class Reporter:
    """Callbacks of a task; silent by default, but for warnings.

    info: takes a line on the way, what a task has chosen or is doing; the command line prints it to stderr.
    result: takes a line a product, its path or kind and what it holds, once that is complete; to stdout.
    warn: takes a line that nobody should miss, by default as a ``CosmoinferWarning`` of Python.
    progress: takes the name of what is counted, how many are done, of how many, and a note.
    """

    info: Callable[[str], None] = ignore_line
    result: Callable[[str], None] = ignore_line
    warn: Callable[[str], None] = warn
    progress: Callable[[str, int, int, str], None] = ignore_progress

    def __repr__(self) -> str:
        """The callbacks that were given, by their name."""
        callbacks = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        replaced = {name: call for name, call in callbacks.items() if call is not getattr(Reporter, name)}
        names = [f"{name}={getattr(call, '__name__', call)}" for name, call in replaced.items()]
        return f"Reporter({', '.join(names)})"

    def epochs(self) -> Callable[[int, int, float, float], None]:
        """For the training loop: takes epoch, epochs, training loss and validation loss."""
        return lambda epoch, epochs, training, validation: self.progress(
            "epoch", epoch, epochs, f"train {training:.3f}  validation {validation:.3f}"
        )

    def rows(self, task: str) -> Callable[[int, int], None]:
        """For a sampler: takes how many rows are done, and of how many."""
        return lambda done, total: self.progress(task, done, total, "")


SILENT = Reporter()
MUTE = Reporter(warn=ignore_line)  # of a process beside one that reports the same
