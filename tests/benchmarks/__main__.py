"""How fast everything is, in turn with peers on the same data: training, sampling, reading, start-up and growth.

    python -m tests.benchmarks [--work FOLDER] [--only NAME,...] [--repeats 5] [--again] [--quick]

One thread, CPU and wall seconds, medians over so many alternations. Each section keeps its figures as JSON in the
folder and is not measured again; all tables go to speed.md there, which the README quotes. Peers (the extra `bench`,
or the interpreter that COSMOINFER_PEER_PYTHON names) run in a process of their own. Exits with 1 where a mark is
missed or a peer is missing; --quick judges no mark.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from tests.benchmarks.speed.report import Report, Task, Unmeasured


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch and numpy are imported, which the sections do
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("speed.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="alternations (%(default)s)")
    parser.add_argument("--again", action="store_true", help="measure what was measured already")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, in a folder within: whether it runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.only.split(",")) - set(SECTIONS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is not known; there are {', '.join(SECTIONS)}")
    task = Task(
        (arguments.work / "quick" if arguments.quick else arguments.work).resolve(), arguments.repeats, arguments.quick
    )
    task.work.mkdir(parents=True, exist_ok=True)
    missed, unmeasured = [], []
    for name in arguments.only.split(","):
        try:
            missed += [f"{name}: {what}" for what in _report(name, task, arguments.again).missed]
        except Unmeasured as why:
            unmeasured.append(f"{name}: not measured, {why}")
    _write_tables(task.work)
    failed = unmeasured + ([] if task.quick else missed)
    if failed:
        sys.exit("\n".join(["missed:", *failed]))


def _report(name: str, task: Task, again: bool) -> Report:
    """Measured, unless it stands in the folder; and printed."""
    path = task.work / f"{name}.json"
    if again or not path.exists():
        import_module(SECTIONS[name]).measure(task).write(path)
    report = Report.read(path)
    print(f"{report.markdown()}\n", flush=True)
    return report


def _write_tables(work: Path) -> None:
    """Of all sections that stand in the folder, in the order of the table below."""
    paths = [path for name in SECTIONS if (path := work / f"{name}.json").exists()]
    (work / "speed.md").write_text("\n\n".join(Report.read(path).markdown() for path in paths) + "\n")


SECTIONS = {  # what is measured, by name: a module with ``measure(task) -> Report``
    "training": "tests.benchmarks.speed.training",
    "reach": "tests.benchmarks.speed.reach",
    "floor": "tests.benchmarks.speed.floor",
    "sampling": "tests.benchmarks.speed.sampling",
    "convolution": "tests.benchmarks.speed.convolution",
    "reading": "tests.benchmarks.speed.reading",
    "startup": "tests.benchmarks.speed.startup",
    "growth": "tests.benchmarks.speed.growth",
}

if __name__ == "__main__":
    main()
