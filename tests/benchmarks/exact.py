"""Test log_prob of the default flow beside the exact posterior's: 16,000 power spectra, and 10,000 maps of 64x64.

    python -m tests.benchmarks.exact [--work FOLDER] [--problem power-spectrum,gaussian-maps] [-- options of train-flow]

So many rows train; a tenth of all validates and a tenth is scored. Marks: the mean log_prob of the scored rows within
0.03 nat of the exact posterior's for power spectra, 0.1 for maps. What stands complete in the folder is not made again.
Exits with 1 where a mark is missed.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.simulators import SIMULATORS


@dataclass(frozen=True)
class Problem:
    """rows: of which eight tenths train. mark: nat short of the exact posterior."""

    rows: int
    settings: dict[str, float]
    mark: float


PROBLEMS = {
    "power-spectrum": Problem(20_000, {}, 0.03),
    "gaussian-maps": Problem(12_500, {"pixels": 64, "side": 640.0}, 0.1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("exact.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--problem", default=",".join(PROBLEMS))
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    missed = [name for name in arguments.problem.split(",") if not _near(name, arguments.work, options.split())]
    if missed:
        sys.exit(f"missed the mark of {', '.join(missed)}")


def _near(name: str, work: Path, options: list[str]) -> bool:
    """Whether the flow comes within the mark."""
    problem, catalog = PROBLEMS[name], work / f"{name}.h5"
    if not catalog.exists():
        settings = [word for key, value in problem.settings.items() for word in ("--set", f"{key}={value:g}")]
        _run("-m", "cosmoinfer", "simulate", name, "-n", problem.rows, "--seed", 1, "-o", catalog, *settings)
    model, drawn = catalog.with_suffix(".flow.h5"), catalog.with_suffix(".posterior.h5")
    _run("-m", "cosmoinfer", "train-flow", catalog, "-o", model, "--fractions", 0.8, 0.1, 0.1, *options)
    _run("-m", "cosmoinfer", "sample", model, catalog, "-o", drawn, "--draws", 100)
    posterior, sims = cosmoinfer.read_posterior(drawn), cosmoinfer.read_catalog(catalog)
    rows = np.searchsorted(sims.index, posterior.index)
    data = sims.observables[0].read(rows)
    simulator = replace(SIMULATORS[name], **problem.settings)  # type: ignore[type-var]
    exact = simulator.log_posterior(sims.theta[rows], data if data.ndim < 4 else data[:, 0])
    assert posterior.log_prob_truth is not None
    gap = exact - posterior.log_prob_truth
    error = clustered_error(gap, posterior.simulation)
    print(f"{name}: {len(rows)} test rows, exact {exact.mean():.3f}, ours {posterior.log_prob_truth.mean():.3f}")
    print(f"{name}: shortfall {gap.mean():.4f} +- {error:.4f} nat (mark {problem.mark})", flush=True)
    return bool(gap.mean() <= problem.mark)


def _run(*arguments: Any) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
