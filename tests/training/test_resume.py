"""A training that is stopped at any step, and goes on, ends with the same bytes as one that was not."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.networks.layers import Dropout
from cosmoinfer.stopping import STOP_REQUEST, Stopped, StopRequest, parse_duration
from cosmoinfer.storage.atomic import atomic_write
from cosmoinfer.training import checkpoints
from cosmoinfer.training.checkpoints import Arrays, Checkpoint, CheckpointFolder
from cosmoinfer.training.loop import Hooks
from cosmoinfer.training.settings import TrainingSettings
from cosmoinfer.training.streams import MemberStreams, generators
from tests.command_line import call, done, linear, refused, write
from tests.examples import train
from tests.map_files import write_maps
from tests.training.test_loop import problem, silent

MEMBERS = 3


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals are heard as on the command line, and afterwards as before; no request is left."""
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    STOP_REQUEST.listen()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    STOP_REQUEST.reason = ""


class Strikes:
    """Sends this process a signal when a training looks for a request for the n-th time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at, self.number = 0, -1, signal.SIGTERM
        keep = Checkpoint.keep

        def strike(checkpoint: Checkpoint, arrays: Any, only_at_stop: bool = False) -> None:
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), self.number)
            keep(checkpoint, arrays, only_at_stop)

        monkeypatch.setattr(Checkpoint, "keep", strike)

    def begin(self, at: int = -1) -> None:
        self.count, self.at, STOP_REQUEST.reason = 0, at, ""


@pytest.fixture
def strikes(monkeypatch: pytest.MonkeyPatch) -> Strikes:
    return Strikes(monkeypatch)


# ----------------------------------------------------------------------------------------------------- one training
def shaken_hooks(network: torch.nn.Module, rows: tuple[torch.Tensor, ...]) -> Hooks:
    """Rows that are drawn anew each epoch, noise in each batch, and masks of dropout."""
    shakes = MemberStreams.of_members(0, "shake", MEMBERS)

    def augment(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        noise = torch.stack([torch.randn(batch[1][0].shape, generator=stream) for stream in shakes.generators])
        return batch[0], batch[1] + 0.1 * noise

    def fresh_rows(epoch: int) -> tuple[torch.Tensor, ...]:
        return rows[0], rows[1] + 0.1 * epoch

    masks = [layer for layer in network.modules() if isinstance(layer, Dropout)]
    streams = [shakes, *(MemberStreams(0, "dropout", range(MEMBERS), layer.generators) for layer in masks[:1])]
    return Hooks(fresh_rows=fresh_rows, augment=augment, streams=streams)


def trained(name: str, settings: TrainingSettings, folder: CheckpointFolder) -> tuple[dict[str, Any], list[int]]:
    """Weights and curves; and the epochs that were heard."""
    network, loss, training, validation = problem(name, generators(0, "initialise", MEMBERS))
    heard: list[int] = []
    history = train(
        network,
        loss,
        training,
        validation,
        settings,
        MemberStreams.of_members(0, "order", MEMBERS),
        lambda epoch, *_: heard.append(epoch),
        hooks=shaken_hooks(network, training),
        keeper=folder.training({"network": name}),
    )
    return {**network.state_dict(), **vars(history)}, heard


@pytest.mark.parametrize("name", [*FLOWS, "mlp", "cnn"])
@pytest.mark.parametrize(
    "settings",
    [
        TrainingSettings(epochs=4, batch_size=20),
        TrainingSettings(epochs=5, batch_size=20, optimizer="sgd", schedule="plateau", learning_rate=0.05, patience=2),
    ],
    ids=["cosine", "plateau"],
)
def test_a_training_that_is_stopped_anywhere_ends_with_the_same_bits(name, settings, tmp_path, strikes, monkeypatch):
    """Before a step, after the last one of an epoch, in a validation; as often as it takes."""
    monkeypatch.setattr("cosmoinfer.training.state.PLATEAU_EPOCHS", 1)
    expected, epochs = trained(name, settings, CheckpointFolder(tmp_path / "uninterrupted", {}, silent))
    looks, n_stops = strikes.count, 0
    assert looks > 4 * len(epochs)
    folder = CheckpointFolder(tmp_path / "stopped", {}, silent)
    for at in (1, 3, 4, looks // 3, looks // 3, 2):
        strikes.begin(at)
        try:
            result, last = trained(name, settings, folder)
        except Stopped as stopped:
            n_stops += 1
            assert "the same command goes on from" in stopped.message
        else:
            break
    strikes.begin()
    result, last = trained(name, settings, folder)
    assert n_stops == 6 and last[-1:] == epochs[-1:] and len(last) < len(epochs)
    assert result.keys() == expected.keys()
    for key, value in expected.items():
        assert np.array_equal(np.asarray(result[key]), np.asarray(value)), key
    checkpoint = folder.training({"network": name}).path
    before = checkpoint.stat().st_mtime_ns
    assert not trained(name, settings, folder)[1]  # finished, it is read, and not written again
    assert checkpoint.stat().st_mtime_ns == before


def test_a_training_is_kept_at_intervals_and_not_more_often(tmp_path, monkeypatch):
    """Written 90 s after the last time, by a clock that goes on 40 s at each look."""
    clock, written = iter(range(0, 10**6, 40)), []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: float(next(clock)))
    write_arrays = Checkpoint.write

    def write_and_count(checkpoint: Checkpoint, arrays: Arrays) -> None:
        written.append((int(arrays["progress/epoch"]), int(arrays["progress/step"])))
        write_arrays(checkpoint, arrays)

    monkeypatch.setattr(Checkpoint, "write", write_and_count)
    folder = CheckpointFolder(tmp_path / "kept", {}, silent, interval=90)
    trained("mlp", TrainingSettings(epochs=2, batch_size=20), folder)
    looks = 2 * 4
    assert 2 <= len(written) - 1 <= looks // 2 and written == sorted(set(written))


def test_a_kept_training_survives_a_kill(tmp_path, monkeypatch):
    """What was kept at an interval goes on, whatever came after it."""
    settings = TrainingSettings(epochs=3, batch_size=20)
    expected, _ = trained("mlp", settings, CheckpointFolder(tmp_path / "uninterrupted", {}, silent))
    folder, looks, keep = CheckpointFolder(tmp_path / "killed", {}, silent, interval=0), [0], Checkpoint.keep

    def keep_and_die(checkpoint: Checkpoint, arrays: Any, only_at_stop: bool = False) -> None:
        looks[0] += 1
        keep(checkpoint, arrays, only_at_stop)
        if looks[0] == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "keep", keep_and_die)
        with pytest.raises(KeyboardInterrupt):
            trained("mlp", settings, folder)
    result, heard = trained("mlp", settings, folder)
    assert heard[0] > 1
    for key, value in expected.items():
        assert np.array_equal(np.asarray(result[key]), np.asarray(value)), key


def test_a_training_of_another_command_does_not_go_on(tmp_path):
    """Of another catalog, of the same size: neither under its own name nor where its file was put in place."""
    messages: list[str] = []
    mine = CheckpointFolder(tmp_path / "one", {"inputs": {"catalog": "a"}}, messages.append)
    other = CheckpointFolder(tmp_path / "one", {"inputs": {"catalog": "b"}}, messages.append)
    settings = TrainingSettings(epochs=2, batch_size=20)
    trained("mlp", settings, other)
    place, foreign = (folder.training({"network": "mlp"}) for folder in (mine, other))
    assert place.path != foreign.path and place.read() is None and foreign.read() is not None
    foreign.path.rename(place.path)
    assert place.read() is None and not place.path.exists() and "does not fit this training" in messages[-1]


def test_a_step_beyond_its_epoch_does_not_go_on(tmp_path):
    messages: list[str] = []
    settings, folder = TrainingSettings(epochs=2, batch_size=20), CheckpointFolder(tmp_path / "c", {}, messages.append)
    trained("mlp", settings, folder)
    training = folder.training({"network": "mlp"})
    training.write({**training.read(), "progress/step": np.array(5)})
    assert trained("mlp", settings, folder)[1] == [1, 2] and "does not fit this training" in messages[-1]


def test_scratch_files_of_other_processes_are_left_to_them(tmp_path):
    """A twin that ends removes the folder, but not what another one writes into it; that one goes on."""
    folder = CheckpointFolder(tmp_path / "c", {}, silent)
    training = folder.training({"a": 1})
    training.write({"weights/w": np.arange(3.0)})
    with storage.atomic_write(training.path) as scratch:
        scratch.write_bytes(b"written")
        os.utime(scratch, (1, 1))
        folder.remove()
        assert scratch.exists()
    training.path.unlink()
    training.path.parent.rmdir()
    training.write({"weights/w": np.arange(3.0)})
    assert training.read() is not None


def test_a_disk_that_takes_no_checkpoint_ends_no_training(tmp_path, monkeypatch, strikes):
    """It is told, and tried again; a request to stop ends it as ever."""
    settings, messages = TrainingSettings(epochs=2, batch_size=20), []
    expected, _ = trained("mlp", settings, CheckpointFolder(tmp_path / "uninterrupted", {}, silent))
    folder = CheckpointFolder(tmp_path / "full", {}, messages.append, interval=0)

    def fail(path: Path, *_: Any, **__: Any) -> None:
        raise UserError(f"{path}: could not be written (No space left on device)")

    monkeypatch.setattr(checkpoints.storage, "write", fail)
    result, _ = trained("mlp", settings, folder)
    assert all(np.array_equal(np.asarray(result[key]), np.asarray(value)) for key, value in expected.items())
    assert "not kept" in messages[0] and "No space left on device" in messages[0]
    strikes.begin(3)
    with pytest.raises(Stopped, match="run the same command again"):
        trained("mlp", settings, folder)


# ------------------------------------------------------------------------------------------------------ the commands
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    write(folder / "sims.h5", *linear(120, 1))
    write_maps(folder / "maps.h5", 60, 1)
    np.save(folder / "noise.npy", np.full(8, 0.1))
    return folder


QUICK = ("--epochs", 3, "--ensemble", 2, "--threads", 1, "--quiet")
MAPS = ("--bounds", "a=0:1,b=0:1")
COMMANDS: dict[str, Sequence[object]] = {
    "race, dropout, two supports": ("train-flow", "sims.h5", "--flow", "maf,nsf", "--support", "soft,truncate"),
    "noise, plateau": ("train-flow", "sims.h5", "--flow", "maf", "--noise", "noise.npy", "--schedule", "plateau"),
    "autoencoder": ("train-flow", "sims.h5", "--flow", "maf", "--compress", "autoencoder:4"),
    "maps, augmented": ("train-regressor", "maps.h5", "--network", "cnn:hidden=4", "--augment", "rotations"),
    "density": ("train-density", "sims.h5", "--flow", "maf"),
    "learning curve": ("learning-curve", "sims.h5", "--flow", "maf", "--sizes", "20,40,60"),
}


def numbers_of(command: Sequence[object], folder: Path, output: Path) -> dict[Path, bytes]:
    arguments = [folder / str(word) if str(word).endswith((".h5", ".npy")) else word for word in command]
    status, _, err = call(*arguments, "-o", output, *QUICK)
    assert status in (0, 75), err
    assert (status == 75) == ("the same command goes on" in err)
    if status == 75:
        assert not output.exists() and [*output.parent.rglob("*.checkpoint")]
        return {}
    assert not [*output.parent.rglob("*.checkpoint")] and not [*output.parent.rglob("*.part")]
    return {path.relative_to(output.parent): path.read_bytes() for path in output.parent.rglob("*.h5")}


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_stopped_at_any_step_ends_with_the_same_bytes(name, folder, tmp_path, strikes):
    (tmp_path / "uninterrupted").mkdir()
    (tmp_path / "stopped").mkdir()
    expected = numbers_of(COMMANDS[name], folder, tmp_path / "uninterrupted" / "out.h5")
    looks, n_stops = strikes.count, 0
    assert looks > 5
    for at in np.random.default_rng(0).integers(1, max(2, looks // 2), 3):
        strikes.begin(int(at))
        n_stops += not numbers_of(COMMANDS[name], folder, tmp_path / "stopped" / "out.h5")
    strikes.begin()
    assert n_stops >= 2
    assert numbers_of(COMMANDS[name], folder, tmp_path / "stopped" / "out.h5") == expected


# ----------------------------------------------------------------------------------------------------------- requests
def test_a_request_is_carried_out_at_once_unless_it_is_postponed():
    request = StopRequest()
    with pytest.raises(Stopped, match=r"stopped \(SIGUSR1\); run the same command again$"):
        request._handle(signal.SIGUSR1, None)
    request._handle(signal.SIGTERM, None)  # a second one does no harm
    assert request.reason == "SIGUSR1"
    request = StopRequest()
    with pytest.raises(Stopped, match="SIGTERM"), request.postponed():
        request._handle(signal.SIGTERM, None)
        assert request and "from here" in request.stopped("here").message


def test_an_interrupt_does_not_end_what_a_request_has_begun():
    with pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_request_that_was_lost_is_repeated_later(monkeypatch):
    request, clock = StopRequest(), iter((0.0, 4.0, 9.5, 20.0))
    monkeypatch.setattr("cosmoinfer.stopping.time.monotonic", lambda: next(clock))
    with pytest.raises(Stopped):
        request._handle(signal.SIGTERM, None)
    request._handle(signal.SIGTERM, None)
    for _ in range(2):
        with pytest.raises(Stopped, match="SIGTERM"):
            request._handle(signal.SIGUSR1, None)


def test_only_the_first_interrupt_interrupts():
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
@pytest.mark.parametrize("place", ["fcntl.flock", "os.close"])
def test_a_signal_while_a_scratch_file_is_made_or_removed_leaves_none(number, place, tmp_path, monkeypatch):
    module, name = place.split(".")
    called = getattr(sys.modules[module], name)

    def strike(*arguments: Any) -> None:
        monkeypatch.undo()
        called(*arguments)
        os.kill(os.getpid(), number)

    path, raised = tmp_path / "file.h5", KeyboardInterrupt if number == signal.SIGINT else Stopped
    begun = atomic_write(path, replace=False) if place == "os.close" else nullcontext()
    with pytest.raises(raised), begun as scratch:
        monkeypatch.setattr(place, strike)
        if scratch is None:
            storage.write(path, storage.FileContents("posterior", {}))
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10min", 600), ("23h50m", 85_800), ("1d12h", 129_600), (" 2H ", 7200)]
)
def test_a_time_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "10", "-1h", "nan", "1e3s", "5m5m", "50m1h", "9999999d", "1h" * 5000])
@pytest.mark.parametrize("setting", ["--max-time", "--checkpoint-every"])
def test_any_other_text_is_no_time(text, setting, folder, tmp_path):
    line = refused("train-flow", folder / "sims.h5", "-o", tmp_path / "f.h5", *QUICK, f"{setting}={text}")
    assert line.startswith(f"cosmoinfer: {setting}") and "expected" in line


def test_a_training_that_has_no_more_time_is_kept(folder, tmp_path, monkeypatch, strikes):
    """The alarm is set for the time that is given; it is rung at a look of the training."""
    timers: list[float] = []
    monkeypatch.setattr(signal, "setitimer", lambda which, seconds: timers.append(seconds))
    strikes.begin(5)
    strikes.number = signal.SIGALRM
    arguments = ("train-flow", folder / "sims.h5", "--flow", "maf", "--epochs", 9, "-o", tmp_path / "f.h5")
    status, _, err = call(*arguments, "--threads", 1, "--quiet", "--max-time", "23h50m")
    assert timers == [85_800] and status == 75
    assert "stopped (its time is over); the same command goes on from" in err
    assert done("inspect", next((tmp_path / "f.h5.checkpoint").glob("*.h5")))


# ----------------------------------------------------------------------------------------------- the same command again
TRAIN = ("train-flow", "--flow", "maf", "--epochs", 3, "--ensemble", 2, "--quiet")


def train_with(folder: Path, output: Path, *options: object) -> tuple[int, str, str]:
    return call("train-flow", folder / "sims.h5", "-o", output, *TRAIN[1:], *options)


@pytest.fixture
def other_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with more cores than the one before."""
    monkeypatch.setattr("cosmoinfer.device.default_threads", lambda: 2)


def test_a_finished_training_is_complete_on_another_node(folder, tmp_path, other_node):
    output = tmp_path / "f.h5"
    done("train-flow", folder / "sims.h5", "-o", output, *TRAIN[1:], "--threads", 1)
    before = output.read_bytes()
    status, _, err = call("train-flow", folder / "sims.h5", "-o", output, *TRAIN[1:-1])
    assert status == 0 and "complete already" in err and output.read_bytes() == before
    status, _, err = train_with(folder, output, "--threads", 2)
    assert status == 1 and "made with other settings or inputs (threads 1, now 2); --force replaces it" in err
    assert train_with(folder, output, "--threads", 2, "--force")[0] == 0
    done("sample", output, folder / "sims.h5", "--draws", 5, "--threads", 1)
    assert "complete already" in call("sample", output, folder / "sims.h5", "--draws", 5)[2]


def test_a_training_goes_on_on_another_node(folder, tmp_path, other_node, strikes):
    output = tmp_path / "f.h5"
    strikes.begin()
    assert train_with(folder, tmp_path / "uninterrupted.h5", "--threads", 1)[0] == 0
    for options in ((), ("--force",)):
        strikes.begin(3)
        output.unlink(missing_ok=True)
        assert train_with(folder, output, "--threads", 1, "--force")[0] == 75
        strikes.begin()
        status, _, err = train_with(folder, output, "--threads", 2)
        assert status == 1 and "made with other settings or inputs (threads 1, now 2)" in err
        assert train_with(folder, output, *options)[0] == 0
        assert output.read_bytes() == (tmp_path / "uninterrupted.h5").read_bytes()


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Paths of two outputs: the second, where it is made first, becomes the first while that one is being trained."""
    output, first = tmp_path / "f.h5", tmp_path / "first.h5"
    write_arrays = Checkpoint.write

    def write_and_appear(checkpoint: Checkpoint, arrays: Arrays) -> None:
        write_arrays(checkpoint, arrays)
        if first.exists() and not output.exists():
            os.link(first, output)

    monkeypatch.setattr(Checkpoint, "write", write_and_appear)
    return output, first


def test_a_twin_that_ended_first_is_not_overwritten(folder, tmp_path, outputs):
    """The output appears while the second training is at work: the same file stays, and nothing else is said."""
    output, first = outputs
    assert train_with(folder, first, "--threads", 1)[0] == 0
    status, _, err = call("train-flow", folder / "sims.h5", "-o", output, *TRAIN[1:-1], "--threads", 1)
    assert status == 0 and f"{output}: complete already, from the same settings and inputs" in err
    assert output.samefile(first) and not [*tmp_path.rglob("*.checkpoint")]


def test_another_output_that_appears_meanwhile_is_not_overwritten(folder, outputs):
    output, first = outputs
    assert train_with(folder, first, "--threads", 1, "--seed", 7)[0] == 0
    status, _, err = train_with(folder, output, "--threads", 1)
    assert status == 1 and "seed 7, now 0" in err and output.samefile(first)


@pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")
@pytest.mark.parametrize("command", ["train-flow", "train-regressor", "train-density"])
def test_the_document_of_a_training_is_the_same_when_it_is_complete(command, folder, tmp_path):
    """With the score of the validation rows, the mean log_prob of a flow."""
    arguments = (command, folder / "sims.h5", "-o", tmp_path / "m.h5", "--epochs", 2, "--threads", 1, "--json")
    options = ("--flow", "maf,nsf", "--ensemble", 2) if command == "train-flow" else ()
    first = done(*arguments, *options)
    assert np.isfinite(json.loads(first)["validation"]) and done(*arguments, *options) == first


def test_an_early_stop_is_told(folder, tmp_path):
    settings = ("--flow", "maf", "--support", "soft", "--epochs", 400, "--patience", 2, "--learning-rate", 0.05)
    _, _, err = call("train-flow", folder / "sims.h5", "-o", tmp_path / "f.h5", "--threads", 1, *settings)
    assert re.search(r"stopped after \d+ of 400 epochs .no lower validation loss, patience 2", err)
