"""The journal of trials: numbers, trials that are handed back or left behind, pruning, and files that are none."""

import json
import sys
from pathlib import Path

import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.studies.trials import Journal, PrunedError, Trial

SETTINGS = {"flow": "maf", "hidden": 64, "learning_rate": 1e-3}


def suggested(trial: Trial) -> dict[str, object]:
    return {
        "flow": trial.choose("flow", ["maf", "nsf"]),
        "hidden": trial.whole_number("hidden", 32, 256, True),
        "learning_rate": trial.real_number("learning_rate", 1e-4, 1e-2, True),
    }


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal(tmp_path / "journal", 0)
    opened.begin("truncate", SETTINGS)
    return opened


def test_trials_are_numbered_recorded_and_seen_by_another_process(journal: Journal) -> None:
    settings = []
    for number in range(4):
        trial = journal.next_trial()
        settings.append(suggested(trial))
        assert trial.number == number
        journal.finish(trial, None if number == 2 else float(number))
    records = Journal(journal.path, 0).records()
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert [record.log_prob for record in records] == [0.0, 1.0, None, 3.0]
    assert [record.settings for record in records] == settings and settings[0] == SETTINGS
    assert all(float(f"{entry['learning_rate']:.3g}") == entry["learning_rate"] for entry in settings)
    assert Journal(journal.path, 0).support == "truncate"


def test_a_trial_that_is_handed_back_keeps_its_number_and_its_settings(journal: Journal, tmp_path: Path) -> None:
    """And those after it are what they are without it."""
    first, second = journal.next_trial(), journal.next_trial()
    settings = [suggested(first), suggested(second)]
    journal.finish(first, 1.0)
    journal.hand_back(second)
    journal.hand_back(second)  # twice is once
    again, third = journal.next_trial(), journal.next_trial()
    assert (again.number, third.number) == (1, 2) and suggested(again) == settings[1]
    journal.finish(again, 2.0)
    journal.hand_back(again)  # it has ended
    settings.append(suggested(third))
    undisturbed = Journal(tmp_path / "undisturbed", 0)
    undisturbed.begin("truncate", SETTINGS)
    for number, expected in enumerate(settings):
        trial = undisturbed.next_trial()
        assert suggested(trial) == expected
        undisturbed.finish(trial, number + 1.0)
    assert [record.number for record in journal.records()] == [0, 1]


def test_a_trial_that_was_left_behind_is_taken_and_one_under_way_is_not(journal: Journal) -> None:
    abandoned, alive = journal.next_trial(), journal.next_trial()
    settings = [suggested(abandoned), suggested(alive)]
    journal.reclaim(lambda number: number == 0)
    journal.reclaim(lambda number: number == 0)
    again, fresh = journal.next_trial(), journal.next_trial()
    assert (again.number, fresh.number) == (0, 2) and suggested(again) == settings[0]
    journal.finish(again, 1.0)
    journal.finish(abandoned, 5.0)  # of a process that was alive all the same: what is recorded stays
    assert [record.log_prob for record in journal.records()] == [1.0]


def test_the_worse_half_is_pruned_once_it_has_had_the_epochs_of_a_pilot(journal: Journal) -> None:
    for number in range(6):
        trial = journal.next_trial()
        for epoch in range(1, 41):
            trial.listen(epoch, 40, 0.0, 1.0 if number < 5 else 2.0) if number < 5 or epoch < 12 else None
        if number < 5:
            journal.finish(trial, -1.0)
    with pytest.raises(PrunedError):
        trial.listen(12, 40, 0.0, 2.0)
    good = journal.next_trial()
    for epoch in range(1, 41):
        good.listen(epoch, 40, 0.0, 0.9)


def test_a_selection_is_of_all_processes(journal: Journal) -> None:
    assert journal.selection("5 of 30") is None
    journal.select("5 of 30", [3, 1])
    assert Journal(journal.path, 0).selection("5 of 30") == [3, 1] and journal.selection("5 of 60") is None
    journal.close("5 of 30")
    assert Journal(journal.path, 0).is_closed("5 of 30") and not journal.is_closed("5 of 60")


def test_another_search_is_refused(journal: Journal) -> None:
    meta = {"settings": {"seed": 0, "recipe": {"epochs": 2}}, "inputs": {"catalog": "a" * 64}}
    journal.check(meta)
    Journal(journal.path, 0).check(meta)
    other = {"settings": {"seed": 1, "recipe": {"epochs": 2}}, "inputs": {"catalog": "b" * 64}}
    with pytest.raises(UserError, match=r"other settings or inputs \(different catalog, seed 0, now 1\)"):
        journal.check(other)


def test_a_journal_is_text_that_is_not_executed(journal: Journal) -> None:
    lines = journal.path.read_text().splitlines()
    assert len(lines) > 2 and all(isinstance(json.loads(line), dict) for line in lines)


@pytest.mark.parametrize(
    "contents",
    [b"\x89HDF\r\n\x1a\n", b"text", b'{"op_code": 0}\n', b'{"a"\n{"b"\n', b'{"op_code": 99, "worker_id": "a"}\n'],
)
def test_a_file_that_is_no_journal_is_one_line_and_stays(contents: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(contents)
    with pytest.raises(UserError, match="journal: is no journal of Optuna"):
        Journal(path, 0)
    assert path.read_bytes() == contents
    with pytest.raises(UserError, match="cannot be read or written"):
        Journal(tmp_path / "none" / "journal", 0)


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"requires Optuna, which is not installed; `pip install cosmoinfer\[tune\]`"):
        Journal(tmp_path / "journal", 0)
