"""Tables of numbers in text: columns between commas, semicolons, tabs or spaces, under a line of names or comments."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.memory import check_memory
from cosmoinfer.storage.opening import require_file
from cosmoinfer.storage.plain_files import load_text

COMMENT_SIGNS = ("#", "%", "!", "//")
DELIMITERS = (",", ";", "\t")
UNITS = re.compile(r"\[[^\]]*\]")  # behind a name, k [h/Mpc]
BYTES_PER_CHARACTER = 4  # of memory: the text, its lines and its numbers
GAPS = {"", "nan", "na", "n/a", "null", "none", "-"}
MAX_COMMENTS = 1000  # that are kept


@dataclass(frozen=True)
class TextTable:
    """path: for messages. names: (C,) of the columns, without units; empty where the file has none.

    values: (R, C) float64, NaN where a field is empty or no number. texts: of the columns that hold words, by number.
    comments: the lines before the numbers that begin with a comment sign, without it.
    """

    path: Path
    names: tuple[str, ...]
    values: np.ndarray
    texts: dict[int, tuple[str, ...]]
    comments: tuple[str, ...]


def load_table(path: Path) -> TextTable:
    """A table of numbers in a text file.

    Raises UserError for text that is no table, as where a line has fewer columns than the others.
    """
    check_memory(BYTES_PER_CHARACTER * require_file(path).stat().st_size // 8, f"{path}: its table")
    numbered = [(number, line.strip()) for number, line in enumerate(load_text(path).splitlines(), start=1)]
    numbered = [(number, line.lstrip("\ufeff")) for number, line in numbered if line.strip("\ufeff")]
    comments = [line.lstrip("#%!/ \t") for _, line in numbered[:MAX_COMMENTS] if line.startswith(COMMENT_SIGNS)]
    lines = [(number, line) for number, line in numbered if not line.startswith(COMMENT_SIGNS)]
    if not lines:
        raise UserError(f"{path}: holds no numbers{', only comments' * bool(comments)}")
    delimiter = next((sign for sign in DELIMITERS if sign in lines[min(1, len(lines) - 1)][1]), None)
    header: Sequence[str] = ()
    if not _is_numeric(_fields(lines[0][1], delimiter)):
        header, lines = _names(lines[0][1], delimiter), lines[1:]
        if not lines:
            raise UserError(f"{path}: holds a line of names and no numbers")
    values, texts = _parse(path, lines, delimiter)
    if not header:
        candidates = [_names(comment, _delimiter_of(comment)) for comment in comments]
        header = next((names for names in reversed(candidates) if _is_header(names, values.shape[1])), ())
    elif len(header) != values.shape[1]:
        raise UserError(f"{path}: has {len(header)} names in its first line and {values.shape[1]} columns")
    return TextTable(path, tuple(header), values, texts, tuple(comments))


def _is_header(names: Sequence[str], count: int) -> bool:
    """Whether a comment is a line of names: as many as columns, and none a number."""
    return len(names) == count and not any(_is_number(name) for name in names) and len(set(names)) == count


def _delimiter_of(line: str) -> str | None:
    return next((sign for sign in DELIMITERS if sign in line), None)


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]


def _names(line: str, delimiter: str | None) -> list[str]:
    """The names of a header, without units."""
    return [field.strip() for field in _fields(UNITS.sub("", line), delimiter)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_numeric(fields: Sequence[str]) -> bool:
    """Whether a line holds values and not names: some field is a number, and the first is not empty, as pandas has it
    above row numbers."""
    return bool(fields and fields[0]) and any(_is_number(field) for field in fields)


def _parse(
    path: Path, lines: Sequence[tuple[int, str]], delimiter: str | None
) -> tuple[np.ndarray, dict[int, tuple[str, ...]]]:
    """The numbers (R, C), and the columns of words."""
    try:
        return np.loadtxt([line for _, line in lines], delimiter=delimiter, comments=None, ndmin=2), {}
    except ValueError:
        pass  # words, empty fields, or lines of different lengths, which are slower to read
    rows = []
    for number, line in lines:
        rows.append(_fields(line.split(" #")[0], delimiter))
        if len(rows[-1]) != len(rows[0]):
            raise UserError(f"{path}: line {number} has {len(rows[-1])} columns, those before it {len(rows[0])}")
    columns = list(zip(*rows, strict=True))
    values, texts = np.full((len(rows), len(columns)), np.nan), {}
    for column, fields in enumerate(columns):
        words = [field for field in fields if field.lower() not in GAPS and not _is_number(field)]
        if words and len(words) < len(fields) // 2:
            row = fields.index(words[0])
            raise UserError(f"{path}: line {lines[row][0]} holds {words[0]!r} among numbers (column {column})")
        if words:
            texts[column] = fields
        else:
            values[:, column] = [np.nan if field.lower() in GAPS else float(field) for field in fields]
    return values, texts
