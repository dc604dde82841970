"""Many trainings, samplings and evaluations in one process: memory, open files and threads stay flat.

    python -m tests.benchmarks.soak [--work FOLDER] [--count 200] [--seed 0]

Each turn takes an odd catalog by chance (few rows, one parameter or many, a column that never varies, several rows a
simulation, values that are missing, classes, maps, names that no one would choose), writes it or leaves it in memory,
trains a flow, a regressor, a classifier or a density, samples and evaluates. Every tenth turn is done again, later, in
another state of the process: it must give the same bytes. Refusals in one line are counted, anything else that is
raised is a failure. Writes soak.png. Exits with 1 where the numbers of a turn are not those of its repetition, or the
last quarter holds more memory (40 MB), open files or threads than the second one.
"""

import argparse
import gc
import hashlib
import json
import os
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import cosmoinfer

TOLERANCE = {"resident MB": 40.0, "open files": 0.0, "threads": 0.0}
REPEAT_EVERY = 10  # turns, of which one is done again
NAMES = ("Omega_m", "Ωm", "a b", "x,1", "{}", "A[1]=2", "\x1b[31m", "n" * 200)
TINY: dict[str, Any] = {"epochs": 2, "ensemble": 1, "threads": 1}


@dataclass(frozen=True)
class Turn:
    """What a turn came to: digest of its numbers, or why it was refused; and what the process then held."""

    number: int
    task: str
    outcome: str
    refused: bool
    held: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "cosmoinfer-soak")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", cosmoinfer.CosmoinferWarning)
    turns = []
    for number in schedule(arguments.count):
        turns.append(take_turn(arguments.work, arguments.seed, number))
        print(json.dumps(vars(turns[-1])), flush=True)
    draw(turns).savefig(arguments.work / "soak.png", dpi=150)
    print(dict(Counter((turn.task, "refused" if turn.refused else "done") for turn in turns)))
    failures = [*unequal_repetitions(turns), *growth(turns)]
    print("\n".join(failures) or f"{len(turns)} turns: flat, and repetitions are equal")
    sys.exit(bool(failures))


def schedule(count: int) -> list[int]:
    """Numbers of the turns in order; every tenth comes a second time at the end."""
    numbers = list(range(count - count // (REPEAT_EVERY + 1)))
    return [*numbers, *numbers[::REPEAT_EVERY][: count - len(numbers)]]


def take_turn(work: Path, seed: int, number: int) -> Turn:
    """Train, sample and evaluate what the seed and the number give by chance."""
    generator = np.random.default_rng([seed, number])
    task = str(generator.choice(list(TASKS)))
    with tempfile.TemporaryDirectory(dir=work) as folder:
        output = Path(folder, "output.h5")
        try:
            outcome, refused = digest(TASKS[task](odd_arrays(generator, task), output, generator)), False
        except cosmoinfer.UserError as error:
            outcome, refused = str(error).replace(folder, ""), True
    return Turn(number, task, outcome, refused, held())


def odd_arrays(generator: np.random.Generator, task: str) -> dict[str, Any]:
    """Arguments of a training: 30 to 150 rows of data that depend on theta, with something odd here and there."""
    rows, n_parameters = int(generator.integers(30, 150)), int(generator.integers(1, 9))
    theta = generator.uniform(size=(rows, n_parameters))
    shape = ((6,), (1,), (40,), (8, 8), (1, 32))[generator.integers(5)]
    x = theta.mean(axis=1).reshape(rows, *[1] * len(shape)) + 0.1 * generator.normal(size=(rows, *shape))
    odd = generator.uniform(size=5) < 0.25
    x = x * 10.0 ** generator.integers(-12, 12) if odd[0] else x
    x[..., :1] = 1.0 if odd[1] else x[..., :1]
    x[generator.uniform(size=x.shape) < 0.1] = np.nan if odd[2] else 0.0
    arrays: dict[str, Any] = {"theta": theta, "x": x.astype(np.float32) if odd[3] else x}
    arrays["simulation"] = np.arange(rows) // 3 if odd[4] else np.arange(rows)
    arrays |= {"missing": "mask"} if odd[2] else {}
    arrays |= {"kind": "profile"} if shape == (1, 32) else {"kind": "map"} if shape == (8, 8) else {}
    if task == "classifier":
        return arrays | {"theta": (theta[:, 0] > 0.5).astype(int), "classes": ["A", "\x1b[2J"]}
    names = list(generator.choice(NAMES, size=n_parameters, replace=False))
    return arrays | {"names": names, "low": np.zeros(n_parameters), "high": np.ones(n_parameters)}


def flow(arrays: dict[str, Any], output: Path, generator: np.random.Generator) -> list[np.ndarray]:
    """A flow, in a file on every other turn, draws and their evaluation."""
    writes = generator.uniform() < 0.5
    kind = str(generator.choice(["maf", "nsf", "nsf-ar", "realnvp", "iaf"]))
    settings = TINY | {"flow": kind, "hidden": 8, "layers": 2, "output": output if writes else None}
    model = cosmoinfer.train_flow(**arrays, **settings)
    return posterior_numbers(cosmoinfer.load(output) if writes else model, arrays)


def regressor(arrays: dict[str, Any], output: Path, generator: np.random.Generator) -> list[np.ndarray]:
    """A regressor with a width, draws and their evaluation."""
    loss = str(generator.choice(["moment", "gaussian-nll"]))
    return posterior_numbers(cosmoinfer.train_regressor(**arrays, **TINY, loss=loss), arrays)


def classifier(arrays: dict[str, Any], output: Path, generator: np.random.Generator) -> list[np.ndarray]:
    """A classifier and the probabilities that it gives."""
    model = cosmoinfer.train_regressor(**arrays, **TINY)
    classes = cosmoinfer.sample(model, catalog_of(arrays), split="test").classes
    assert classes is not None
    return [classes.probabilities]


def density(arrays: dict[str, Any], output: Path, generator: np.random.Generator) -> list[np.ndarray]:
    """A density of the data, and what it generates."""
    given = {
        name: arrays[name] for name in ("theta", "x", "names", "low", "high", "simulation", "kind") if name in arrays
    }
    model = cosmoinfer.train_density(**given, **TINY, hidden=8, layers=2)
    return [model.generate(np.asarray(arrays["theta"])[:2], 2, 0)]


TASKS: dict[str, Callable[[dict[str, Any], Path, np.random.Generator], list[np.ndarray]]] = {
    "flow": flow,
    "regressor": regressor,
    "classifier": classifier,
    "density": density,
}


def catalog_of(arrays: dict[str, Any]) -> cosmoinfer.Catalog:
    return cosmoinfer.catalog_from_arrays(**arrays)


def posterior_numbers(model: Any, arrays: dict[str, Any]) -> list[np.ndarray]:
    """Draws of the test rows, and the numbers of their evaluation."""
    posterior = cosmoinfer.sample(model, catalog_of(arrays), draws=20)
    evaluation = json.dumps(cosmoinfer.evaluate(posterior).to_json(), sort_keys=True)
    return [np.asarray(posterior.samples), np.frombuffer(evaluation.encode(), np.uint8)]


def digest(arrays: Sequence[np.ndarray]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:16]


def held() -> dict[str, float]:
    """What the process holds: resident memory, open files and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    files = len(os.listdir("/proc/self/fd"))
    threads = max(threading.active_count(), len(os.listdir("/proc/self/task")))
    return {"resident MB": round(megabytes, 1), "open files": files, "threads": threads}


def unequal_repetitions(turns: Sequence[Turn]) -> list[str]:
    """A line for each turn that came to something else the second time."""
    first: dict[int, Turn] = {}
    lines = []
    for turn in turns:
        if first.setdefault(turn.number, turn).outcome != turn.outcome:
            lines.append(f"turn {turn.number} ({turn.task}): {first[turn.number].outcome}, later {turn.outcome}")
    return lines


def growth(turns: Sequence[Turn]) -> list[str]:
    """A line for each thing of which the last quarter of turns holds more than the second quarter did."""
    quarter = len(turns) // 4
    lines = []
    for name, tolerance in TOLERANCE.items():
        values = np.array([turn.held[name] for turn in turns])
        before, after = np.median(values[quarter : 2 * quarter]), np.median(values[-quarter:])
        if after > before + tolerance:
            lines.append(f"{name}: {before:g} in the second quarter of turns, {after:g} in the last")
    return lines


def draw(turns: Sequence[Turn]) -> Figure:
    """Memory, files and threads over the turns."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    for axes, name in zip(figure.subplots(len(TOLERANCE), sharex=True), TOLERANCE, strict=True):
        axes.plot([turn.held[name] for turn in turns], linewidth=1)
        axes.set(ylabel=name, ylim=(0, None))
    axes.set_xlabel("turn")
    return figure


if __name__ == "__main__":
    main()
