"""Real CAMELS histories: our flow beside sbi's MAF, our regressor beside ridge, over split seeds 0, 1, 2.

    python -m tests.benchmarks.camels flow        [--work FOLDER] [-- options of train-flow]
    python -m tests.benchmarks.camels regressor   [--work FOLDER] [-- options of train-regressor]

Everything goes through the command line, with its defaults; what stands complete in the folder is not made again. sbi
(the extra `bench`, or the interpreter that COSMOINFER_PEER_PYTHON names) trains on the very same rows, our train and
validation parts together, and is renormalised to the box. Exits with 1 where the data or the peer are missing.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer.models.flow.fit import clustered_error
from cosmoinfer.posterior import Posterior

SEEDS = (0, 1, 2)
SHARED = Path(os.environ.get("COSMOINFER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
CATALOG = SHARED / "data" / "camels_sfrh" / "IllustrisTNG.h5"
PEER = os.environ.get("COSMOINFER_PEER_PYTHON", sys.executable)


def flow(work: Path, options: list[str]) -> None:
    """Mean test log_prob, natural log, catalog units, normalised over the box; pooled coverage."""
    posteriors = []
    for seed in SEEDS:
        ours = _posterior(work, "train-flow", seed, options)
        peer = _peer(work, ours, seed)
        assert ours.log_prob_truth is not None
        print(f"split seed {seed}: ours {_mean(ours.log_prob_truth)}, sbi MAF {_mean(peer)}, {len(ours)} test rows")
        posteriors.append((ours, peer))
    ours_mean = [np.mean(ours.log_prob_truth) for ours, _ in posteriors]
    peer_mean = [np.mean(peer) for _, peer in posteriors]
    gaps = np.concatenate([ours.log_prob_truth - peer for ours, peer in posteriors])
    simulation = np.concatenate([ours.simulation for ours, _ in posteriors])
    print(
        f"average over split seeds: ours {np.mean(ours_mean):.2f}, sbi MAF {np.mean(peer_mean):.2f}, paired gap "
        f"{np.mean(ours_mean) - np.mean(peer_mean):.2f} +- {clustered_error(gaps, simulation):.2f}"
    )
    _coverage([ours for ours, _ in posteriors])


def regressor(work: Path, options: list[str]) -> None:
    """R2 of each parameter beside ridge (kept in the model as the reference), and the difference."""
    gains = []
    for seed in SEEDS:
        ours = _posterior(work, "train-regressor", seed, options)
        assert ours.truth is not None and ours.best_mean is not None and ours.reference is not None
        network, ridge = _r2(ours.truth, ours.best_mean), _r2(ours.truth, ours.reference)
        gains.append((network, ridge, _gain_errors(ours)))
        print(f"split seed {seed}: network {_row(network)}  ridge {_row(ridge)}")
    network, ridge, errors = (np.mean(part, axis=0) for part in zip(*gains, strict=True))
    print(f"parameters            {'  '.join(ours.parameters.names)}")
    print(f"network               {_row(network)}")
    print(f"ridge                 {_row(ridge)}")
    print(f"network - ridge       {_row(network - ridge)}")
    print(f"error of one split    {_row(errors)} (paired, clustered by simulation)")


def _posterior(work: Path, command: str, seed: int, options: list[str]) -> Posterior:
    name = command.removeprefix("train-")
    model, drawn = work / f"{name}.{seed}.h5", work / f"{name}.{seed}.posterior.h5"
    _cosmoinfer(command, CATALOG, "-o", model, "--split-seed", seed, "--quiet", *options)
    _cosmoinfer("sample", model, CATALOG, "-o", drawn, "--quiet")
    return cosmoinfer.read_posterior(drawn)


def _cosmoinfer(*arguments: Any) -> None:
    command = [sys.executable, "-m", "cosmoinfer", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _peer(work: Path, ours: Posterior, seed: int) -> np.ndarray:
    """log_prob of the same test rows under sbi's MAF as shipped, renormalised to the box, (n,)."""
    out = work / f"sbi.{seed}.npz"
    if not out.exists():
        sims = cosmoinfer.read_catalog(CATALOG)
        test = np.isin(sims.index, ours.index)
        theta, x = sims.theta, np.log10(sims.summaries[0].values.astype(np.float64))
        rows = work / f"rows.{seed}.npz"
        box = {"low": ours.parameters.low, "high": ours.parameters.high, "prior": np.array(ours.parameters.prior)}
        split = {"theta_train": theta[~test], "x_train": x[~test], "theta_test": theta[test], "x_test": x[test]}
        np.savez(rows, **split, **box, seed=seed)
        script = Path(__file__).with_name("peers.py")
        found = subprocess.run([PEER, script, "sbi-maf", rows, out], capture_output=True, text=True)
        if found.returncode:
            sys.exit(f"sbi did not run ({found.stderr.strip().splitlines()[-1]}); install the extra `bench`")
    return np.load(out)["log_prob"]


def _coverage(posteriors: list[Posterior]) -> None:
    """coverage_68 of each parameter over all splits, with its error clustered by simulation."""
    inside = []
    for posterior in posteriors:
        assert posterior.samples is not None and posterior.truth is not None
        low, high = np.quantile(posterior.samples, [0.16, 0.84], axis=1)
        inside.append((posterior.truth > low) & (posterior.truth < high))
    covered, simulation = np.concatenate(inside), np.concatenate([one.simulation for one in posteriors])
    for column, name in enumerate(posteriors[0].parameters.names):
        error = clustered_error(covered[:, column].astype(float), simulation)
        share = covered[:, column].mean()
        print(f"coverage_68 {name}: {share:.3f} +- {error:.3f} ({(share - 0.68) / error:+.1f} errors)")


def _r2(truth: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return 1 - ((truth - mean) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)


def _gain_errors(ours: Posterior) -> np.ndarray:
    """Standard error of the difference of two R2 on the same rows, (P,)."""
    assert ours.truth is not None and ours.best_mean is not None and ours.reference is not None
    gap = (ours.truth - ours.reference) ** 2 - (ours.truth - ours.best_mean) ** 2
    scale = ours.truth.var(axis=0)
    return np.array([clustered_error(gap[:, one], ours.simulation) / scale[one] for one in range(gap.shape[1])])


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.2f} +- {values.std() / np.sqrt(len(values)):.2f}"


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:7.3f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("flow", "regressor"))
    parser.add_argument("--work", type=Path, default=Path("camels.benchmark"), help="folder that keeps what is made")
    own, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(own.split())
    if not CATALOG.exists():
        sys.exit(f"{CATALOG} is missing; COSMOINFER_SHARED names the folder that has data/")
    arguments.work.mkdir(parents=True, exist_ok=True)
    {"flow": flow, "regressor": regressor}[arguments.which](arguments.work, options.split())


if __name__ == "__main__":
    main()
