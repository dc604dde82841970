"""Ranks: processes that share every batch end with the same bits, and with the weights of one process but for rounding.

Each test starts its ranks as a launcher does, by environment variables.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cosmoinfer
from cosmoinfer.errors import UserError
from cosmoinfer.models import Model
from cosmoinfer.networks.layers import Dropout
from cosmoinfer.stopping import EXIT_STATUS, STOP_REQUEST, Stopped
from cosmoinfer.tasks.reporter import MUTE, Reporter
from cosmoinfer.tasks.training import Trainer, TrainingJob
from cosmoinfer.training.ranks import Ranks, join_ranks
from cosmoinfer.training.streams import generators
from tests.command_line import linear, refused, write
from tests.map_files import write_maps

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds for ranks to end, which none of them needs
TRAININGS: dict[str, Callable[..., Model]] = {
    "race": lambda path, **settings: cosmoinfer.train_flow(
        path, flow="maf,nsf", support="truncate", dropout=0.2, epochs=4, ensemble=2, batch_size=33, **settings
    ),
    "mse": lambda path, **settings: cosmoinfer.train_regressor(path, loss="mse", epochs=3, **settings),
    "moment-log": lambda path, **settings: cosmoinfer.train_regressor(
        path, loss="moment-log", epochs=3, batch_size=64, **settings
    ),
    "cnn": lambda path, **settings: cosmoinfer.train_regressor(
        path, loss="moment", epochs=2, batch_size=10, dropout=0.1, augment="auto", **settings
    ),
}


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One a training: vectors, and maps for the CNN."""
    folder = tmp_path_factory.mktemp("catalogs")
    vectors, maps = write(folder / "vectors.h5", *linear(150, 0)), write_maps(folder / "maps.h5", 40)
    return {name: maps if name == "cnn" else vectors for name in TRAININGS}


def weights(model: Model) -> dict[str, np.ndarray]:
    """All weights and learning curves."""
    named = {}
    for number, stack in enumerate(model.stacks):
        named |= {f"{number}/{name}": value.numpy() for name, value in stack.network.state_dict().items()}
        named |= {f"{number}/history/{name}": value for name, value in vars(stack.history).items()}
    return {**named, "shares": model.weights}


def train_all(catalogs: dict[str, Path], **settings: Any) -> dict[str, np.ndarray]:
    models = {name: TRAININGS[name](path, threads=1, reporter=MUTE, **settings) for name, path in catalogs.items()}
    return {f"{name}/{key}": value for name, model in models.items() for key, value in weights(model).items()}


def start_ranks(count: int, function: Callable[..., None], *arguments: object) -> list["subprocess.Popen[str]"]:
    """Processes that call a function of this file with these arguments, each as one of the ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from {__name__} import {function.__name__} as work; work(*{arguments!r})"
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(number), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]


def ended(processes: Sequence["subprocess.Popen[str]"]) -> tuple[list[int], list[str]]:
    """Their exit statuses, and what each wrote to stderr."""
    errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    return [process.returncode for process in processes], errors


def work_on_all(folder: str, catalogs: dict[str, str]) -> None:
    """Train everything, and keep what this rank has."""
    trained = train_all({name: Path(path) for name, path in catalogs.items()}, ranks=True)
    np.savez(Path(folder) / f"{join_ranks().number}.npz", **trained)


def test_ranks_end_with_the_weights_of_one_process_and_with_the_same_bits(catalogs, tmp_path):
    count, expected = 2, train_all(catalogs)  # shares of 17 and 16 rows
    paths = {name: str(path) for name, path in catalogs.items()}
    statuses, errors = ended(start_ranks(count, work_on_all, str(tmp_path), paths))
    assert statuses == [0] * count, errors
    ranks = [np.load(tmp_path / f"{number}.npz") for number in range(count)]
    assert {*ranks[0]} == {*expected}
    for name, value in expected.items():
        np.testing.assert_allclose(ranks[0][name], value, rtol=1e-6, atol=1e-6, err_msg=name)
        assert all(rank[name].tobytes() == ranks[0][name].tobytes() for rank in ranks), name


# ----------------------------------------------------------------------------------------------- stopping and dying
def work_until(outputs: list[str], catalog: str, epoch: int, number: int) -> None:
    """Train; the first rank strikes itself at the end of an epoch of the last output. Exit as the command line does."""

    def strike(task: str, done: int, total: int, note: str = "") -> None:
        if task == "epoch" and done == epoch and output == outputs[-1]:
            os.kill(os.getpid(), number)

    STOP_REQUEST.listen()
    settings: dict[str, Any] = {"flow": "nsf", "epochs": 6, "ensemble": 2, "threads": 1, "support": "truncate"}
    try:
        for output in outputs:
            cosmoinfer.train_flow(catalog, output=output, ranks=True, reporter=Reporter(progress=strike), **settings)
    except Stopped:
        sys.exit(EXIT_STATUS)
    except UserError as error:
        sys.exit(error.message)


def test_ranks_stop_together_survive_a_death_and_go_on_to_the_same_bytes(catalogs, tmp_path):
    catalog, never = str(catalogs["race"]), 0
    reference, output = tmp_path / "reference.h5", tmp_path / "flow.h5"
    outputs = [str(reference), str(output)]
    stopped = ended(start_ranks(2, work_until, outputs, catalog, 2, signal.SIGTERM.value))
    assert stopped[0] == [EXIT_STATUS, EXIT_STATUS], stopped[1]
    (kept,) = Path(f"{output}.checkpoint").iterdir()
    statuses, errors = ended(start_ranks(2, work_until, outputs[1:], catalog, 4, signal.SIGKILL.value))
    assert statuses == [-signal.SIGKILL, 1]
    assert errors[1].splitlines()[-1].startswith("rank 1 of 2: another rank has ended (")
    assert kept.is_file() and not output.exists()
    assert ended(start_ranks(2, work_until, outputs[1:], catalog, never, signal.SIGTERM.value))[0] == [0, 0]
    assert output.read_bytes() == reference.read_bytes()
    assert not kept.parent.exists()


def work_with_others(catalogs: list[str]) -> None:
    """Every rank trains on a catalog of its own."""
    try:
        cosmoinfer.train_regressor(catalogs[int(os.environ["RANK"])], epochs=1, threads=1, reporter=MUTE, ranks=True)
    except UserError as error:
        sys.exit(error.message)


def test_ranks_that_were_not_started_alike_end_in_one_line(catalogs, tmp_path):
    other = write(tmp_path / "other.h5", *linear(150, 1))
    statuses, errors = ended(start_ranks(2, work_with_others, [str(catalogs["mse"]), str(other)]))
    assert statuses == [1, 1]
    assert {error.splitlines()[-1] for error in errors} == {
        "rank 1 has another setting or input than rank 0; expected the same on all ranks"
    }


# -------------------------------------------------------------------------------------------------------- refusals
def test_a_command_that_no_launcher_started_has_no_ranks(catalogs, tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "2")  # of a batch script, which is one process
    said = refused("train-regressor", catalogs["mse"], "-o", tmp_path / "r.h5", "--ranks")
    assert "--ranks: no ranks were started; begin the command with srun or torchrun" in said


def test_a_launcher_that_numbers_its_tasks_oddly_is_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "x")
    with pytest.raises(UserError, match="RANK, WORLD_SIZE, LOCAL_RANK: expected whole numbers"):
        join_ranks()


def test_tasks_that_share_nothing_are_warned_of(catalogs, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    lines: list[str] = []
    monkeypatch.setattr(Trainer, "run", lambda trainer, job, output: (job, {}))
    cosmoinfer.train_regressor(catalogs["mse"], reporter=Reporter(warn=lines.append))
    assert lines == ["2 tasks were started, and each does all of the work; `ranks` lets them share it"]


def test_one_task_is_a_training_as_any_other(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert join_ranks() == Ranks()


def test_tasks_on_several_nodes_are_refused(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    for name, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_STEP_NUM_NODES": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="expected all tasks on one node, found 2 nodes"):
        join_ranks()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "cnn:batch_norm=true"}, "batch normalisation needs all rows of a batch in one process"),
        ({"batch_size": 1}, "expected at least 2 rows, one for each rank"),
        ({"network": "ridge", "epochs": None}, "has no effect with `network=ridge`, which has no batches"),
    ],
    ids=str,
)
def test_what_needs_a_batch_in_one_piece_is_refused(settings, message, catalogs, monkeypatch):
    monkeypatch.setattr("cosmoinfer.tasks.run_settings.join_ranks", lambda: Ranks(0, 2))
    monkeypatch.setattr(Ranks, "require_equal", lambda *_: None)
    with pytest.raises(UserError, match=message):
        cosmoinfer.train_regressor(catalogs["cnn"], ranks=True, reporter=MUTE, **{"epochs": 1, **settings})


def test_ranks_of_a_node_share_its_memory(catalogs, monkeypatch):
    jobs: list[TrainingJob] = []
    monkeypatch.setattr("cosmoinfer.tasks.run_settings.join_ranks", lambda: Ranks(0, 2))
    monkeypatch.setattr("cosmoinfer.tasks.training.available_bytes", lambda: 10**9)
    monkeypatch.setattr(Trainer, "run", lambda trainer, job, output: (jobs.append(job), {}))
    cosmoinfer.train_regressor(catalogs["cnn"], ranks=True)
    assert jobs[0].catalog.memory_limit == 10**9 // 2


# ------------------------------------------------------------------------------------------------------------ shares
@pytest.mark.parametrize(("rows", "count"), [(100, 1), (100, 3), (7, 7), (5, 2)])
def test_shares_are_all_rows_once_and_about_equal(rows, count):
    shares = [Ranks(number, count).share(rows) for number in range(count)]
    assert np.concatenate([np.arange(rows)[share] for share in shares]).tolist() == list(range(rows))
    assert np.ptp([share.stop - share.start for share in shares]) <= 1


@pytest.mark.parametrize("width", [(), (7,), (3, 5)], ids=str)
def test_rows_of_a_share_get_the_masks_that_they_have_in_the_batch(width):
    x = torch.ones(2, 10, *width)
    expected = Dropout(generators(0, "dropout", 2), 0.4)(x)
    for share in (slice(0, 3), slice(3, 7), slice(7, 10)):
        layer = Dropout(generators(0, "dropout", 2), 0.4)
        layer.take_share(share, 10)
        assert torch.equal(layer(x[:, share]), expected[:, share])
