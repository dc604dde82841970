"""A minute of the fuzz of files, with a fixed seed, and what it would say of faults that are planted here."""

import os
import random
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from cosmoinfer import __version__, split
from cosmoinfer.errors import UserError
from cosmoinfer.storage.digests import DatasetDigest
from cosmoinfer.storage.schema import VALUES
from tests.benchmarks import fuzz
from tests.benchmarks.changes import FAMILIES
from tests.benchmarks.fuzz import USES, Attack, is_promised, outcome_of
from tests.kept.numbers import KEPT

FOLDER = KEPT / __version__
SEED = 20
CASES = 2  # of each kind and family
pytestmark = pytest.mark.filterwarnings("ignore")  # of files with odd numbers


@pytest.mark.parametrize("kind", USES)
def test_changed_files_are_the_same_numbers_or_one_line(tmp_path: Path, kind: str) -> None:
    attack = Attack(kind, FOLDER, tmp_path)
    assert attack.expected[0] == "numbers"
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


def test_a_folder_that_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "curve.h5").write_text("the last file of a run that was interrupted")
    fuzz.make_files(tmp_path, ())
    assert {"sims.h5", "first.h5", "second.h5"} <= {path.name for path in tmp_path.iterdir()}
    (tmp_path / "first.h5").unlink()
    fuzz.make_files(tmp_path, ())
    assert not (tmp_path / "first.h5").exists()


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


@pytest.mark.parametrize(
    ("layout", "dataset", "expected"),
    [
        ("the same", "data", "same"),
        ("nested", "data", "same"),
        ("nested without end", "data", "refused"),
        ("links to links", "data", "same"),
        ("link elsewhere", "data", "refused"),
        ("virtual", "data", "same"),
        ("virtual elsewhere", "data", "refused"),
        ("text", "simulation", "same"),
        ("text", "parameters", "same"),
    ],
)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_catalog_in_another_layout_is_the_same_or_refused(
    tmp_path: Path, layout: str, dataset: str, expected: str, libver: str
) -> None:
    change = {"what": "layout", "libver": libver, "signed": False, "dataset": dataset, "to": layout}
    assert Attack("catalog", FOLDER, tmp_path).outcome(change) == (expected, ANY)


def test_a_link_that_is_followed_unasked_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = Attack("catalog", FOLDER, tmp_path)
    monkeypatch.setattr("cosmoinfer.storage.links.link_problem", lambda *where: "")
    change = {"what": "layout", "libver": "latest", "signed": False, "dataset": "data", "to": "link elsewhere"}
    label, _ = attack.outcome(change)
    assert label == "other numbers" and not is_promised(label, change)


def test_numbers_that_are_not_finite_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = Attack("density", FOLDER, tmp_path)
    monkeypatch.setitem(VALUES, "finite", lambda array: True)
    change = {"what": "array", "dataset": "typicality/coefficients", "to": "nan"}
    label, _ = attack.outcome(change)
    assert label == "not finite" and not is_promised(label, change)


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
