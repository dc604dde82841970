"""`cosmoinfer tune`: what it writes, the same command again, several processes, stops, and what is refused."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer import storage
from cosmoinfer.models.flow import recipe_of_document
from cosmoinfer.stopping import EXIT_STATUS, STOP_REQUEST
from cosmoinfer.studies.trials import PrunedError, Trial
from cosmoinfer.training.checkpoints import Checkpoint
from cosmoinfer.training.loop import DivergedError
from tests.command_line import call, done, linear, refused, write

SETTINGS = ("--epochs", 2, "--ensemble", 1, "--threads", 1, "--flow", "maf:layers=2", "--support", "truncate")
SEARCH = (*SETTINGS, "--trials", 3, "--top", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tune")
    write(made / "sims.h5", *linear(90, 1))
    return made


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    os.chdir(folder)
    return json.loads(done("tune", "sims.h5", "-o", "best.flow.h5", *SEARCH, "--json"))


def test_the_best_trials_are_one_flow_that_is_compared_to_the_default(document: dict[str, Any]) -> None:
    trials = document["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2] and document["support"] == "truncate"
    default = {"flow": "maf", "embedding": "none", "hidden": 128, "dropout": 0.2, "learning_rate": 0.001}
    assert default.items() <= trials[0]["settings"].items()
    ranked = sorted(trials, key=lambda trial: -trial["log_prob"])
    assert {flow["model"] for flow in document["models"]} == {trial["model"] for trial in ranked[:2]}
    flows = {name: cosmoinfer.load(document[name]) for name in ("output", "default")}
    sims = cosmoinfer.read_catalog("sims.h5")
    rows = np.flatnonzero(flows["default"].training_record.partition_of(sims, np.arange(90)) == 2)
    scores = {name: flow.log_prob_of_rows(sims, rows, sims.theta[rows], 1000, 0) for name, flow in flows.items()}
    comparison = document["comparison"]
    assert comparison["difference"] == pytest.approx((scores["output"] - scores["default"]).mean())
    assert comparison["error"] > 0 and comparison["rows"] == comparison["simulations"] == len(rows)
    assert comparison["verdict"] in ("better", "no better", "worse")
    with h5py.File("best.flow.h5") as file:
        meta = json.loads(file["meta"][()])
    assert meta["command"] == "tune" and sum(name.startswith("trial_") for name in meta["inputs"]) == 2
    files = {path.name for path in Path("best.flow").iterdir()} - {"search.lock", "trials.lock"}
    assert files == {"default.flow.h5", *(f"trial-000{number}.flow.h5" for number in range(3))}


def test_the_same_command_again_trains_nothing(document: dict[str, Any]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (Path("best.flow.h5"), *Path("best.flow").glob("*.h5"))}
    status, out, err = call("tune", "sims.h5", "-o", "best.flow.h5", *SEARCH, "--json")
    assert status == 0 and json.loads(out) == document and "best.flow.h5: complete already" in err
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_tuned_setting_is_used_again(document: dict[str, Any]) -> None:
    """Of a trial its architecture; the mixture has those of all."""
    trial = document["trials"][2]
    done("train-flow", "sims.h5", "-o", "one.h5", "--like", trial["model"], "--ensemble", 2, "--threads", 1, "--quiet")
    (stack,) = cosmoinfer.load("one.h5").stacks
    assert stack.members == 2 and stack.config["recipe"]["hidden"] == trial["settings"]["hidden"]
    recipe = recipe_of_document(cosmoinfer.load("best.flow.h5").provenance["settings"]["recipe"])
    assert {stack["architecture"] for stack in document["stacks"]} <= {stack.architecture for stack in recipe.stacks}
    assert len(recipe.stacks) == 2 and recipe.supports == ("truncate",)


REFUSED = {
    "--seed 1": "best.flow.h5.journal: its trials have other settings or inputs (seed 0, now 1); with those again",
    "--epochs 3": "(epochs 2, now 3)",
    "--learning-rate 0.01": "(different learning_rate, learning_rate 0.001, now 0.01)",
    "--split-seed 1": "(different split)",
    "--trials 0": "--trials: expected at least 1, found 0",
    "--top 1": "best.flow.h5: exists already (top 2, now 1); --force replaces it",
    "-o best.flow/trial-0000.flow.h5": "trial-0000.flow.h5: exists already (command train-flow, now tune",
    "--journal sims.h5": "sims.h5: is no journal of Optuna; name another --journal",
    "--flow realnvp,maf": "realnvp is not raced",
    "-o sims.h5": "sims.h5: --force replaces a model file only, found a file of another tool",
}


@pytest.mark.parametrize("options", REFUSED)
def test_another_search_is_one_line(document: dict[str, Any], options: str) -> None:
    assert REFUSED[options] in refused("tune", "sims.h5", "-o", "best.flow.h5", *SEARCH, *options.split())


def test_a_score_that_was_edited_is_not_believed(document: dict[str, Any]) -> None:
    score = max(trial["log_prob"] for trial in document["trials"])
    text = Path("best.flow.h5.journal").read_text()
    assert repr(score) in text
    Path("edited.journal").write_text(text.replace(repr(score), repr(score + 1)))
    message = refused("tune", "sims.h5", "-o", "best.flow.h5", *SEARCH, "--journal", "edited.journal")
    assert "edited.journal: holds log_prob" in message and message.endswith("was it edited?")


def test_without_optuna_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = refused("tune", "sims.h5", "-o", "none.flow.h5", *SEARCH)
    assert (
        message == "cosmoinfer: tune requires Optuna, which is not installed; `pip install cosmoinfer[tune]` brings it"
    )


def test_a_trial_that_is_pruned_or_diverges_counts_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {1: PrunedError(), 2: DivergedError("the loss is not finite")}

    def listen(trial: Trial, *epoch: object) -> None:
        if trial.number in ends:
            raise ends[trial.number]

    monkeypatch.setattr(Trial, "listen", listen)
    status, out, err = call("tune", "sims.h5", "-o", "pruned.flow.h5", *SEARCH, "--checkpoint-every", "1s", "--json")
    trials = json.loads(out)["trials"]
    assert status == 0 and "trial 1: pruned\n" in err and "trial 2: its loss is not finite\n" in err
    assert [trial["log_prob"] is None for trial in trials] == [False, True, True] and trials[1]["model"] is None
    assert not [*Path("pruned.flow").glob("trial-000[12]*")]


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    STOP_REQUEST.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    STOP_REQUEST.reason = ""


def test_a_search_that_is_stopped_goes_on_to_the_same_bytes(
    document: dict[str, Any], handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of a trial, and of the training of the default."""
    looks, keep = [0], Checkpoint.keep

    def strike(checkpoint: Checkpoint, arrays: Any, only_at_stop: bool = False) -> None:
        looks[0] += 1
        if looks[0] in (4, 12):
            os.kill(os.getpid(), signal.SIGTERM)
        keep(checkpoint, arrays, only_at_stop)

    monkeypatch.setattr(Checkpoint, "keep", strike)
    statuses = []
    while not statuses or statuses[-1]:
        STOP_REQUEST.reason = ""
        status, out, err = call("tune", "sims.h5", "-o", "stopped.flow.h5", *SEARCH, "--json")
        statuses.append(status)
        assert status == 0 or "stopped (SIGTERM); the same command goes on from stopped.flow/" in err
    assert statuses == [EXIT_STATUS, EXIT_STATUS, 0]
    assert Path("stopped.flow.h5").read_bytes() == Path("best.flow.h5").read_bytes()
    assert [trial["number"] for trial in json.loads(out)["trials"]] == [0, 1, 2]


def is_under_way(trial: Path) -> bool:
    """Whether a process has taken this trial, and no longer holds the lock under which it did."""
    if not trial.exists() or storage.is_abandoned(trial):
        return False
    with (trial.parent / "trials.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    return True


def test_a_process_that_hangs_keeps_its_trial_and_one_that_is_killed_loses_no_other(document: dict[str, Any]) -> None:
    """The trial of the dead is taken by the next, with its settings."""
    search = ("tune", "sims.h5", "-o", "shared.flow.h5", *SETTINGS, "--top", 2, "--quiet")
    command = [sys.executable, "-m", "cosmoinfer", *map(str, search), "--trials", "3"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not is_under_way(Path("shared.flow/trial-0000.lock")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        others = json.loads(done(*search, "--trials", 2, "--json"))["trials"]
    finally:
        process.kill()
        process.wait()
    assert [trial["number"] for trial in others] == [1, 2]
    trials = json.loads(done(*search, "--trials", 3, "--force", "--json"))["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2] and trials[1:] == others
    assert trials[0]["settings"] == document["trials"][0]["settings"]
