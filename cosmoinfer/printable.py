"""Text from files, fit to print: one line of bounded length, in which no character acts on what shows it.

Names, labels, paths, suites, classes and ids are whatever a file holds. What is computed, written to files and printed
as JSON has them as they are; what is shown passes here: lines, tables, figures, HTML, errors and warnings.
"""

from html import escape

MAX_LINE = 4000  # characters; no message of ours is longer, but for what it quotes
MAX_CELL = 400  # of a table
CUT = "..."


def one_line(text: str, limit: int = MAX_LINE) -> str:
    """The text with what does not print as its escape, ``\\x1b``, and of more than ``limit`` characters its two ends.

    What does not print: controls, line breaks, spaces but the plain one, bidirectional and other invisible formats,
    surrogates and what Unicode has not assigned. Of a text that has been here it changes nothing. A backslash stays as
    it is, for the sake of LaTeX and of paths: the four characters ``\\x1b`` in a name look the same as an escape.
    """
    text = _without_middle(text, limit)  # first, so that an endless name costs little
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return _without_middle(text, limit)


def html(text: str) -> str:
    """Of one line, for a page of HTML."""
    return escape(one_line(text))


def _without_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    kept = limit - len(CUT)
    return text[: kept - kept // 2] + CUT + text[len(text) - kept // 2 :]
