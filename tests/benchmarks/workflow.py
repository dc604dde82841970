"""The Snakemake workflow of `cosmoinfer workflow init`: run, judged, stopped, killed and gone on with.

    python -m tests.benchmarks.workflow [--work FOLDER]

Lint is silent; it runs end to end, and a second run has nothing to do; a gate that fails keeps the metrics; a training
that SIGTERM stops (exit status 75) is tried again and goes on from its checkpoint; after SIGKILL to snakemake, whose
training lives on, and to both, the workflow goes on when it is unlocked; both end with the bytes of the first.
Snakemake (the extra `workflow`) is that of the PATH, or what COSMOINFER_SNAKEMAKE names. Exits with 1 where it is
missing or anything else happens. Takes three to four minutes on two cores.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SNAKEMAKE = os.environ.get("COSMOINFER_SNAKEMAKE") or shutil.which("snakemake")
CONFIG = """
catalog: sims.h5
seeds: [1, 2]
train: "--flow nsf --ensemble 1 --epochs 100 --patience 100 --checkpoint-every 1s"
threads: 1
shards: 2
sample: "--draws 200"
gate: false
fail_if: ["r2[all]<0.2"]
"""
COMPARED = ("split.h5", "flows/seed-1.h5", "flows/seed-2.h5", "flow.h5", "posterior.h5", "metrics.h5", "gate.json")
MAX_SECONDS = 300.0  # that anything is waited for
LOG_TAIL = 3000  # characters that a failure shows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "cosmoinfer-workflow")
    work = parser.parse_args().work.resolve()
    if SNAKEMAKE is None:
        sys.exit("snakemake is missing: pip install 'cosmoinfer[workflow]', or name it by COSMOINFER_SNAKEMAKE")
    work.mkdir(parents=True, exist_ok=True)
    _cosmoinfer("simulate", "power-spectrum", "-n", "300", "-o", str(work / "sims.h5"), "--force")
    first = Pipeline(work / "first", work / "sims.h5")
    steps: dict[str, Callable[[], str]] = {
        "lint": lambda: lint(first),
        "end to end": lambda: end_to_end(first),
        "failing gate": lambda: failing_gate(first),
        "stopped by SIGTERM": lambda: stopped(Pipeline(work / "stopped", work / "sims.h5"), first),
        "killed by SIGKILL": lambda: killed(Pipeline(work / "killed", work / "sims.h5"), first),
    }
    for name, step in steps.items():
        start = time.monotonic()
        try:
            print(f"{name}: {step()} ({time.monotonic() - start:.0f} s)", flush=True)
        except Failure as failure:
            sys.exit(f"{name}: FAILED: {failure}")


class Failure(Exception):
    """Something else happened than should."""


def require(condition: object, failure: str) -> None:
    """Raises Failure unless the condition holds."""
    if not condition:
        raise Failure(failure[-LOG_TAIL:])


class Pipeline:
    """The workflow in a folder of its own, with a copy of a catalog."""

    def __init__(self, folder: Path, catalog: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.results = folder, folder / "results"
        _cosmoinfer("workflow", "init", str(folder), "--quiet")
        shutil.copyfile(catalog, folder / "sims.h5")
        self.configure(CONFIG)

    def configure(self, text: str) -> None:
        (self.folder / "config" / "config.yaml").write_text(text)

    def run(self, *arguments: str, status: int = 0) -> str:
        """What snakemake printed. Raises Failure if it ends with another status."""
        process = self.start(*arguments)
        text, _ = process.communicate()
        require(
            process.returncode == status, f"snakemake {' '.join(arguments)} ended with {process.returncode}: {text}"
        )
        return text

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(SNAKEMAKE), *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def trainings(self) -> set[int]:
        """Processes that train in this folder."""
        processes = set()
        for entry in Path("/proc").iterdir():
            try:
                if (entry / "cwd").resolve() == self.folder and b"train-flow" in _words(entry):
                    processes.add(int(entry.name))
            except OSError:  # no process, no longer one, or of somebody else
                continue
        return processes

    def kept_training(self, *earlier: int) -> int:
        """The process of a training, none of these, once it has kept a checkpoint."""

        def kept() -> int:
            new = self.trainings() - {*earlier}
            return new.pop() if new and any(self.results.glob("flows/*.checkpoint/*.h5")) else 0

        return _wait(kept, "a training with a checkpoint")

    def resumed(self) -> bool:
        """Whether the last try of a training went on from what an earlier one had kept."""
        logs = sorted((self.folder / "logs" / "train").iterdir())
        return any(".h5.checkpoint/" in log.read_text() for log in logs)

    def outputs(self) -> dict[str, bytes]:
        return {name: (self.results / name).read_bytes() for name in COMPARED}

    def compare(self, expected: "Pipeline") -> None:
        """Raises Failure where outputs have other bytes."""
        outputs, others = self.outputs(), expected.outputs()
        require(outputs == others, f"other bytes: {[name for name in outputs if outputs[name] != others[name]]}")


def lint(pipeline: Pipeline) -> str:
    """It has nothing to remark."""
    text = pipeline.run("--lint")
    require("in a good condition" in text, text)
    return "silent"


def end_to_end(pipeline: Pipeline) -> str:
    """All steps, none of them again, and a report."""
    start = time.monotonic()
    text = pipeline.run()
    seconds = time.monotonic() - start
    (steps,) = re.findall(r"^(\d+ of \d+ steps) \(100%\) done", text, re.M)
    text = pipeline.run()
    require("Nothing to be done" in text, text)
    pipeline.run("--report", "report.html")
    size = (pipeline.folder / "report.html").stat().st_size
    return f"{steps} in {seconds:.0f} s, then nothing to be done; a report of {size / 1e6:.1f} MB"


def failing_gate(pipeline: Pipeline) -> str:
    """Of a complete pipeline: its metrics stay, a report can be made, and without the gate only its rule runs again."""
    before = pipeline.outputs()
    pipeline.configure(CONFIG.replace("<0.2", "<2"))
    text = pipeline.run(status=1)
    require("the gate r2[all]<2 failed" in text, text)
    require(not (pipeline.results / "gate.json").exists(), "the gate that failed has left its output")
    pipeline.run("--report", "report.html", "results/metrics.txt")
    pipeline.configure(CONFIG)
    text = pipeline.run()
    require("2 of 2 steps (100%) done" in text, text)
    require(pipeline.outputs() == before, "other bytes than before")
    return "the metrics stay, and the gate alone runs again"


def stopped(pipeline: Pipeline, expected: Pipeline) -> str:
    """Its first training, while it trains."""
    process = pipeline.start()
    training = pipeline.kept_training()
    os.kill(training, signal.SIGTERM)
    text, _ = process.communicate()
    require(process.returncode == 0 and "Trying to restart job" in text, text)
    require(pipeline.resumed(), "the retry did not go on from the checkpoint")
    pipeline.compare(expected)
    return "the retry went on from the checkpoint; the same bytes"


def killed(pipeline: Pipeline, expected: Pipeline) -> str:
    """Snakemake alone, then with its trainings."""
    process = pipeline.start("--cores", "1")
    training = pipeline.kept_training()
    process.kill()
    process.wait()
    require(training in pipeline.trainings(), "the training ended with snakemake")
    text = pipeline.run(status=1)
    require("--unlock" in text, text)
    pipeline.run("--unlock")
    process = pipeline.start("--cores", "1")
    pipeline.kept_training(training)
    process.kill()
    process.wait()
    for number in pipeline.trainings():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    pipeline.run("--unlock")
    pipeline.run()
    require(pipeline.resumed(), "the training did not go on from the checkpoint")
    pipeline.compare(expected)
    return "unlocked twice, a training went on from its checkpoint; the same bytes"


def _words(process: Path) -> list[bytes]:
    return (process / "cmdline").read_bytes().split(b"\0")


def _wait(look: Callable[[], int], awaited: str) -> int:
    """What ``look`` finds, once it finds anything. Raises Failure if it does not."""
    end = time.monotonic() + MAX_SECONDS
    while not (number := look()):
        require(time.monotonic() < end, f"no {awaited} within {MAX_SECONDS:.0f} s")
        time.sleep(0.2)
    return number


def _cosmoinfer(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cosmoinfer", *arguments], check=True)


if __name__ == "__main__":
    main()
