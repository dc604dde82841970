"""The learning curve of the power spectra: predicted at 16,000 simulations from 500 to 4,000, and trained there.

    python -m tests.benchmarks.learning_curve [--work FOLDER] [--sizes 500,1000,2000,4000] [--predict 16000]
                                              [-- options of learning-curve]

Marks: the log_prob of a flow that was trained on as many simulations as were predicted lies within the stated 68.3 %
interval of the prediction, on the same test rows; and that interval is no wider than 0.05 nat either way. Printed
beside it: the exact posterior's mean log_prob on those rows, which no number of simulations can pass. Everything goes
through the command line; what stands complete in the folder is not made again. Exits with 1 where a mark is missed.
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer import split, storage
from cosmoinfer.metrics.bootstrap import Clusters
from cosmoinfer.simulators import SIMULATORS
from cosmoinfer.studies.learning_curve import read
from cosmoinfer.tasks.learning_curve import DRAWS_PER_TEST_ROW

WIDTH = 0.05  # nat
ROWS = 24_000
PROBLEM = "power-spectrum"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("learning_curve.benchmark"), help="keeps what is made")
    parser.add_argument("--sizes", default="500,1000,2000,4000")
    parser.add_argument("--predict", type=int, default=16_000)
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    catalog, curve = arguments.work / f"power_spectra.{ROWS}.h5", arguments.work / "curve.h5"
    if not catalog.exists():
        _cosmoinfer("simulate", PROBLEM, "-n", ROWS, "--seed", 1, "-o", catalog)
    predicted = ("--sizes", arguments.sizes, "--predict", arguments.predict, "--figures", arguments.work)
    _cosmoinfer("learning-curve", catalog, "-o", curve, *predicted, *options.split())
    model = _trained(catalog, arguments.work, arguments.predict, options.split())
    if not _compare(catalog, curve, model, arguments.predict):
        sys.exit("missed a mark")


def _trained(catalog: Path, work: Path, size: int, options: list[str]) -> Path:
    """A flow of so many simulations, picked as ``learning-curve`` picks them: alone in a catalog, they split alike."""
    picked, model = work / f"power_spectra.{size}.picked.h5", work / f"{size}.flow.h5"
    if not picked.exists():
        record = storage.read_contents(catalog, "catalog")
        ids = record.arrays["simulation"].astype(str)
        keep = np.isin(ids, split.nested_subset(split.by_hash(ids), size).simulation)
        arrays = {name: values[keep] if len(values) == len(keep) else values for name, values in record.arrays.items()}
        storage.write(picked, replace(record, arrays=arrays))
    _cosmoinfer("train-flow", picked, "-o", model, *options)
    return model


def _compare(catalog: Path, curve: Path, model: Path, size: int) -> bool:
    """Print what was predicted, found and possible, on the same test rows; whether both marks are met."""
    sims, (prediction,) = cosmoinfer.read_catalog(catalog), read(curve).predictions
    theta, rows = sims.theta, storage.load(curve, "index")
    assert theta is not None
    flow = cosmoinfer.load(model)
    log_prob = flow.log_prob_of_rows(sims, rows, theta[rows], DRAWS_PER_TEST_ROW, 0)
    exact = SIMULATORS[PROBLEM].log_posterior(theta[rows], sims.observables[0].read(rows))
    value, low, high = prediction.log_prob.to_array()
    short, error = Clusters.from_ids(sims.simulation[rows]).mean(exact - log_prob)
    largest = storage.load(curve, "log_prob")[-1]
    print(f"{len(rows)} test rows; exact posterior {exact.mean():.4f} nat, which endless simulations would reach")
    print(f"largest size of the curve {largest.mean():.4f}, {exact.mean() - largest.mean():.4f} short of exact")
    print(f"predicted at {size}: {value:.4f}, 68.3 % from {low:.4f} to {high:.4f}")
    print(f"trained at {size}: {log_prob.mean():.4f}, {short:.4f} +- {error:.4f} short of exact")
    within, narrow = low <= log_prob.mean() <= high, (high - low) / 2 <= WIDTH
    print(f"within the interval: {within}; half-width {(high - low) / 2:.4f} (mark {WIDTH})")
    return bool(within and narrow)


def _cosmoinfer(*arguments: Any) -> None:
    subprocess.run([sys.executable, "-m", "cosmoinfer", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
