"""What goes wrong and can be fixed by the user, with the exit status of the command line; warnings in Python.

A message names settings as Python does, in backquotes (`` `learning_rate` ``, `` `missing=mask` ``); the command line
prints them as its options (``--learning-rate``, ``--missing mask``).
"""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from cosmoinfer.printable import one_line

MAX_CHOICES = 20  # names that an error lists; of more, only those that are spelled alike


class UserError(ValueError):
    """One line that says what, where, what was expected and what was found. Exit status 1.

    message: without the setting; what it quotes of a file is shown as ``printable.one_line`` does. setting, value: that
    are to blame, if one setting is; value: where it helps to see it.

    Everything that is not a UserError is a fault of ours and crashes with its traceback.
    """

    exit_status = 1

    def __init__(self, message: str, setting: str = "", value: object = "") -> None:
        self.message, self.setting, self.value = one_line(message), setting, one_line(str(value))
        where = f"{setting}={self.written_value}: " if self.value else f"{setting}: " if setting else ""
        super().__init__(where + self.message)

    @property
    def messages(self) -> tuple[str, ...]:
        """What is wrong, one line each; none of an error that ends quietly."""
        return (self.message,) if self.message else ()

    @property
    def written_value(self) -> str:
        """The value before a colon, in quotes where it ends with one."""
        return repr(self.value) if self.value.endswith(":") else self.value

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, ...]]:
        """To be pickled, as between the processes of a pool."""
        return type(self), (self.message, self.setting, self.value)


@contextmanager
def blame(setting: str, value: object = "") -> Iterator[None]:
    """Let a UserError that blames no setting blame this one. Raises UserError in place of the one raised inside."""
    try:
        yield
    except UserError as error:
        if error.setting:
            raise
        raise UserError(error.message, setting, value) from error


class DamageError(UserError):
    """A file cannot be read, or is not as this tool wrote it."""


class DamagedOutput(DamageError):
    """A damaged file is where an output of its kind goes. reason: what is wrong with it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}; `force` replaces it")

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, ...]]:
        """To be pickled."""
        return type(self), (self.reason,)


class SameOutput(UserError):
    """The very same output was there when it was to be written: another process has made it meanwhile, or a call."""


class GateFailed(UserError):
    """Gates of ``evaluate`` failed: everything is written, the pipeline should stop. Exit status 3.

    failures: a line for each gate.
    """

    exit_status = 3

    def __init__(self, *failures: str) -> None:
        self.failures = failures
        super().__init__("; ".join(failures))

    @property
    def messages(self) -> tuple[str, ...]:
        """A line for each gate."""
        return tuple(map(one_line, self.failures))

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, ...]]:
        """To be pickled."""
        return type(self), self.failures


def describe_type(value: object) -> str:
    """What an error says of a value of a type that was not expected: ``an array of shape (240, 2)``, ``dict``."""
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"an array of shape {tuple(shape)}"


class CosmoinferWarning(UserWarning):
    """What nobody should miss: results that are not reliable, data that look wrong."""


def warn(line: str) -> None:
    """Through the ``warnings`` of Python, which a notebook shows and a script can filter, at the line that calls us."""
    package, level = __name__.partition(".")[0], 1
    frame = sys._getframe(level)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(one_line(line), CosmoinferWarning, stacklevel=level + 1)


def join_first(values: Iterable[object], count: int = 5) -> str:
    """The first ``count`` values, for an error message of one line: ``3, 8, 11, ... (40 in all)``."""
    items = [str(value) for value in values]
    return ", ".join(items[:count]) + (f", ... ({len(items)} in all)" if len(items) > count else "")


def suggest(name: object, choices: Iterable[str]) -> str:
    """``did you mean nsf?``, of choices that are spelled alike; empty if none is."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    similar = [by_lower_case[match] for match in get_close_matches(str(name).lower(), by_lower_case)]
    return f"did you mean {' or '.join(similar)}?" if similar else ""


def list_choices(name: object, choices: Iterable[str]) -> str:
    """What an error says of a name that is none of these: ``there are maf, nsf; did you mean nsf?``."""
    names = dict.fromkeys(choices)
    question = suggest(name, names)
    if question and len(names) > MAX_CHOICES:
        return question
    listing = f"there {'is' if len(names) == 1 else 'are'} {join_first(names, MAX_CHOICES)}"
    return f"{listing}; {question}" if question else listing
