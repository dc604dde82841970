"""The power-spectrum catalog at 20,000 rows: test log_prob beside that of the exact posterior.

    python -m tests.benchmarks.exact [--work FOLDER] [--rows 20000] [-- options of train-flow]

Mark: the mean log_prob of the test rows within 0.05 nat of the exact posterior's. What stands complete in the folder is
not made again. Exits with 1 where the mark is missed.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer.models.flow.fit import clustered_error
from cosmoinfer.simulators import SIMULATORS

MARK = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("exact.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--rows", type=int, default=20_000)
    own, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(own.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    catalog = arguments.work / f"power_spectra.{arguments.rows}.h5"
    if not catalog.exists():
        _run("-m", "cosmoinfer", "simulate", "power-spectrum", "-n", arguments.rows, "--seed", 1, "-o", catalog)
    model, drawn = catalog.with_suffix(".flow.h5"), catalog.with_suffix(".posterior.h5")
    _run("-m", "cosmoinfer", "train-flow", catalog, "-o", model, "--fractions", 0.8, 0.1, 0.1, *options.split())
    _run("-m", "cosmoinfer", "sample", model, catalog, "-o", drawn, "--draws", 100)
    short = _shortfall(catalog, drawn)
    if short > MARK:
        sys.exit(f"missed the mark of {MARK} nat")


def _shortfall(catalog: Path, drawn: Path) -> float:
    """Mean of log p_exact - log q over the test rows, in nats."""
    posterior, sims = cosmoinfer.read_posterior(drawn), cosmoinfer.read_catalog(catalog)
    rows = np.searchsorted(sims.index, posterior.index)
    exact = SIMULATORS["power-spectrum"].log_posterior(sims.theta[rows], sims.summaries[0].read(rows))
    assert posterior.log_prob_truth is not None
    gap = exact - posterior.log_prob_truth
    print(f"{len(rows)} test rows: exact {exact.mean():.3f}, ours {posterior.log_prob_truth.mean():.3f}")
    print(f"shortfall {gap.mean():.4f} +- {clustered_error(gap, posterior.simulation):.4f} nat (mark {MARK})")
    return float(gap.mean())


def _run(*arguments: Any) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
