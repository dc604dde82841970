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
UNITS = re.compile(r"(?<!\S)\[[^\]]*\]|\[(?!\d+\])[^\]]*\]")  # behind a name, k [h/Mpc]; sigma[8] is a name
ROUND_UNITS = re.compile(
    r"(?<=\s)\((?:[^()]|\([^()]{0,40}\)){0,40}\)\S*"
)  # k (h/Mpc), P (Mpc/h)^3, as CLASS writes them
COLUMN_NUMBER = re.compile(r"(\d+):\s*(?=\S)")  # before a name, 1:k, as CLASS writes them
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eEdD][+-]?\d+)?")
WITH_COMMAS = re.compile(r"[+-]?[\d.](?:[\d.,eE+-]*[\d.])?")  # numbers, with commas between or within them
TWO_WHOLE_NUMBERS = re.compile(r"[+-]?(?:0|[1-9]\d*),\d+")
MAX_CHECKED_LINES = 100  # in which commas are looked at
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
    delimiter = _delimiter_of(lines[min(1, len(lines) - 1)][1])
    first_line = ""
    if not _is_numeric(_fields(lines[0][1], delimiter)):
        first_line, lines = lines[0][1], lines[1:]
        if not lines:
            raise UserError(f"{path}: holds a line of names and no numbers")
    _check_commas(path, lines[:MAX_CHECKED_LINES])
    values, texts = _parse(path, lines, delimiter)
    count = values.shape[1]
    if first_line:
        header = _names_of_columns(first_line, count, delimiter)
        if not header and count == 1 and _delimiter_of(without_units(first_line)) is None:
            header = [without_units(first_line)]  # of one column, whose name holds spaces
        if not header:
            n_names = len(_names(first_line, delimiter))
            raise UserError(
                f"{path}: has {n_names} names in its first line and {count} columns; expected a name each, between "
                "commas where names hold spaces (a # before the line makes it a comment)"
            )
    else:
        candidates = [_names_of_columns(comment, count, _delimiter_of(comment)) for comment in comments]
        header = next((names for names in reversed(candidates) if _is_header(names)), [])
    return TextTable(path, tuple(header), values, texts, tuple(comments))


def _is_header(names: Sequence[str]) -> bool:
    """Whether words of a comment are names: none a number, none twice."""
    return bool(names) and not any(_is_number(name.strip("()")) for name in names) and len(set(names)) == len(names)


def _names_of_columns(line: str, count: int, delimiter: str | None) -> list[str]:
    """So many names in a line, between delimiters or others that it has; empty where there are more or fewer."""
    for text in (line, ROUND_UNITS.sub("", line)):
        for sign in dict.fromkeys((delimiter, _delimiter_of(without_units(text)))):
            names = _names(text, sign)
            if len(names) == count:
                numbers = [match[1] for match in map(COLUMN_NUMBER.match, names) if match]
                is_numbered = numbers == [str(number) for number in range(1, count + 1)]
                return [COLUMN_NUMBER.sub("", name, count=1) for name in names] if is_numbered else names
    return []


def _delimiter_of(line: str) -> str | None:
    return next((sign for sign in DELIMITERS if sign in line), None)


def _check_commas(path: Path, lines: Sequence[tuple[int, str]]) -> None:
    """Raises UserError where commas stand within numbers, as 0,31 between spaces or semicolons."""
    for number, line in lines:
        if "," not in line:
            continue
        fields = [field.strip() for field in re.split(r"[;\t]", line)]
        words = line.replace(";", " ").split()
        is_mixed = len(words) > 1 and all(map(WITH_COMMAS.fullmatch, words))
        if (len(fields) > 1 and any(map(DECIMAL_COMMA.fullmatch, fields))) or is_mixed:
            raise _commas_within(path, number, next(word for word in words if "," in word))
    padded = [(number, line) for number, line in lines if re.fullmatch(r"[^,]*,0\d+", line)]
    if padded and all(TWO_WHOLE_NUMBERS.fullmatch(line) for _, line in lines):
        raise _commas_within(path, *padded[0])


def _commas_within(path: Path, line: int, word: str) -> UserError:
    return UserError(
        f"{path}: line {line} holds {word!r}: decimal commas, or commas within numbers; expected decimal points, as "
        f"sed 's/,/./g' '{path}' writes them"
    )


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]


def _names(line: str, delimiter: str | None) -> list[str]:
    """The names of a header, without units."""
    return [field.strip() for field in _fields(without_units(line), delimiter)]


def without_units(text: str) -> str:
    """Names without their units in brackets, ``H_0`` of ``H_0 [km/s/Mpc]``."""
    return UNITS.sub("", text).strip()


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
        if decimal := next(filter(DECIMAL_COMMA.fullmatch, words), ""):
            raise _commas_within(path, lines[fields.index(decimal)][0], decimal)
        if words and len(words) < len(fields) // 2:
            row = fields.index(words[0])
            raise UserError(f"{path}: line {lines[row][0]} holds {words[0]!r} among numbers (column {column})")
        if words:
            texts[column] = fields
        else:
            values[:, column] = [np.nan if field.lower() in GAPS else float(field) for field in fields]
    return values, texts
