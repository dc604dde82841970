"""The page of a report: a template with its style and its script inside, and a policy that forbids everything else."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, StrictUndefined

from cosmoinfer.printable import one_line
from cosmoinfer.report.document import Report

FOLDER = resources.files("cosmoinfer.report")
MAX_CELL_CHARACTERS = 400
NUMBER_FIRST = "0123456789-+<>."  # with which a cell begins that stands to the right


def render(report: Report) -> str:
    """HTML of one file. Every text of the report is escaped, and shown in one line without acting characters.

    Its policy (Content-Security-Policy) allows its own style and script, by their SHA-256, and figures within it.
    """
    style, script = (_read(name) for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'"
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"line": _line, "numeric": _is_numeric}
    template = environment.from_string(_read("page.html"))
    return template.render(report=report, style=style, script=script, policy=policy)


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _line(text: str) -> str:
    """A text from a file: one line of bounded length."""
    return one_line(text, MAX_CELL_CHARACTERS)


def _is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers."""
    return all(cell in ("", "-") or cell[0] in NUMBER_FIRST for cell in cells) and any(cells)
