"""From the command to its first word, and to a model file: ``--help``, ``train-flow``, and the imports in between."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from tests.benchmarks.speed.clock import Seconds, median
from tests.benchmarks.speed.report import Report, Task

HELP_MARK = 0.3  # wall seconds
ROWS = 1000
HEAVIEST = 6  # packages that are named


def measure(task: Task) -> Report:
    report = Report()
    catalog, model = task.work / f"startup.{ROWS}.h5", task.work / "startup.flow.h5"
    _run("simulate", "power-spectrum", "-n", ROWS, "-o", catalog, "--force")
    train = ["train-flow", catalog, "-o", model, "--threads", 1, "--quiet", "--force"]
    short = ["--epochs", 1, "--ensemble", 1, "--flow", "maf", "--support", "probit"]
    help_times = [_run("--help") for _ in range(max(task.repeats, 5))]
    shortest = [_run(*train, *short) for _ in range(task.repeats)]
    imports = [_imports(*train, *short) for _ in range(task.repeats)]
    default_time = _run(*train, *(short if task.quick else []))
    model.unlink()
    first, brief = median(help_times), median(shortest)
    importing = median([Seconds(sum(times.values()), sum(times.values())) for times in imports]).wall
    heaviest = Counter(imports[-1]).most_common(HEAVIEST)
    heaviest_text = ", ".join(f"{name} {seconds:.2f}" for name, seconds in heaviest)
    table = report.table(f"From the command to its end; training on {ROWS:,} rows", ["", "CPU", "wall", "remarks"])
    mark = report.mark(f"--help, {first.wall:.2f} s", first.wall < HELP_MARK, f"below {HELP_MARK} s by the wall")
    rows = [("cosmoinfer --help", first, mark), ("train-flow, one MAF, one epoch", brief, "")]
    rows.append(
        ("train-flow as it comes (once)", default_time, f"imports are {importing / default_time.wall:.0%} of it")
    )
    table.rows.extend([what, f"{times.cpu:.2f} s", f"{times.wall:.2f} s", shown] for what, times, shown in rows)
    table.rows.append(["of these, imports", "", f"{importing:.2f} s", heaviest_text])
    report.figures.update({"--help": help_times, "one epoch": shortest, "default": default_time, "imports": imports})
    return report


def _run(*words: Any) -> Seconds:
    """Of the command with all that it starts."""
    start = time.perf_counter()
    process = _started(*words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cosmoinfer {' '.join(map(str, words))}: exit status {process.returncode}")
    return Seconds(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)


def _started(*words: Any, python: tuple[str, ...] = (), **pipes: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, *python, "-m", "cosmoinfer", *map(str, words)]
    return subprocess.Popen(command, text=True, **pipes)


def _imports(*words: Any) -> dict[str, float]:
    """Wall seconds that each package took to import, whatever asked for it."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    _, log = _started(*words, python=("-X", "importtime"), **pipes).communicate()
    seconds: dict[str, float] = {}
    for microseconds, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +([^.\s]+)", log, re.MULTILINE):
        seconds[name] = seconds.get(name, 0.0) + int(microseconds) / 1e6
    return seconds
