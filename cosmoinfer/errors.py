"""What goes wrong and can be mended by the person at the terminal, with the exit status it ends in."""

from collections.abc import Iterable


class UserError(Exception):
    """One line that says what, where, what was expected and what was found. Exit status 1.

    Everything that is not a UserError is a fault of ours and crashes with its traceback.
    """

    exit_status = 1


class GateFailed(UserError):
    """A gate of ``evaluate`` failed: everything is written, the pipeline should stop. Exit status 3."""

    exit_status = 3


def listed(values: Iterable[object], most: int = 5) -> str:
    """The first few of many, for an error's one line: ``3, 8, 11, ... (40 in all)``."""
    items = [str(value) for value in values]
    return ", ".join(items[:most]) + (f", ... ({len(items)} in all)" if len(items) > most else "")
