"""What an audit found: how bad it is, and in words what it is and what to do."""

from dataclasses import dataclass

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """error: a training would break, be refused or be worth nothing; warning: look at it first; note: good to know.

    check: the name in AUDITS of the check that found it.
    """

    level: str
    text: str
    check: str = ""


def error(text: str) -> Finding:
    return Finding("error", text)


def warning(text: str) -> Finding:
    return Finding("warning", text)


def note(text: str) -> Finding:
    return Finding("note", text)
