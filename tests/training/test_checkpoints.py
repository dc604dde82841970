"""A training that was stopped goes on at the last one that it finished, and ends with the same bytes."""

import json
import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import cosmoinfer
from cosmoinfer import storage
from cosmoinfer.flows import FLOWS
from cosmoinfer.networks.layers import expand_members
from cosmoinfer.training.checkpoints import NOTHING_KEPT, SCHEMA, CheckpointFolder
from cosmoinfer.training.settings import TrainingSettings
from cosmoinfer.training.state import TrainingState
from cosmoinfer.training.streams import MemberStreams, generators
from tests.command_line import call, done, linear, refused, write
from tests.examples import flow_of, linear_gaussian, train
from tests.training.test_loop import problem, silent

RACE = ["--epochs", 2, "--ensemble", 2, "--threads", 1, "--flow", "maf", "--hidden", 8, "--support", "soft,truncate"]
N_TRAININGS = 3  # of RACE: a pilot on each support, then members of the finalist
META = {"seed": 0}
MEMBERS, EPOCHS = 3, 3


@pytest.fixture(scope="module")
def sims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checkpoints") / "sims.h5", *linear(240, 1))


@pytest.fixture(scope="module")
def uninterrupted(sims: Path) -> bytes:
    output = sims.parent / "uninterrupted.h5"
    done("train-flow", sims, "-o", output, *RACE)
    return output.read_bytes()


class Trainings:
    """Counts the trainings that run, and interrupts the process in the first epoch of one of them."""

    def __init__(self) -> None:
        self.restart()

    def restart(self, stop_after: int = 100) -> None:
        self.count, self.stop_after = 0, stop_after

    def begin(self) -> None:
        if self.count == self.stop_after:
            raise KeyboardInterrupt
        self.count += 1


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    counter, finish_epoch = Trainings(), TrainingState.finish_epoch

    def count_and_finish(state: TrainingState, *arguments: Any) -> None:
        if state.epoch == 0:
            counter.begin()
        finish_epoch(state, *arguments)

    monkeypatch.setattr(TrainingState, "finish_epoch", count_and_finish)
    return counter


def interrupt(trainings: Trainings, stop_after: int, *command: object) -> None:
    """Run a command that is interrupted after so many trainings."""
    trainings.restart(stop_after)
    assert call(*command)[0] == 130
    trainings.restart()


def checkpoints_of(output: Path) -> list[Path]:
    return sorted(Path(f"{output}.checkpoint").iterdir())


# ----------------------------------------------------------------------------------------------------- one training
def trained(name: str, folder: CheckpointFolder | None = None):
    """Weights, history and outputs for the validation rows of a network, in memory as a training leaves it."""
    network, loss, training, validation = problem(name, generators(0, "initialise", MEMBERS))
    settings, order = TrainingSettings(epochs=EPOCHS, batch_size=20), MemberStreams.of_members(0, "order", MEMBERS)
    keeper = NOTHING_KEPT if folder is None else folder.training({"network": name})
    history = train(network, loss, training, validation, settings, order, silent, keeper=keeper)
    assert not network.training
    with torch.no_grad():
        outputs = loss.terms(network, tuple(expand_members(tensor, MEMBERS) for tensor in validation))
    return {**network.state_dict(), "outputs": outputs}, history


def check_equal(first, second) -> None:
    """Two results of ``trained``, bit by bit."""
    (arrays, history), (expected, expected_history) = first, second
    assert arrays.keys() == expected.keys()
    assert all(torch.equal(array, expected[name]) for name, array in arrays.items())
    for field, curve in vars(history).items():
        assert curve.dtype == getattr(expected_history, field).dtype
        np.testing.assert_array_equal(curve, getattr(expected_history, field))


@pytest.mark.parametrize("name", [*FLOWS, "mlp", "cnn"])
def test_what_is_read_is_what_was_trained_bit_by_bit(name, tmp_path, trainings):
    messages: list[str] = []
    folder = CheckpointFolder.of_output(tmp_path / "model.h5", META, messages.append)
    uninterrupted = trained(name)
    check_equal(trained(name, folder), uninterrupted)
    assert trainings.count == 2 and not messages
    check_equal(trained(name, folder), uninterrupted)
    assert trainings.count == 2 and len(messages) == 1 and "trained before" in messages[0]


def test_a_training_is_found_by_what_determines_it(tmp_path):
    folder = CheckpointFolder.of_output(tmp_path / "model.h5", META, silent)
    assert folder.training({"a": 1, "b": 2}).path == folder.training({"b": 2, "a": 1}).path
    first, second = folder.training({"a": 1}), folder.training({"a": 2})
    assert first.read() is None and not folder.path.exists()
    first.write({"weights/w": np.arange(3.0)})
    assert second.read() is None and np.array_equal(first.read()["weights/w"], np.arange(3.0))
    first.path.rename(second.path)
    assert second.read() is None and not second.path.exists()


def changed(dataset: str, values: object):
    """A file written with other values in a dataset, or another dataset."""

    def change(path: Path) -> None:
        contents = storage.read_contents(path)
        arrays = {**contents.arrays, dataset: np.asarray(values)}
        storage.write(path, replace(contents, arrays=arrays), force=True)

    return change


def overwritten(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file[WEIGHTS][0, 0, 0] += 1e-6


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


WEIGHTS, SHAPE = "best_weights/1.weight", (3, 4, 16)  # of the first layer of the MLP


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncated, "truncated"),
        (changed(WEIGHTS, np.full(SHAPE, np.nan)), "does not fit"),
        (changed(WEIGHTS, np.ones(SHAPE)), "does not fit"),
        (changed(WEIGHTS, np.ones((3, 4, 3))), "does not fit"),
        (changed(WEIGHTS, np.full(SHAPE, "text")), "does not fit"),
        (changed("weights/more", np.ones(3)), "does not fit"),
        (changed("progress/best_epoch", np.full(MEMBERS, EPOCHS)), "does not fit"),
        (changed("history/train", 1.0), "expected axes"),
        (changed("training", "another"), "does not fit"),
        (overwritten, "damaged"),
    ],
)
def test_what_is_damaged_or_of_another_training_is_trained_again(damage, reason, tmp_path):
    """The network, which its weights were read into, begins where it would have without them."""
    messages: list[str] = []
    folder = CheckpointFolder.of_output(tmp_path / "model.h5", META, messages.append)
    uninterrupted = trained("mlp", folder)
    damage(folder.training({"network": "mlp"}).path)
    check_equal(trained("mlp", folder), uninterrupted)
    assert len(messages) == 1 and reason in messages[0] and "its training is repeated" in messages[0]
    check_equal(trained("mlp", folder), uninterrupted)
    assert "read in place of training" in messages[1]


# ------------------------------------------------------------------------------------------------------ the commands
def test_an_interrupted_command_goes_on_and_ends_with_the_same_bytes(sims, uninterrupted, tmp_path, trainings):
    output = tmp_path / "flow.h5"
    command = ["train-flow", sims, "-o", output, *RACE]
    interrupt(trainings, 1, *command)
    (checkpoint,) = checkpoints_of(output)
    assert not output.exists() and storage.file_kind(checkpoint) == "checkpoint"
    described = json.loads(done("inspect", checkpoint, "--json"))
    assert described["meta"]["settings"]["seed"] == 0
    with h5py.File(checkpoint) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    meanings = SCHEMA.datasets
    for name in {*names} - {"meta", "digests"}:
        assert any(re.fullmatch(pattern, name) for pattern in meanings), name
    status, _, messages = call(*command)
    assert status == 0 and trainings.count == N_TRAININGS - 1
    assert messages.count("read in place of training") == 1
    assert output.read_bytes() == uninterrupted
    assert [path.name for path in tmp_path.iterdir()] == ["flow.h5"]


def test_a_command_that_is_interrupted_after_all_trainings_repeats_none(sims, uninterrupted, tmp_path, trainings):
    output = tmp_path / "flow.h5"
    command = ["train-flow", sims, "-o", output, *RACE]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosmoinfer.models.flow.model.FlowModel.save", interrupted)
        interrupt(trainings, 100, *command)
    assert len(checkpoints_of(output)) == N_TRAININGS
    done(*command)
    assert trainings.count == 0 and output.read_bytes() == uninterrupted and not Path(f"{output}.checkpoint").exists()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "command",
    [
        ["train-regressor", "--compress", "autoencoder:2"],
        ["train-flow", "--flow", "maf", "--support", "soft", "--compress", "autoencoder:2"],
        ["train-density", "--flow", "maf"],
    ],
)
def test_every_kind_of_training_goes_on(command, sims, tmp_path, trainings, monkeypatch):
    monkeypatch.setattr("cosmoinfer.preprocessing.compression.TrainingSettings", partial(TrainingSettings, epochs=2))
    name, *settings = command
    settings = [*settings, "--epochs", 2, "--ensemble", 2, "--hidden", 8, "--threads", 1]
    done(name, sims, "-o", tmp_path / "uninterrupted.h5", *settings)
    total, output = trainings.count, tmp_path / "model.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosmoinfer.models.file.write", interrupted)
        interrupt(trainings, 100, name, sims, "-o", output, *settings)
    assert len(checkpoints_of(output)) == total
    done(name, sims, "-o", output, *settings)
    assert trainings.count == 0 and output.read_bytes() == (tmp_path / "uninterrupted.h5").read_bytes()


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
def test_two_observables_of_the_same_shape_have_autoencoders_of_their_own(tmp_path, trainings, monkeypatch):
    theta, x = linear(240, 1)
    monkeypatch.setattr("cosmoinfer.preprocessing.compression.TrainingSettings", partial(TrainingSettings, epochs=2))
    settings = {"compress": "autoencoder:2", "epochs": 1, "ensemble": 1, "hidden": 8, "threads": 1}
    model = cosmoinfer.train_regressor(theta=theta, x={"a": x, "b": x[:, ::-1]}, output=tmp_path / "two.h5", **settings)
    assert trainings.count == 3
    first, second = (observable.compression.encoder.state_dict() for observable in model.preprocessing.inputs)
    assert not torch.equal(first["shift"], second["shift"])


def test_stacks_of_one_architecture_that_start_from_other_weights_are_told_apart(tmp_path, trainings):
    flows = [flow_of("maf", 2, 1, support) for support in ("soft", "truncate")]
    ancestor = replace(flows[0], stacks=tuple(flow.stacks[0] for flow in flows), weights=np.full(2, 0.5))
    ancestor.save(tmp_path / "ancestor.h5")
    settings = {"fine_tune": tmp_path / "ancestor.h5", "support": "soft", "epochs": 1, "threads": 1}
    uninterrupted = cosmoinfer.train_flow(linear_gaussian(2), **settings)
    trainings.restart(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        cosmoinfer.train_flow(linear_gaussian(2), output=tmp_path / "flow.h5", **settings)
    trainings.restart()
    model = cosmoinfer.train_flow(linear_gaussian(2), output=tmp_path / "flow.h5", **settings)
    assert trainings.count == 1
    for stack, expected in zip(model.stacks, uninterrupted.stacks, strict=True):
        for name, weights in stack.network.state_dict().items():
            assert torch.equal(weights, expected.network.state_dict()[name])


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
def test_without_an_output_nothing_is_kept(sims, tmp_path, monkeypatch, trainings):
    monkeypatch.chdir(tmp_path)
    cosmoinfer.train_regressor(sims, epochs=1, ensemble=1, hidden=8, threads=1)
    assert trainings.count == 1 and not [*tmp_path.iterdir()]


def test_trainings_with_other_settings_or_inputs_are_refused_or_replaced(sims, uninterrupted, tmp_path, trainings):
    output, other = tmp_path / "flow.h5", write(tmp_path / "other.h5", *linear(240, 2))
    command = ["train-flow", sims, "-o", output, *RACE]
    interrupt(trainings, 1, *command, "--seed", 1)
    (checkpoint,) = checkpoints_of(output)
    before = checkpoint.read_bytes()
    for changes, difference in (
        ((), "seed 1, now 0"),
        (("--seed", 1, "--hidden", 9), "hidden 8, now 9"),
        (("--seed", 1, "--scale-cut", "0:4"), "different view"),
    ):
        line = refused(*command, *changes)
        assert str(checkpoint) in line and difference in line and "--force" in line
    assert "different catalog" in refused("train-flow", other, "-o", output, *RACE, "--seed", 1)
    assert checkpoint.read_bytes() == before and not trainings.count
    status, _, messages = call(*command, "--force")
    assert status == 0 and messages.count("(seed 1, now 0); its training is repeated") == 1
    assert output.read_bytes() == uninterrupted and trainings.count == N_TRAININGS
    assert not Path(f"{output}.checkpoint").exists()


def test_a_forced_command_goes_on_too(sims, uninterrupted, tmp_path, trainings):
    output = tmp_path / "flow.h5"
    done("train-flow", sims, "-o", output, *RACE, "--seed", 1)
    interrupt(trainings, 1, "train-flow", sims, "-o", output, *RACE, "--force")
    assert "complete already" in call("train-flow", sims, "-o", output, *RACE, "--seed", 1)[2]
    assert len(checkpoints_of(output)) == 1  # of the other seed, which goes on
    done("train-flow", sims, "-o", output, *RACE, "--force")
    assert trainings.count == N_TRAININGS - 1 and output.read_bytes() == uninterrupted


def test_a_damaged_file_and_those_of_others_do_not_stop_a_command(sims, uninterrupted, tmp_path, trainings):
    output, folder = tmp_path / "flow.h5", tmp_path / "flow.h5.checkpoint"
    interrupt(trainings, 1, "train-flow", sims, "-o", output, *RACE)
    (checkpoint,) = checkpoints_of(output)
    truncated(checkpoint)
    (folder / "notes.txt").write_text("of the user")
    leftover = folder / f".{checkpoint.name}.abcdefgh.part"
    leftover.write_text("half a file")
    os.utime(leftover, (1, 1))
    status, _, messages = call("train-flow", sims, "-o", output, *RACE)
    assert status == 0 and messages.count("its training is repeated") == 1 and trainings.count == N_TRAININGS
    assert output.read_bytes() == uninterrupted and [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(sims, tmp_path, trainings):
    """Before anything is trained."""
    (tmp_path / "flow.h5.checkpoint").write_text("a file")
    assert "flow.h5.checkpoint: the folder cannot be made" in refused(
        "train-flow", sims, "-o", tmp_path / "flow.h5", *RACE
    )
    assert trainings.count == 0


@pytest.mark.parametrize(
    ("command", "output", "n_models", "model"),
    [
        (["run", "--draws", 50], "results", 1, "flow.h5"),
        (["learning-curve", "--sizes", "60,100,160"], "curve", 3, "100.flow.h5"),
    ],
)
def test_commands_that_train_on_their_way_go_on(command, output, n_models, model, sims, tmp_path, trainings):
    name, *settings = command
    command = [name, sims, "-o", tmp_path / (output if name == "run" else f"{output}.h5"), *settings, *RACE]
    before = (n_models - 1) // 2 * N_TRAININGS + 1
    interrupt(trainings, before, *command)
    assert len(checkpoints_of(tmp_path / output / model)) == 1
    done(*command)
    assert trainings.count == n_models * N_TRAININGS - before and not [*tmp_path.rglob("*.checkpoint")]
