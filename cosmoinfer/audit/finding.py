"""What a check of an audit found: how bad it is, what is wrong and what to do."""

from dataclasses import dataclass

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    level: ``error``: a training would fail, be refused or be worthless; ``warning``: look at it before a training;
        ``note``: for information.
    text: what is wrong.
    remedy: what to do about it; empty where nothing has to be done.
    check: the name in ``CHECKS`` of the check.
    """

    level: str
    text: str
    remedy: str = ""
    check: str = ""

    @property
    def message(self) -> str:
        """Text and remedy in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def error(text: str, remedy: str = "") -> Finding:
    return Finding("error", text, remedy)


def warning(text: str, remedy: str = "") -> Finding:
    return Finding("warning", text, remedy)


def note(text: str, remedy: str = "") -> Finding:
    return Finding("note", text, remedy)
