"""Files that earlier versions wrote are read, and hold the numbers that they held; those of later ones are one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from cosmoinfer import __version__, storage
from cosmoinfer.errors import UserError
from tests.kept.numbers import KEPT, NUMBERS, USES, numbers_of

MAJOR = __version__.split(".")[0]
FOLDERS = sorted(path.parent for path in KEPT.glob(f"{MAJOR}.*/{NUMBERS}"))
NUMBERS_OF_FOLDER = {folder: json.loads((folder / NUMBERS).read_text()) for folder in FOLDERS}
FILES = [folder / name for folder, numbers in NUMBERS_OF_FOLDER.items() for name in numbers]
MAX_BYTES = 1_000_000  # of all, with the corpus
OF_NO_USE_LATER = {"checkpoint"}  # kinds of which another version makes a new one


def compare(numbers: Any, expected: Any) -> None:
    """Weights are of single precision, and another processor adds them in another order."""
    if isinstance(expected, dict):
        assert numbers.keys() == expected.keys()
        for key in expected:
            compare(numbers[key], expected[key])
    elif isinstance(expected, list):
        assert len(numbers) == len(expected)
        for number, value in zip(numbers, expected, strict=True):
            compare(number, value)
    elif isinstance(expected, float):
        assert numbers == pytest.approx(expected, rel=1e-4, abs=1e-6)
    else:
        assert numbers == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_of_an_earlier_version_is_read(path: Path) -> None:
    compare(numbers_of(path), NUMBERS_OF_FOLDER[path.parent][path.name])


def test_this_version_has_files_of_every_kind() -> None:
    assert KEPT / __version__ in FOLDERS, "python -m tests.kept.make"
    for folder in FOLDERS:
        kinds = {storage.file_kind(path) for path in folder.glob("*.h5")} - {None}
        assert kinds == set(storage.FORMATS) - OF_NO_USE_LATER
    assert {path.name for path in FILES if path.parent.name == __version__} == set(USES)


def test_kept_files_are_small() -> None:
    paths = [path for folder in (KEPT, KEPT.parent / "corpus") for path in folder.rglob("*") if path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < MAX_BYTES


@pytest.mark.parametrize("change", [1.001, "names"])
def test_other_numbers_would_be_noticed(change: float | str) -> None:
    (path,) = (path for path in FILES if path.name == "posterior.h5")
    numbers = numbers_of(path)
    if change == "names":
        numbers["names"] = numbers["names"][::-1]
    else:
        numbers["mean"][2][1] *= change
    with pytest.raises(AssertionError):
        compare(numbers, NUMBERS_OF_FOLDER[path.parent][path.name])


@pytest.mark.parametrize("name", USES)
def test_a_file_of_a_newer_format_is_one_line(tmp_path: Path, name: str) -> None:
    newest = KEPT / __version__
    for path in newest.glob("*.h5"):
        shutil.copyfile(path, tmp_path / path.name)
    with h5py.File(tmp_path / name, "a") as file:
        file.attrs["format"] = storage.FORMATS[storage.file_kind(newest / name)] + 1
    with pytest.raises(UserError, match=rf"{name}: its format is 3, this version \(.*\) reads format 2$") as error:
        numbers_of(tmp_path / name)
    assert len(str(error.value).splitlines()) == 1
