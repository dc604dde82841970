"""A minute of the fuzz of files, with a fixed seed, and what it would say of faults that are planted here."""

import os
import random
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cosmoinfer import __version__, split
from cosmoinfer.errors import UserError
from cosmoinfer.storage.digests import DatasetDigest
from tests.benchmarks import fuzz
from tests.benchmarks.changes import FAMILIES
from tests.benchmarks.fuzz import USES, Attack, outcome_of
from tests.kept.numbers import KEPT

FOLDER = KEPT / __version__
SEED = 20
CASES = 2  # of each kind and family
pytestmark = pytest.mark.filterwarnings("ignore")  # of files with odd numbers


@pytest.mark.parametrize("kind", USES)
def test_changed_files_are_the_same_numbers_or_one_line(tmp_path: Path, kind: str) -> None:
    attack = Attack(kind, FOLDER, tmp_path)
    tallies = {family: attack.run(family, SEED, CASES) for family in FAMILIES}
    failures = [f"{family}: {tally}" for family, tally in tallies.items() if tally.failures]
    assert not failures, "\n" + "\n".join(failures)
    assert all(tally.counts.total() == CASES for tally in tallies.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_case_is_found_again(family: str) -> None:
    for number in range(20):
        original = FOLDER / "metrics.h5"
        changes = [FAMILIES[family](original, random.Random(f"{SEED} {number}")) for _ in range(2)]
        assert repr(changes[0]) == repr(changes[1])


# ------------------------------------------------------------------------------------------------------ planted faults
def test_digests_that_are_not_compared_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of a dataset are not in the checksums of HDF5."""
    monkeypatch.setattr(DatasetDigest, "matches_blocks", lambda digest, rows, first: True)
    tally = Attack("split", FOLDER, tmp_path).run("bit", SEED, 20)
    assert "other numbers: " in tally.failures


def test_documents_that_are_taken_at_their_word_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmoinfer.storage.reading.interpreted", lambda path, contents: nullcontext())
    tally = Attack("learning-curve", FOLDER, tmp_path).run("meaning", SEED, 20)
    assert any(failure.startswith("traceback: KeyError") for failure in tally.failures)


def fail(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda: fail(UserError("no split")), ("refused", "no split")),
        (lambda: fail(KeyError("names")), ("traceback", "KeyError: 'names' at ")),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), ("crash", "signal 11")),
        (lambda: time.sleep(60), ("hang", "")),
    ],
)
def test_what_comes_of_a_file_is_told_apart(monkeypatch: pytest.MonkeyPatch, use: Any, expected: Any) -> None:
    monkeypatch.setattr(fuzz, "LIMIT_SECONDS", 1)
    label, detail = outcome_of(lambda path, folder: use(), FOLDER / "split.h5", FOLDER)
    assert (label, detail) == expected


def test_numbers_are_compared_to_the_last_digit() -> None:
    def outcome(step: float) -> tuple[str, str]:
        def use(path: Path, folder: Path) -> Any:
            partition = split.read(path).partition.astype(float)
            return {"partition": [partition + step]}

        return outcome_of(use, FOLDER / "split.h5", FOLDER)

    assert outcome(0) == outcome(0)
    assert outcome(0)[0] == "numbers" and outcome(0) != outcome(1e-15)
