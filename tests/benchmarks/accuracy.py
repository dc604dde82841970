"""Problems with an exact posterior: expected KL divergence and C2ST, ours by default beside sbi's and lampe's flows.

    python -m tests.benchmarks.accuracy [--work FOLDER] [--problem NAME ...] [--rows N ...] [-- options of train-flow]

Each problem at 1,000 and at 10,000 simulations (nine tenths train, one tenth validates; the peers split a tenth off the
same rows themselves), scored on the same 500 others: the mean of log p_exact - log q at the truth, which estimates
E_x KL(p || q), in nats; and the classifier two-sample test of 2,000 draws against as many exact ones, the mean over the
first ten test rows. Peers (the extra `bench`, or the interpreter that COSMOINFER_PEER_PYTHON names) are renormalised to
the box. What stands complete in the folder is not made again. Marks: ours lower than every peer beyond the clustered
error, C2ST at 10,000 simulations at most 0.56; exits with 1 where one is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer import storage
from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.metrics.two_sample import c2st
from cosmoinfer.posterior import Posterior
from cosmoinfer.simulators import SIMULATORS

PROBLEMS = ("linear-gaussian-box", "power-spectrum", "two-moons", "narrow-ridge")
PEERS = ("sbi-maf", "sbi-nsf", "lampe-nsf")
TEST, OBSERVATIONS, DRAWS = 500, 10, 2000
RANKING = 400  # draws of ours of every test row
NORMALISING = 1000  # draws of a peer a test row, for its mass inside the box
MARK, MANY = 0.56, 10_000  # of C2ST, where there are as many simulations
PEER = os.environ.get("COSMOINFER_PEER_PYTHON", sys.executable)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """log_prob: (n,), of the test rows. samples: (k, S, P), of the first."""

    log_prob: np.ndarray
    samples: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("accuracy.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--problem", nargs="+", default=PROBLEMS, choices=tuple(SIMULATORS))
    parser.add_argument("--rows", nargs="+", type=int, default=(1000, 10_000))
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    held = [
        held
        for problem in arguments.problem
        for rows in arguments.rows
        for held in _compare(arguments.work, problem, rows, options.split())
    ]
    if not all(held):
        sys.exit(f"{len(held) - sum(held)} of {len(held)} marks are missed")


def _compare(work: Path, problem: str, rows: int, options: list[str]) -> list[bool]:
    """Prints a line for each method, and gives whether each mark is met."""
    catalog = work / f"{problem}.{rows}.h5"
    theta, x, exact, reference = make(catalog, problem, rows)
    results = {"ours": _ours(catalog, options)}
    results |= {peer: _peer(catalog, peer, theta, x) for peer in PEERS}
    kl = {name: exact - result.log_prob for name, result in results.items()}
    accuracies = {name: c2st(result.samples, reference, seed=0) for name, result in results.items()}
    held = []
    for name in results:
        line = f"{problem:20} {rows:6} {name:10} KL {_mean(kl[name])}  C2ST {_mean(accuracies[name])}"
        if name != "ours":
            gaps = (kl[name] - kl["ours"], accuracies[name] - accuracies["ours"])
            won = [gap.mean() > _error(gap) for gap in gaps]
            held += won
            line += f"  worse than ours by {_mean(gaps[0])} and {_mean(gaps[1])}" + ("" if all(won) else "  MISSED")
        print(line, flush=True)
    if rows >= MANY:
        held.append(bool(accuracies["ours"].mean() <= MARK))
    return held


def make(catalog: Path, problem: str, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """theta and x of all rows, the test rows last; of these the exact log_prob, and draws of the first few."""
    simulator = SIMULATORS[problem]
    if not catalog.exists():
        made, test = simulator.simulate(rows, 1), simulator.simulate(TEST, 2)
        arrays = {
            "parameters": np.concatenate([made.theta, test.theta]),
            "data": np.concatenate([made.data, test.data]).astype(np.float32),
            "split": np.r_[np.arange(rows) % 10 == 9, np.full(TEST, 2)].astype(np.uint8),
        }
        attributes = {"parameters": made.parameters.attributes(), "data": made.attributes}
        storage.write(catalog, storage.FileContents("catalog", {}, arrays, attributes))
    gaps = np.isnan(simulator.simulate(1, 0).data).any()
    sims = cosmoinfer.read_catalog(catalog, missing="mask" if gaps else None)
    theta, x = (
        sims.theta,
        sims.observables[0].values.astype(np.float64).reshape(len(sims), *simulator.simulate(1, 0).data.shape[1:]),
    )
    exact = simulator.log_posterior(theta[rows:], x[rows:])
    return theta, x, exact, simulator.sample(x[rows : rows + OBSERVATIONS], DRAWS, 3)


def sampled(catalog: Path, options: list[str]) -> Posterior:
    """Ours of the test rows, by default but for the options; trained where it does not stand."""
    model, drawn = catalog.with_suffix(".flow.h5"), catalog.with_suffix(".posterior.h5")
    _cosmoinfer("train-flow", catalog, "-o", model, "--quiet", "--threads", 1, *options)
    _cosmoinfer("sample", model, catalog, "-o", drawn, "--quiet", "--threads", 1, "--draws", RANKING)
    return cosmoinfer.read_posterior(drawn)


def _ours(catalog: Path, options: list[str]) -> Result:
    posterior, model, drawn = (
        sampled(catalog, options),
        catalog.with_suffix(".flow.h5"),
        catalog.with_suffix(".first.h5"),
    )
    first = f"{posterior.index[0]}:{posterior.index[0] + OBSERVATIONS}"
    _cosmoinfer("sample", model, catalog, "-o", drawn, "--quiet", "--threads", 1, "--rows", first, "--draws", DRAWS)
    samples = cosmoinfer.read_posterior(drawn).samples
    assert posterior.log_prob_truth is not None
    return Result(posterior.log_prob_truth, samples)


def _peer(catalog: Path, peer: str, theta: np.ndarray, x: np.ndarray) -> Result:
    """Of positive data with a wide range a user takes the logarithm, as we do by default."""
    out, n_training = catalog.with_suffix(f".{peer}.npz"), len(theta) - TEST
    if not out.exists():
        parameters, rows = cosmoinfer.read_catalog(catalog).parameters, catalog.with_suffix(".rows.npz")
        x = np.log10(x) if x.min() > 0 and x.max() > 100 * x.min() else x
        box = {"low": parameters.low, "high": parameters.high, "prior": np.array(parameters.prior)}
        train = {"theta_train": theta[:n_training], "x_train": x[:n_training]}
        np.savez(rows, **train, theta_test=theta[n_training:], x_test=x[n_training:], **box, seed=0)
        command = [PEER, "-m", "tests.benchmarks.peers", peer, rows.resolve(), out.resolve()]
        command += ["--keep", OBSERVATIONS, "--draws", NORMALISING]
        process = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
        if process.returncode:
            sys.exit(f"{peer} did not run ({process.stderr.strip().splitlines()[-1]}); install the extra `bench`")
    held = np.load(out)
    meta = json.loads(str(held["meta"]))
    inside, seconds = meta["in_box"]["mean"], meta["seconds"]["processor"]
    print(f"# {peer}: {meta['versions']}, {seconds:.0f} CPU s, {inside:.2f} of it in the box")
    return Result(held["log_prob"], held["samples"])


def _cosmoinfer(*arguments: Any) -> None:
    command = [sys.executable, "-m", "cosmoinfer", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _error(values: np.ndarray) -> float:
    return clustered_error(values, np.arange(len(values)))


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f} +- {_error(values):.3f}"


if __name__ == "__main__":
    main()
