"""A search on real CAMELS histories by several processes, one of them killed; what it is worth on test rows.

    python -m tests.benchmarks.tune [--work FOLDER] [--trials 30] [--processes 3] [-- options of tune]

All processes share a journal; when each has a trial, the first is killed (SIGKILL), and the others go on to the end:
no number of a trial may be missing. Then the paired difference of log_prob on the test rows, with its error clustered
by simulation: the mixture of the best five trials, and five members of the best trial (``train-flow --like``), less the
untuned default. Models stay in the folder; a search that is complete there is read. Exits with 1 where the data are
missing, a process fails, or a trial is lost.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer.studies.comparison import Comparison
from tests.benchmarks.camels import CATALOG

DRAWS = 1000  # a test row, for its mass inside the box


def command(*arguments: Any) -> list[str]:
    return [sys.executable, "-m", "cosmoinfer", *map(str, arguments), "--threads", "1", "--quiet"]


def search(work: Path, trials: int, processes: int, options: list[str]) -> dict[str, Any]:
    """The JSON that the last process prints."""
    output = work / "best.flow.h5"
    line = command("tune", CATALOG, "-o", output, "--trials", trials, "--json", *options)
    if not output.exists():
        running = [subprocess.Popen(line, stdout=subprocess.PIPE) for _ in range(processes)]
        while processes > 1 and len([*(work / "best.flow").glob("trial-*.lock")]) < processes:
            if running[0].poll() is not None:
                break
            time.sleep(0.2)
        if processes > 1 and running[0].poll() is None:
            running[0].kill()
            print("one process killed", flush=True)
        for process in running:
            process.communicate()
        if failed := [process.returncode for process in running[processes > 1 :] if process.returncode]:
            sys.exit(f"processes ended with exit status {failed}")
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)


def log_prob(model: str | Path, split: np.ndarray) -> np.ndarray:
    sims = cosmoinfer.read_catalog(CATALOG)
    return cosmoinfer.load(model).log_prob_of_rows(sims, split, sims.theta[split], DRAWS, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("tune.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--processes", type=int, default=3)
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    if not CATALOG.exists():
        sys.exit(f"{CATALOG} is missing; COSMOINFER_SHARED names the folder that has data/")
    arguments.work.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    document = search(arguments.work, arguments.trials, arguments.processes, options.split())
    print(f"{(time.monotonic() - start) / 60:.1f} minutes; support {document['support']}")
    trials = sorted(document["trials"], key=lambda trial: -(trial["log_prob"] or -np.inf))
    for trial in trials:
        score = "pruned" if trial["log_prob"] is None else f"{trial['log_prob']:.3f}"
        print(f"trial {trial['number']:3} {score:>7}  {trial['settings']}")
    best, five = trials[0]["model"], arguments.work / "five.flow.h5"
    subprocess.run(command("train-flow", CATALOG, "--like", best, "--ensemble", 5, "-o", five), check=True)
    sims, default = cosmoinfer.read_catalog(CATALOG), cosmoinfer.load(document["default"])
    rows = np.flatnonzero(default.training_record.partition_of(sims, np.arange(len(sims.theta))) == 2)
    expected = log_prob(document["default"], rows)
    print(f"default                         {expected.mean():.2f} on {len(rows)} test rows")
    for name, model in (("mixture of the best", document["output"]), ("five members of the best", five)):
        scores = log_prob(model, rows)
        comparison = Comparison.of_log_probs(scores, expected, sims.simulation[rows])
        print(f"{name:31} {scores.mean():.2f}: {comparison.describe('the default')}")
    numbers = sorted(trial["number"] for trial in trials)
    if missing := set(range(arguments.trials)) - set(numbers):
        sys.exit(f"trials {sorted(missing)} are lost")


if __name__ == "__main__":
    main()
