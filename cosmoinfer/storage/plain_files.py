"""Text, JSON and arrays of numpy that anybody may have written, read within bounds and never as Python objects."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.memory import check_memory
from cosmoinfer.numerals import finite_number
from cosmoinfer.storage.opening import error_reason, require_file

JSONObject = dict[str, Any]  # only what json.dumps takes


def load_text(path: Path) -> str:
    """A text file in UTF-8. Raises UserError for any other, and for one that memory does not take."""
    check_memory(require_file(path).stat().st_size // 8, f"{path}: its text")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error_reason(error)})") from error


def load_json(path: Path) -> Any:
    """What a JSON file holds. Raises UserError as ``load_text``, and for any other text."""
    text = load_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error})") from error


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of numbers or text of a .npz file, by name.

    Raises UserError for any other file, arrays of Python objects, and what memory does not take.
    """
    require_file(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            size = sum(member.file_size for member in archive.zip.infolist())
            check_memory(size // 8, f"{path}: its arrays")
            return {name: np.asarray(archive[name]) for name in archive.files}
    except UserError:
        raise
    except Exception as error:  # of zip, of numpy, and of Python's tokenizer, which numpy reads headers with
        raise UserError(f"{path}: is no .npz file of numbers or text, or a damaged one") from error


def parse_object(text: str, finite: bool = False) -> JSONObject:
    """A JSON object. Raises ValueError as ``parse_json``, and for anything else."""
    document = parse_json(text, finite)
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, found {type(document).__name__}")
    return document


def parse_json(text: str, finite: bool = False) -> Any:
    """Raises ValueError for what is no JSON, for one nested too deeply, and for integers of thousands of digits.

    finite: whether NaN, infinities, which JSON does not have, and numbers beyond all floats are errors too.
    """
    try:
        if not finite:
            return json.loads(text)
        return json.loads(text, parse_constant=_parse_finite, parse_float=_parse_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _parse_finite(text: str) -> float:
    number = finite_number(text)
    if number is None:
        raise ValueError(f"expected finite numbers, found {text}")
    return number
