"""False alarms of the audit, and the faults that it finds: random linear Gaussian catalogs, sound and spoiled.

    python -m tests.benchmarks.audit [--catalogs 200] [--seed 0]

Of each catalog everything is drawn: 100 to 2,000 simulations of 1 to 15 rows, 1 to 6 parameters of any prior, 1 to 60
features, noise of 0.2 to 4 times what the parameters do. Sound are those in which the data know of some parameter more
than chance does: the R2 of the best linear estimate, exactly, times the simulations is 30 or more; others are drawn
anew. Marks: errors or warnings on at most 1 % of sound catalogs, at full depth and before a training. Of what is
planted, the share that is found, and found for what it is, by the R2 that a ridge regression has on the sound catalog:
what a network would hardly feel need not be found. Exits with 1 where a mark is missed.
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmoinfer.audit import CHECKS, Finding, audit_before_training
from cosmoinfer.audit.check import CatalogUnderTest
from cosmoinfer.audit.dependence import association_tests
from cosmoinfer.catalog import Catalog, Observable
from cosmoinfer.parameters import Parameters
from cosmoinfer.split import by_hash

EDGES = (0.0, 0.1, 0.3, 1.0)  # of R2
KNOWN = 30  # simulations over those that a linear estimate needs to be better than none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sound = [_sound(np.random.default_rng([arguments.seed, number])) for number in range(arguments.catalogs)]
    alarms, spent, sure = Counter(), Counter(), []
    for sims in sound:
        for depth, look in DEPTHS.items():
            start = time.process_time()
            findings = look(sims)
            spent[depth] += time.process_time() - start
            alarms[depth] += bool(findings)
            for finding in findings:
                print(
                    f"{depth}: {len(sims)} rows of {len(set(sims.simulation))}: "
                    f"{finding.level}, {finding.check}: {finding.message}"
                )
        sure.append(_r2(sims))
    for depth in DEPTHS:
        low = f"{alarms[depth]} of {len(sound)} sound catalogs give an alarm"
        print(f"{depth}: {low}; {spent[depth] / len(sound):.3f} s of CPU each")
    for name, spoil in FAULTS.items():
        counts = []
        for low, high in itertools.pairwise(EDGES):
            catalogs = [sims for sims, r2 in zip(sound, sure, strict=True) if low <= r2 < high]
            hits = [_hit(spoil(sims, np.random.default_rng(arguments.seed)), name) for sims in catalogs]
            counts.append(f"R2 {low:g}..{high:g}: {sum(hits)} of {len(hits)}")
        print(f"{name}: found in {'; '.join(counts)}")
    if max(alarms.values()) > 0.01 * len(sound):
        sys.exit("missed: false alarms in at most 1 % of sound catalogs")


def _full(sims: Catalog) -> list[Finding]:
    """But for how the file lies on disk: there is none."""
    subject = CatalogUnderTest(sims)
    checks = {name: check for name, check in CHECKS.items() if name != "storage_layout"}
    findings = [replace(finding, check=name) for name, check in checks.items() for finding in check.find(subject)]
    return [finding for finding in findings if finding.level != "note"]


DEPTHS: dict[str, Callable[[Catalog], list[Finding]]] = {
    "full": _full,
    "before a training": lambda sims: audit_before_training(sims, by_hash(sims.simulation)),
}


def _sound(rng: np.random.Generator) -> Catalog:
    """Of what is drawn, the first whose data know of the parameters."""
    while True:
        sims, r2 = _drawn(rng)
        if r2 * len(set(sims.simulation.tolist())) >= KNOWN:
            return sims


def _drawn(rng: np.random.Generator) -> tuple[Catalog, float]:
    """x = A u + noise, u the parameters in units of their prior; noise of the universe, and of the row; and the R2 of
    the parameter that is known best, A_p^T C^-1 A_p var(u)."""
    count, rows_per_simulation = (
        int(np.exp(rng.uniform(np.log(100), np.log(2000)))),
        int(rng.choice([1, 1, 1, 2, 4, 15])),
    )
    size, features = int(rng.integers(1, 7)), int(np.exp(rng.uniform(0, np.log(60))))
    parameters = _parameters(size, rng)
    u = rng.random((count, size))
    theta = parameters.quantile(u)
    slope = rng.normal(size=(size, features)) * np.sqrt(12 / size)
    signal = (u - 0.5) @ slope
    noise = np.exp(rng.uniform(np.log(0.2), np.log(4)))
    scatter = slope.T @ slope / 12 + 0.49 * noise**2 * (1 + 1 / rows_per_simulation) * np.eye(features)
    best = float((slope * np.linalg.solve(scatter, slope.T).T).sum(axis=1).max() / 12)
    simulation = np.repeat(np.arange(count), rows_per_simulation)
    x = (signal + 0.7 * noise * rng.normal(size=signal.shape))[simulation]
    x += 0.7 * noise * rng.normal(size=x.shape)
    x = np.exp(x / x.std(axis=0)) if rng.random() < 0.3 else x + rng.normal(size=features) * 10
    x *= 10 ** rng.uniform(-3, 3, features)  # units
    summary = Observable("data", "vector", x.astype(np.float32))
    rows = np.arange(len(x))
    declared_parameters = parameters if rng.random() < 0.8 else Parameters.from_names(parameters.names)
    declared_names = frozenset(declared_parameters.names)
    ids = simulation.astype(str)
    return Catalog(
        Path("sims.h5"), declared_parameters, theta[simulation], (summary,), ids, rows, declared_priors=declared_names
    ), best


def _parameters(size: int, rng: np.random.Generator) -> Parameters:
    prior = rng.choice(["uniform", "log-uniform", "normal"], size)
    low = np.exp(rng.uniform(-3, 3, size))
    high = low * np.exp(rng.uniform(0.5, 3, size))
    low, high = (np.where(prior == "normal", end, edge) for end, edge in ((-np.inf, low), (np.inf, high)))
    names = [f"theta_{column}" for column in range(size)]
    return Parameters.from_names(names, low, high, prior.tolist(), rng.normal(size=size), np.exp(rng.normal(size=size)))


def _r2(sims: Catalog) -> float:
    return max(question.best_r2 for question in association_tests(CatalogUnderTest(sims)))


def _simulations(sims: Catalog, order: np.ndarray) -> Catalog:
    """The data of other simulations, beside parameters and ids that stay: order (G,)."""
    rows = np.argsort(sims.simulation.astype(int), kind="stable").reshape(len(order), -1)
    return replace(sims, observables=sims.select(rows[order].ravel()).observables)


def _by_name(sims: Catalog, rng: np.random.Generator) -> Catalog:
    names = sorted(set(sims.simulation.tolist()))
    return _simulations(sims, np.array(names, dtype=int))


def _shifted(sims: Catalog, rng: np.random.Generator) -> Catalog:
    return _simulations(sims, np.roll(np.arange(len(set(sims.simulation.tolist()))), 1))


def _shuffled(sims: Catalog, rng: np.random.Generator) -> Catalog:
    return _simulations(sims, rng.permutation(len(set(sims.simulation.tolist()))))


FAULTS: dict[str, Callable[[Catalog, np.random.Generator], Catalog]] = {
    "sorted by name": _by_name,
    "shifted": _shifted,
    "no dependence": _shuffled,
}


def _hit(sims: Catalog, name: str) -> bool:
    """Before a training, where fewer shuffles and rows are asked."""
    return any(name in finding.message for finding in audit_before_training(sims, by_hash(sims.simulation)))


if __name__ == "__main__":
    main()
