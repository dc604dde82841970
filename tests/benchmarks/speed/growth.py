"""How the cost of a command grows with rows, parameters, draws and observations: seconds, peak memory and slopes.

Each size in a process of its own, which runs the smallest size before, so that imports are not counted. The slope is
that of log seconds over log size, through the larger half of the sizes.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.speed.clock import measured
from tests.benchmarks.speed.memory import peak
from tests.benchmarks.speed.report import Report, Task

MARK = 1.1  # of the slope
ROWS = 4000  # where the parameters grow
ONE_EPOCH = [
    "--epochs",
    "1",
    "--ensemble",
    "1",
    "--support",
    "probit",
    "--batch-size",
    "256",
    "--hidden",
    "64",
    "--dropout",
    "0",
]
QUIETLY = ["--quiet", "--force", "--threads", "1"]
COLUMNS = ["", "sizes", "CPU s", "peak memory, MB", "slope", "mark"]


@dataclass(frozen=True)
class Stage:
    """prepare: folder and size -> the command, once what it reads has been made; it writes ``out.h5``."""

    what: str
    prepare: Callable[[Path, int], list[Any]]
    sizes: Sequence[int]
    quick: Sequence[int]


def measure(task: Task) -> Report:
    report = Report()
    table = report.table("How the cost grows, in one thread", COLUMNS)
    for name, stage in STAGES.items():
        sizes = stage.quick if task.quick else stage.sizes
        measurements = [_measured(stage, task.work, sizes[0], size) for size in sizes]
        slope = _slope(sizes, [measurement["cpu"] for measurement in measurements])
        cells = [", ".join(f"{size:,}" for size in sizes)]
        cells += [", ".join(f"{measurement[key]:.3g}" for measurement in measurements) for key in ("cpu", "peak")]
        mark = report.mark(f"{name}, slope {slope:.2f}", slope <= MARK, f"at most {MARK}")
        table.rows.append([stage.what, *cells, f"{slope:.2f}", mark])
        report.figures[name] = {"sizes": list(sizes), "measured": measurements, "slope": slope}
    return report


def _measured(stage: Stage, work: Path, smallest: int, size: int) -> dict[str, float]:
    """cpu and wall seconds; peak memory of the process in MB, and what it was before."""
    commands = [
        [*map(str, stage.prepare(work, rows)), *QUIETLY, "-o", str(work / "out.h5")] for rows in (smallest, size)
    ]
    process = subprocess.run([sys.executable, "-m", __name__, json.dumps(commands)], capture_output=True, text=True)
    if process.returncode:
        sys.exit(f"{stage.what}, {size}: {process.stderr}")
    (work / "out.h5").unlink()
    return json.loads(process.stdout)


def _slope(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    larger = slice(-max(2, (len(sizes) + 1) // 2), None)
    return float(np.polyfit(np.log(sizes[larger]), np.log(seconds[larger]), 1)[0])


# ------------------------------------------------------------------------------------------------------- the stages
def _simulated(work: Path, rows: int, parameters: int) -> Path:
    path = work / f"box.{rows}.{parameters}.h5"
    made = ("-n", rows, "--set", f"dimensions={parameters}", "--seed", rows, "-o", path)
    return _unless_there(path, "simulate", "linear-gaussian-box", *made)


def _model(work: Path) -> Path:
    """Of six parameters."""
    path = work / "box.flow.h5"
    return _unless_there(path, "train-flow", _simulated(work, 2000, 6), "--flow", "nsf", *ONE_EPOCH, "-o", path)


def _unless_there(path: Path, *command: Any) -> Path:
    if not path.exists():
        threads = [] if command[0] == "simulate" else ["--threads", "1"]
        words = [sys.executable, "-m", "cosmoinfer", *map(str, command), "--quiet", *threads]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return path


def _train(work: Path, rows: int, parameters: int) -> list[Any]:
    return ["train-flow", _simulated(work, rows, parameters), "--flow", "maf", *ONE_EPOCH]


def _sample(work: Path, rows: int, draws: int) -> list[Any]:
    """Of rows that the model has not seen."""
    return ["sample", _model(work), _simulated(work, rows, 6), "--split", "all", "--draws", draws]


def _evaluate(work: Path, rows: int) -> list[Any]:
    path = work / f"posterior.{rows}.h5"
    return ["evaluate", _unless_there(path, *_sample(work, rows, 1000), "-o", path)]


STAGES = {
    "rows": Stage(
        "train-flow, one MAF, one epoch: rows of 4 parameters",
        lambda work, size: _train(work, size, 4),
        (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
        (500, 1000),
    ),
    "parameters": Stage(
        f"the same on {ROWS:,} rows: parameters",
        lambda work, size: _train(work, ROWS, size),
        (2, 4, 8, 15, 30),
        (2, 4),
    ),
    "draws": Stage(
        "sample, 6 parameters: draws of one observation",
        lambda work, size: _sample(work, 1, size),
        (1000, 10_000, 100_000, 1_000_000, 10_000_000),
        (1000, 10_000),
    ),
    "observations": Stage(
        "sample, 10 draws each: observations",
        lambda work, size: _sample(work, size, 10),
        (1, 10, 100, 1000, 10_000, 100_000),
        (1, 10),
    ),
    "evaluate": Stage("evaluate, 1,000 draws each: rows", _evaluate, (10, 100, 1000, 10_000), (10, 20)),
}


# -------------------------------------------------------------------------------------------------- its own process
def main() -> None:
    from cosmoinfer.cli import app

    *before, last = json.loads(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        for words in before:
            app(words, standalone_mode=False)
        base = peak()
        seconds = measured(lambda: app(last, standalone_mode=False))
    print(json.dumps({"cpu": seconds.cpu, "wall": seconds.wall, "peak": peak(), "before": base}))


if __name__ == "__main__":
    main()
