"""Real CAMELS histories: our flow beside sbi's and lampe's, networks beside ridge and trees, suite told from suite.

    python -m tests.benchmarks.camels flow        [--work FOLDER] [-- options of train-flow]
    python -m tests.benchmarks.camels regressor   [--work FOLDER] [-- options of train-regressor]
    python -m tests.benchmarks.camels networks    [--work FOLDER] [-- options of train-regressor]
    python -m tests.benchmarks.camels suites      [--work FOLDER] [-- options of train-regressor]
    python -m tests.benchmarks.camels cross-suite [--work FOLDER] [-- options of cross-suite]

Over split seeds 0, 1, 2. ``networks``: every network and loss for parameters in one table; ``suites``: a classifier of
IllustrisTNG against SIMBA with each loss; ``cross-suite``: a flow of each suite tested on both, split seed 0.

Everything goes through the command line, with its defaults; what stands complete in the folder is not made again. Peers
(the extra `bench`, or the interpreter that COSMOINFER_PEER_PYTHON names) train on the very same rows, our train and
validation parts together, and are renormalised to the box; one of each, and the mean density of five. Exits with 1
where the data or the peer are missing.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import cosmoinfer
from cosmoinfer import storage
from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.losses import LOSSES
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.posterior import Posterior

SEEDS = (0, 1, 2)
PEERS = tuple((name, members) for members in (1, 5) for name in ("sbi-maf", "sbi-nsf", "lampe-maf", "lampe-nsf"))
NORMALISING = 2000  # draws of a peer a test row, for its mass inside the box
NETWORKS = {
    "ridge": "--network ridge",
    "boosted trees": "--network trees",
    "linear, mse": "--network linear --loss mse",
    **{f"mlp, {name}": f"--network mlp --activation {name}" for name in ACTIVATIONS},
    **{f"mlp, loss {name}": f"--network mlp --loss {name}" for name in LOSSES if name != "moment"},
    "mlp, warm-up of 30 epochs": "--network mlp --warm-up 30",
    "mlp, sgd, cyclic": "--network mlp --optimizer sgd --learning-rate 0.01 --schedule cyclic",
    "mlp behind pca:20": "--network mlp --compress pca:20",
    "mlp behind autoencoder:8": "--network mlp --compress autoencoder:8",
    "cnn in 1-D": "--network cnn --kind profile",
    "cnn in 1-D, residual": "--network cnn --kind profile --blocks 1",
}
CLASSIFIERS = ("cross-entropy", "logistic", "hinge", "cosine")
SHARED = Path(os.environ.get("COSMOINFER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
HISTORIES = SHARED / "data" / "camels_sfrh"
CATALOG = SHARED / "data" / "camels_sfrh" / "IllustrisTNG.h5"
PEER = os.environ.get("COSMOINFER_PEER_PYTHON", sys.executable)
ROOT = Path(__file__).parents[2]


def flow(work: Path, options: list[str]) -> None:
    """Mean test log_prob, natural log, catalog units, normalised over the box; pooled coverage."""
    posteriors = [_posterior(work, "train-flow", seed, options) for seed in SEEDS]
    log_probs = [posterior.log_prob_truth for posterior in posteriors if posterior.log_prob_truth is not None]
    _coverage(posteriors)
    simulation = np.concatenate([posterior.simulation for posterior in posteriors])
    print(
        f"{'ours':18} {_over_seeds(log_probs)} ({', '.join(str(len(posterior)) for posterior in posteriors)} test rows)"
    )
    for name, members in PEERS:
        peer = [_peer(work, name, members, ours, seed) for ours, seed in zip(posteriors, SEEDS, strict=True)]
        gap = np.concatenate(log_probs) - np.concatenate(peer)
        error = clustered_error(gap, simulation)
        print(
            f"{f'{members} x {name}':18} {_over_seeds(peer)}  ours higher by {gap.mean():.2f} +- {error:.2f}",
            flush=True,
        )


def regressor(work: Path, options: list[str]) -> None:
    """R2 of each parameter beside ridge (kept in the model as the reference), and the difference."""
    gains = []
    for seed in SEEDS:
        ours = _posterior(work, "train-regressor", seed, options)
        assert ours.truth is not None and ours.mean is not None and ours.diagnostics.ridge_estimate is not None
        network, ridge = _r2(ours.truth, ours.mean), _r2(ours.truth, ours.diagnostics.ridge_estimate)
        gains.append((network, ridge, _gain_errors(ours)))
        print(f"split seed {seed}: network {_row(network)}  ridge {_row(ridge)}")
    network, ridge, errors = (np.mean(values, axis=0) for values in zip(*gains, strict=True))
    print(f"parameters            {'  '.join(ours.parameters.names)}")
    print(f"network               {_row(network)}")
    print(f"ridge                 {_row(ridge)}")
    print(f"network - ridge       {_row(network - ridge)}")
    print(f"error of one split    {_row(errors)} (paired, clustered by simulation)")


def networks(work: Path, options: list[str]) -> None:
    """R2 of each parameter on the test rows, the mean over the splits."""
    print(f"{'R2 on test rows':28}{'  '.join(cosmoinfer.read_catalog(CATALOG).parameters.names)}")
    for name, options_of_network in NETWORKS.items():
        folder = work / name.replace(" ", "_").replace(":", "")
        folder.mkdir(exist_ok=True)
        scores = []
        for seed in SEEDS:
            ours = _posterior(folder, "train-regressor", seed, [*options_of_network.split(), *options])
            assert ours.truth is not None and ours.mean is not None
            scores.append(_r2(ours.truth, ours.mean))
        print(f"{name:28}{_row(np.mean(scores, axis=0))}", flush=True)


def suites(work: Path, options: list[str]) -> None:
    """Accuracy and confusion matrix on the test simulations of both suites, for each loss."""
    catalog = work / "suites.h5"
    _both_suites(catalog)
    for loss in CLASSIFIERS:
        for seed in SEEDS:
            model, metrics_file = work / f"{loss}.{seed}.h5", work / f"{loss}.{seed}.metrics.h5"
            split = ("--target", "suite", "--loss", loss, "--split-seed", seed)
            _cosmoinfer("train-regressor", catalog, "-o", model, "--quiet", *split, *options)
            _cosmoinfer("evaluate", model, catalog, "-o", metrics_file, "--quiet")
            evaluation = cosmoinfer.load(metrics_file)
            scores = ", ".join(f"{name} {evaluation.value(name):.3f}" for name in ("accuracy", "log_score", "ece"))
            print(f"{loss:14} split seed {seed}: {scores}; confusion {evaluation.confusion.counts}", flush=True)


def cross_suite(work: Path, options: list[str]) -> None:
    """The matrix of trained by tested, in words, as a figure in the folder; and how many minutes it took."""
    simba, start = work / "SIMBA.h5", time.monotonic()
    _simba(simba)
    command = ["cross-suite", CATALOG, simba, "-o", work / "cross.h5", "--figures", work, "--quiet", *options]
    subprocess.run([sys.executable, "-m", "cosmoinfer", *map(str, command)], check=True)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes")


def _simba(path: Path) -> None:
    """Its histories in the layout of the other suite, with the same names, box and priors."""
    parameters, _ = cosmoinfer.read_catalog(CATALOG).require_parameters()
    arrays = {
        "parameters": np.loadtxt(HISTORIES / "params_SIMBA.txt")[:, : len(parameters)],
        "data": np.load(HISTORIES / "SFRH_SIMBA.npy", allow_pickle=False),
    }
    attributes = {"parameters": parameters.attributes(), "data": {"kind": "vector"}}
    storage.write(path, storage.FileContents("catalog", {}, arrays, attributes), force=True)


def _both_suites(path: Path) -> None:
    """One catalog of both: the classes /classes/suite, the parameters beside them."""
    names = ("IllustrisTNG", "SIMBA")
    histories = [np.load(HISTORIES / f"SFRH_{name}.npy", allow_pickle=False) for name in names]
    arrays = {
        "data": np.concatenate(histories),
        "classes/suite": np.repeat([0, 1], [len(history) for history in histories]),
        "simulation": np.array(
            [f"{n}/{row}" for n, history in zip(names, histories, strict=True) for row in range(len(history))]
        ),
    }
    attributes = {"data": {"kind": "vector"}, "classes/suite": {"names": names}}
    storage.write(path, storage.FileContents("catalog", {}, arrays, attributes), force=True)


def _posterior(work: Path, command: str, seed: int, options: list[str]) -> Posterior:
    name = command.removeprefix("train-")
    model, drawn = work / f"{name}.{seed}.h5", work / f"{name}.{seed}.posterior.h5"
    _cosmoinfer(command, CATALOG, "-o", model, "--split-seed", seed, "--quiet", "--threads", 1, *options)
    _cosmoinfer("sample", model, CATALOG, "-o", drawn, "--quiet", "--threads", 1)
    return cosmoinfer.read_posterior(drawn)


def _cosmoinfer(*arguments: Any) -> None:
    command = [sys.executable, "-m", "cosmoinfer", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _peer(work: Path, name: str, members: int, ours: Posterior, seed: int) -> np.ndarray:
    """log_prob of the same test rows under a peer as shipped, renormalised to the box, (n,)."""
    run = work / f"{name}.{seed}"
    out = run.with_name(f"{run.name}.x{members}.npz")
    if not out.exists():
        sims = cosmoinfer.read_catalog(CATALOG)
        test = np.isin(sims.index, ours.index)
        theta, x = sims.theta, np.log10(sims.observables[0].values.astype(np.float64))
        rows = work / f"rows.{seed}.npz"
        box = {"low": ours.parameters.low, "high": ours.parameters.high, "prior": np.array(ours.parameters.prior)}
        split = {"theta_train": theta[~test], "x_train": x[~test], "theta_test": theta[test], "x_test": x[test]}
        np.savez(rows, **split, **box, seed=seed)
        command = [PEER, "-m", "tests.benchmarks.peers", name, rows.resolve(), f"{run.resolve()}.npz"]
        command += ["--ensemble", members, "--draws", NORMALISING]
        process = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
        if process.returncode:
            sys.exit(f"{name} did not run ({process.stderr.strip().splitlines()[-1]}); install the extra `bench`")
    return np.load(out)["log_prob"]


def _coverage(posteriors: list[Posterior]) -> None:
    """coverage_68 of each parameter over all splits, with its error clustered by simulation."""
    inside = []
    for posterior in posteriors:
        assert posterior.truth is not None
        low, high = np.quantile(posterior.samples, [0.16, 0.84], axis=1)
        inside.append((posterior.truth > low) & (posterior.truth < high))
    covered, simulation = np.concatenate(inside), np.concatenate([drawn.simulation for drawn in posteriors])
    for column, name in enumerate(posteriors[0].parameters.names):
        error = clustered_error(covered[:, column].astype(float), simulation)
        share = covered[:, column].mean()
        print(f"coverage_68 {name}: {share:.3f} +- {error:.3f} ({(share - 0.68) / error:+.1f} errors)")


def _r2(truth: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return 1 - ((truth - mean) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)


def _gain_errors(ours: Posterior) -> np.ndarray:
    """Standard error of the difference of two R2 on the same rows, (P,)."""
    assert ours.truth is not None and ours.mean is not None and ours.diagnostics.ridge_estimate is not None
    gap = (ours.truth - ours.diagnostics.ridge_estimate) ** 2 - (ours.truth - ours.mean) ** 2
    scale = ours.truth.var(axis=0)
    return np.array(
        [clustered_error(gap[:, column], ours.simulation) / scale[column] for column in range(gap.shape[1])]
    )


def _over_seeds(log_probs: list[np.ndarray]) -> str:
    """The mean of each split, and of all."""
    means = " ".join(f"{log_prob.mean():6.2f}" for log_prob in log_probs)
    return f"{means}   mean {np.mean([log_prob.mean() for log_prob in log_probs]):.2f}"


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:7.3f}" for value in values)


COMMANDS = {"flow": flow, "regressor": regressor, "networks": networks, "suites": suites, "cross-suite": cross_suite}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=COMMANDS)
    parser.add_argument("--work", type=Path, default=Path("camels.benchmark"), help="folder that keeps what is made")
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    if not CATALOG.exists():
        sys.exit(f"{CATALOG} is missing; COSMOINFER_SHARED names the folder that has data/")
    arguments.work.mkdir(parents=True, exist_ok=True)
    COMMANDS[arguments.which](arguments.work, options.split())


if __name__ == "__main__":
    main()
