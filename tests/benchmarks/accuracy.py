"""Problems with an exact posterior: expected KL divergence and C2ST, ours by default beside sbi's and lampe's flows.

    python -m tests.benchmarks.accuracy [--work FOLDER] [--problem NAME ...] [--rows N ...] [--seeds N ...]
        [--ensemble N ...] [--peers NAME ...] [-- options of train-flow]

Each problem at 1,000 and at 10,000 simulations (nine tenths train, one tenth validates; the peers split a tenth off the
same rows themselves), scored on the same 500 others: the mean of log p_exact - log q at the truth, which estimates
E_x KL(p || q), in nats; and the classifier two-sample test of 2,000 draws against as many exact ones, the mean over the
first ten test rows. Peers (the extra `bench`, or the interpreter that COSMOINFER_PEER_PYTHON names), alone and in
ensembles, are renormalised to the box. What stands complete in the folder is not made again.

Marks: ours lower than every peer beyond the clustered error; C2ST at 10,000 simulations at most 0.56; the KL of all
seeds at 1,000 simulations at most MARKS times that of the best peer at 10,000, and at 10,000 at most half of it. Exits
with 1 where one is missed.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
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

PROBLEMS = (
    "linear-gaussian-box",
    "power-spectrum",
    "two-moons",
    "narrow-ridge",
    "supernovae",
    "masked-spectrum",
    "gaussian-profiles",
)
PEERS = ("sbi-maf", "sbi-nsf", "lampe-nsf")
TEST, OBSERVATIONS, DRAWS = 500, 10, 2000
RANKING = 400  # draws of ours of every test row
NORMALISING = 1000  # draws of a peer a test row, for its mass inside the box
MARK, MANY = 0.56, 10_000  # of C2ST, where there are as many simulations
MARKS = {"two-moons": 1.0, "narrow-ridge": 1.0, "linear-gaussian-box": 1.3, "power-spectrum": 1.7}
MARK_OF_MANY = 0.5
OURS = "ours"
OPTIONS = {"masked-spectrum": ("--missing", "mask")}
PEER = os.environ.get("COSMOINFER_PEER_PYTHON", sys.executable)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """log_prob: (n,), of the test rows. samples: (k, S, P), of the first."""

    log_prob: np.ndarray
    samples: np.ndarray


@dataclass(frozen=True)
class Score:
    """kl: (n,) of the test rows. c2st: (k,), of the first."""

    kl: np.ndarray
    c2st: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("accuracy.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--problem", nargs="+", default=PROBLEMS, choices=tuple(SIMULATORS))
    parser.add_argument("--rows", nargs="+", type=int, default=(1000, MANY))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2), help="of the simulations")
    parser.add_argument("--ensemble", nargs="+", type=int, default=(1, 5), help="members of the peers")
    parser.add_argument("--peers", nargs="*", default=PEERS)
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    held = []
    for problem in arguments.problem:
        means = {}
        for rows in arguments.rows:
            scores = []
            for seed in arguments.seeds:
                label = f"{problem:20} {rows:6} seed {seed}"
                scores.append(_scores(arguments, problem, rows, seed, options.split()))
                held += _compare(label, scores[-1], rows)
            means[rows] = {name: float(np.mean([by_name[name].kl for by_name in scores])) for name in scores[0]}
        held += list(_marks(problem, means))
    if not all(held):
        sys.exit(f"{len(held) - sum(held)} of {len(held)} marks are missed")


def _scores(arguments: argparse.Namespace, problem: str, rows: int, seed: int, options: list[str]) -> dict[str, Score]:
    """Of ours and of the peers, by name, on the same test rows."""
    catalog = catalog_path(arguments.work, problem, rows, seed)
    theta, x, exact, reference = make(catalog, problem, rows, seed)
    results = {OURS: _ours(catalog, [*OPTIONS.get(problem, ()), *options])}
    for peer in arguments.peers:
        results |= _peer(catalog, peer, theta, x, arguments.ensemble)
    return {
        name: Score(exact - result.log_prob, c2st(result.samples, reference, seed=0))
        for name, result in results.items()
    }


def _compare(label: str, scores: dict[str, Score], rows: int) -> Iterator[bool]:
    """Prints a line for each method, and gives whether each mark is met."""
    ours = scores[OURS]
    for name, score in scores.items():
        line = f"{label} {name:14} KL {_mean(score.kl)}  C2ST {_mean(score.c2st)}"
        if name != OURS:
            gaps = score.kl - ours.kl, score.c2st - ours.c2st
            won = [bool(gap.mean() > _error(gap)) for gap in gaps]
            yield from won
            line += f"  worse than ours by {_mean(gaps[0])} and {_mean(gaps[1])}" + ("" if all(won) else "  MISSED")
        print(line, flush=True)
    if rows >= MANY:
        yield bool(ours.c2st.mean() <= MARK)


def _marks(problem: str, means: dict[int, dict[str, float]]) -> Iterator[bool]:
    """means: KL of each method over all seeds, by rows."""
    for rows, kl in means.items():
        print(f"{problem:20} {rows:6} all seeds: " + ", ".join(f"{name} {value:.3f}" for name, value in kl.items()))
    of_peers = {name: value for name, value in means.get(MANY, {}).items() if name != OURS}
    if not of_peers:
        return
    best = min(of_peers, key=of_peers.__getitem__)
    for rows, mark in ((1000, MARKS.get(problem)), (MANY, MARK_OF_MANY)):
        if rows in means and mark is not None:
            ratio = means[rows][OURS] / of_peers[best]
            missed = "" if ratio <= mark else "  MISSED"
            print(f"{problem:20} ours at {rows}: {ratio:.2f} times {best} at {MANY} (mark {mark}){missed}", flush=True)
            yield ratio <= mark


def catalog_path(work: Path, problem: str, rows: int, seed: int = 0) -> Path:
    return work / f"{problem}.{rows}.{seed}.h5"


def make(
    catalog: Path, problem: str, rows: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """theta and x of all rows, the test rows last; of these the exact log_prob, and draws of the first few."""
    simulator = SIMULATORS[problem]
    if not catalog.exists():
        made, test = simulator.simulate(rows, 1 + 10 * seed), simulator.simulate(TEST, 2 + 10 * seed)
        arrays = {
            "parameters": np.concatenate([made.theta, test.theta]),
            "data": np.concatenate([made.data, test.data]).astype(np.float32),
            "split": np.r_[np.arange(rows) % 10 == 9, np.full(TEST, 2)].astype(np.uint8),
        }
        attributes = {"parameters": made.parameters.attributes(), "data": made.attributes}
        storage.write(catalog, storage.FileContents("catalog", {}, arrays, attributes))
    sims = cosmoinfer.read_catalog(catalog, missing="mask")  # of those that have gaps; others are read as they are
    theta, x = (
        sims.theta,
        sims.observables[0].values.astype(np.float64).reshape(len(sims), *simulator.simulate(1, 0).data.shape[1:]),
    )
    exact = simulator.log_posterior(theta[rows:], x[rows:])
    return theta, x, exact, simulator.sample(x[rows : rows + OBSERVATIONS], DRAWS, 3 + 10 * seed)


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


def _peer(catalog: Path, peer: str, theta: np.ndarray, x: np.ndarray, ensemble: list[int]) -> dict[str, Result]:
    """Of each size of an ensemble."""
    run, n_training = catalog.with_suffix(f".{peer}"), len(theta) - TEST
    files = {size: run.with_name(f"{run.name}.x{size}.npz") for size in ensemble}
    if not all(out.exists() for out in files.values()):
        parameters = cosmoinfer.read_catalog(catalog, missing="mask").parameters
        rows = catalog.with_suffix(f".{peer}.rows.npz")
        x = _as_user_would(x.reshape(len(x), -1))
        box = {"low": parameters.low, "high": parameters.high, "prior": np.array(parameters.prior)}
        train = {"theta_train": theta[:n_training], "x_train": x[:n_training]}
        np.savez(rows, **train, theta_test=theta[n_training:], x_test=x[n_training:], **box, seed=0)
        command = [PEER, "-m", "tests.benchmarks.peers", peer, rows.resolve(), f"{run.resolve()}.npz"]
        command += ["--keep", OBSERVATIONS, "--draws", NORMALISING, "--ensemble", *ensemble]
        process = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
        if process.returncode:
            sys.exit(f"{peer} did not run ({process.stderr.strip().splitlines()[-1]}); install the extra `bench`")
    results = {}
    for size, out in files.items():
        held = np.load(out)
        meta = json.loads(str(held["meta"]))
        inside, seconds = meta["in_box"]["mean"], meta["seconds"]["processor"]
        print(f"# {peer} x {size}: {meta['versions']}, {seconds:.0f} CPU s a member, {inside:.2f} of it in the box")
        results[f"{peer} x {size}"] = Result(held["log_prob"], held["samples"])
    return results


def _as_user_would(x: np.ndarray) -> np.ndarray:
    """What a careful user gives a peer, as we do by default: the logarithm of positive data with a wide range; for what
    is missing the mean of its column, and beside it which numbers these are. x: (N, K)."""
    x = np.log10(x) if np.nanmin(x) > 0 and np.nanmax(x) > 100 * np.nanmin(x) else x
    missing = np.isnan(x)
    if not missing.any():
        return x
    return np.concatenate([np.where(missing, np.nanmean(x, axis=0), x), missing], axis=1)


def _cosmoinfer(*arguments: Any) -> None:
    command = [sys.executable, "-m", "cosmoinfer", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _error(values: np.ndarray) -> float:
    return clustered_error(values, np.arange(len(values)))


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f} +- {_error(values):.3f}"


if __name__ == "__main__":
    main()
