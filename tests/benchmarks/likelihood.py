"""Calls of likelihoods: microseconds a call, and points a second in batches, on one core.

    python -m tests.benchmarks.likelihood [--work FOLDER] [--rows 2000] [--points 20000] [--model NAME ...]

A density p(x | theta), a flow of one member over its prior, and the default race, trained on power spectra as quickly
as possible: speed does not depend on the weights. Wanted: below 1 ms a call, above 50,000 points a second. What stands
in the folder is not trained again; another process on the core makes all of it slower.
"""

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import cosmoinfer
from cosmoinfer.likelihoods import Likelihood

TRAININGS = {
    "density": ("train-density",),
    "flow": ("train-flow", "--flow", "nsf", "--support", "soft", "--ensemble", "1"),
    "maf": ("train-flow", "--flow", "maf", "--support", "soft", "--ensemble", "1"),
    "race": ("train-flow",),
}
MAX_CALL_US, MIN_POINTS_PER_SECOND = 1000, 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("likelihood.benchmark"), help="folder that keeps the models")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--points", type=int, default=20_000, help="of a batch")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--model", nargs="+", default=tuple(TRAININGS), choices=tuple(TRAININGS))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sims = arguments.work / "sims.h5"
    if not sims.exists():
        _run("simulate", "power-spectrum", "-n", arguments.rows, "-o", sims, "--quiet")
    for name in arguments.model:
        model = arguments.work / f"{name}.h5"
        if not model.exists():
            command, *options = TRAININGS[name]
            _run(command, sims, "-o", model, "--epochs", 1, "--threads", 1, "--quiet", *options)
        print(f"{name:10} {measure(model, sims, arguments.points, arguments.seconds)}", flush=True)


def measure(model: Path, sims: Path, points: int, seconds: float) -> str:
    """In one line, with those marks that are missed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a row that it was trained on
        likelihood: Likelihood = cosmoinfer.likelihood(model, sims, rows=[0], threads=1)
    generator = np.random.default_rng(0)
    theta = likelihood.prior_transform(generator.random((points, len(likelihood.names))))
    stacks = likelihood.bound.stacks
    call = 1e6 * _seconds_per_call(lambda: likelihood(theta[0]), seconds)
    slope = 1e6 * _seconds_per_call(lambda: likelihood.gradient(theta[0]), seconds)
    rate = points / _seconds_per_call(lambda: likelihood(theta), seconds)
    missed = [mark for mark, miss in (("call", call > MAX_CALL_US), ("rate", rate < MIN_POINTS_PER_SECOND)) if miss]
    networks = ", ".join(f"{stack.members} x {stack.config['flow']}" for stack in stacks)
    marks = f"; missed: {', '.join(missed)}" if missed else ""
    return f"{call:7.0f} us a call, {slope:7.0f} us a gradient, {rate:8.0f} points a second ({networks}){marks}"


def _seconds_per_call(function: Callable[[], object], seconds: float) -> float:
    """The least of several calls: what the machine takes when it does nothing else."""
    function()
    durations, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(durations) < 3:
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return min(durations)


def _run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "cosmoinfer", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
