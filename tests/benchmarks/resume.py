"""Trainings struck at any step, by SIGTERM and by SIGKILL, and gone on with until they are done: the same bytes.

    python -m tests.benchmarks.resume [--work FOLDER] [--strikes 10] [--seed 0] [--kind NAME ...]

Each kind of training runs once undisturbed; then again and again, each time struck at a random look of the training for
a request (before each step, after the last of an epoch, in each chunk of a validation), until it has been struck so
often and ends. SIGKILL comes with `--checkpoint-every 1s`. Further strikes by SIGTERM come before the command line is
imported, in the mixing of stacks, and in each flush and each renaming of a file. Exits with 1 where a status is not 75
(or that of a kill), the output has other bytes, or anything else is left in its folder. Beside it: seconds from the
signal to the end.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.stopping import EXIT_STATUS

STRIKE = """
import atexit, importlib, os, signal, sys, time
place, at, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
started, count = time.monotonic(), 0
def strike():
    global count
    count += 1
    if count == at:
        print(f"struck after {time.monotonic() - started:.2f} s at {time.time():.3f}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), number)
module, _, name = place.partition(":")
owner = importlib.import_module(module)
*path, name = name.split(".")
for part in path:
    owner = getattr(owner, part)
function = getattr(owner, name)
def wrapper(*arguments, **options):
    strike()
    return function(*arguments, **options)
setattr(owner, name, wrapper)
atexit.register(lambda: print(f"looked {count} times", file=sys.stderr))
sys.argv = ["cosmoinfer", *sys.argv[4:]]
from cosmoinfer.__main__ import main
main()
"""
MAX_CALLS = 40  # of one function that are struck
LOOK = "cosmoinfer.training.checkpoints:Checkpoint.keep"
PHASES = {
    "the start": "typing:get_type_hints",
    "mixing of the stacks": "cosmoinfer.models.flow.model:FlowModel.box_masses",
    "a flush to the disk": "os:fsync",
    "the name of the output": "os:replace",
}
QUICK = ("--threads", "1", "--quiet", "--ensemble", "2")
KINDS: dict[str, tuple[str, ...]] = {
    "flow, pilots, dropout, temperature": ("train-flow", "sims.h5", "--epochs", "12"),
    "flow, plateau, noise, patience": (
        *("train-flow", "sims.h5", "--flow", "maf", "--epochs", "60", "--schedule", "plateau", "--patience", "4"),
        *("--noise", "noise.npy", "--learning-rate", "0.01"),
    ),
    "flow behind an autoencoder": (
        "train-flow",
        "sims.h5",
        "--flow",
        "nsf",
        "--compress",
        "autoencoder:4",
        "--epochs",
        "8",
    ),
    "regressor of maps": (
        "train-regressor",
        "maps.h5",
        "--network",
        "cnn:batch_norm=true",
        "--augment",
        "rotations",
        "--epochs",
        "5",
    ),
    "density": ("train-density", "sims.h5", "--flow", "maf", "--epochs", "20"),
    "streamed maps": ("train-regressor", "many.h5", "--network", "cnn:hidden=4", "--memory", "100MB", "--epochs", "2"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "cosmoinfer-resume")
    parser.add_argument("--strikes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    _write_catalogs(arguments.work)
    random, failures = np.random.default_rng(arguments.seed), 0
    for kind in arguments.kind:
        training = Training(kind, arguments.work)
        for number in (signal.SIGTERM, signal.SIGKILL):
            failures += training.strike_at_steps(number, arguments.strikes, random)
        if kind == next(iter(KINDS)):
            failures += sum(training.strike_in(phase, place) for phase, place in PHASES.items())
    sys.exit(1 if failures else 0)


class Training:
    """A kind of training in a folder of its own, and what it gives undisturbed."""

    def __init__(self, kind: str, work: Path) -> None:
        self.kind, self.work = kind, work
        self.folder = work / "".join(letter if letter.isalnum() else "-" for letter in kind)
        self.folder.mkdir(exist_ok=True)
        status, self.looks, seconds, _ = self._run(LOOK, -1, signal.SIGTERM)
        if status:
            sys.exit(f"{kind}: ended with {status}")
        self.expected = self._output().read_bytes()
        print(f"{kind}: {self.looks} looks, {seconds:.0f} s", flush=True)

    def strike_at_steps(self, number: signal.Signals, strikes: int, random: np.random.Generator) -> bool:
        """Whether it failed."""
        self._output().unlink()
        ends, runs = [], 0
        keep = ("--checkpoint-every", "1s") if number == signal.SIGKILL else ()
        while runs < strikes:
            at = int(random.integers(1, max(2, 2 * self.looks // strikes)))
            status, _, _, end = self._run(LOOK, at, number, *keep)
            runs += 1
            ends.append(end)
            if status == 0:
                break
            if status != (EXIT_STATUS if number == signal.SIGTERM else -signal.SIGKILL):
                return self._failed(f"{number.name}: ended with {status}")
        status, looks, _, _ = self._run(LOOK, -1, number, *keep)
        return self._compare(f"{number.name}, struck {runs} times; the last {looks} looks", status, max(ends))

    def strike_in(self, phase: str, place: str) -> bool:
        """Whether it failed, struck at the first, second, ... call of a function until none is left."""
        at, ends = 1, [0.0]
        while True:
            self._output().unlink(missing_ok=True)
            status, _, _, end = self._run(place, at, signal.SIGTERM)
            if status == 0:
                break
            if status != EXIT_STATUS:
                return self._failed(f"{phase}, call {at}: ended with {status}")
            if self._output().exists() and self._output().read_bytes() != self.expected:  # it has its name already
                return self._failed(f"{phase}, call {at}: an output of other bytes")
            at, ends = at + 1, [*ends, end]
            if at > MAX_CALLS:
                status, *_ = self._run(LOOK, -1, signal.SIGTERM)
                break
        return self._compare(f"SIGTERM in {phase}, {at - 1} times", status, max(ends))

    def _compare(self, what: str, status: int, end: float) -> bool:
        left = sorted(path.name for path in self.folder.iterdir() if path != self._output())
        if status or self._output().read_bytes() != self.expected or left:
            return self._failed(f"{what}: status {status}, other bytes, or left behind: {left}")
        print(f"  {what}: the same bytes; at most {end:.1f} s from the signal to the end", flush=True)
        return False

    def _failed(self, why: str) -> bool:
        print(f"  FAILED: {why}", flush=True)
        return True

    def _output(self) -> Path:
        return self.folder / "model.h5"

    def _run(self, place: str, at: int, number: int, *options: str) -> tuple[int, int, float, float]:
        """Exit status, how often the function was called, seconds, and those from the signal to the end."""
        words = [str(self.work / word) if word.endswith((".h5", ".npy")) else word for word in KINDS[self.kind]]
        command = [*words, "-o", str(self._output()), *QUICK, *options]
        start = time.time()
        result = subprocess.run(
            [sys.executable, "-c", STRIKE, place, str(at), str(int(number)), *command],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        end = time.time()
        lines = result.stderr.splitlines()
        looks = next((int(line.split()[1]) for line in lines if line.startswith("looked ")), 0)
        struck = next((float(line.split()[-1]) for line in lines if line.startswith("struck ")), end)
        if result.returncode not in (0, EXIT_STATUS, -signal.SIGKILL) or "Traceback" in result.stderr:
            print(result.stderr, flush=True)
        return result.returncode, looks, end - start, end - struck


def _write_catalogs(work: Path) -> None:
    stream = np.random.default_rng(0)
    theta = stream.uniform([0.1, 0.6], [0.5, 1.0], (300, 2))
    data = (theta - [0.3, 0.8]) @ stream.normal(size=(2, 8)) * 5 + stream.normal(size=(300, 8))
    _write(work / "sims.h5", theta, data)
    _write(work / "maps.h5", theta[:120], stream.normal(size=(120, 16, 16)) * theta[:120, :1, None])
    noise = stream.normal(size=(300, 64, 64)).astype(np.float32)
    _write(work / "many.h5", np.tile(theta, (24, 1)), np.tile(noise * theta[:, :1, None], (24, 1, 1)))  # 118 MB
    np.save(work / "noise.npy", np.full(8, 0.1))


def _write(path: Path, theta: np.ndarray, data: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["parameters"], file["data"] = theta, data.astype(np.float32)
        file["parameters"].attrs.update(names=["a", "b"], low=[0.1, 0.6], high=[0.5, 1.0])


if __name__ == "__main__":
    main()
