"""Alarms on sound data: the audit, and observations that are called unlike the training data.

    python -m tests.benchmarks.false_alarms [--catalogs 200] [--seed 0]

Catalogs of every simulator in turn, of 100 to 1,000 simulations, and the CAMELS histories under other split seeds. Of
each the audit, in full and before a training, and the distances of a flow without an embedding, fitted to the training
and validation rows, of which nothing needs to be trained. Test rows are then taken as observations one by one, ten at a
time and all together. Marks: errors or warnings of the audit on at most 1 % of the catalogs; at most 1 % of rows warned
about one by one, and of sets of ten. A set of all test rows shares its validation rows with no other: its count is
printed beside the chance of so many. Exits with 1 where a mark is missed or the data are missing.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy import stats

import cosmoinfer
from cosmoinfer import split
from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.ood.detector import data_features, fit_detector
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.simulators import SIMULATORS
from tests.benchmarks.audit import DEPTHS
from tests.benchmarks.camels import CATALOG

NOMINAL = 0.01
SETS = {"one by one": 1, "ten at a time": 10, "all together": 0}  # rows of a set; 0 for all
SIZES = (100, 300, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not CATALOG.exists():
        sys.exit(f"{CATALOG} is missing; COSMOINFER_SHARED names the folder that has data/")
    audited: Counter[str] = Counter()
    alarms: dict[str, list[bool]] = {name: [] for name in SETS}
    by_problem: dict[str, list[bool]] = {}
    for name, sims, seed in sound_catalogs(arguments.catalogs, arguments.seed):
        partitions = split.by_hash(sims.simulation, split.DEFAULT_FRACTIONS, seed)
        for depth, audit in DEPTHS.items():
            findings = audit(sims)
            audited[depth] += bool(findings)
            for finding in findings:
                print(f"audit {depth}: {name}, {len(sims)} rows: {finding.check}: {finding.message}")
        for set_name, warned in warnings(sims, partitions).items():
            alarms[set_name] += warned
            if set_name == "one by one":
                by_problem.setdefault(name, []).extend(warned)
    for name, warned in by_problem.items():
        print(f"{name:20} {sum(warned):4} of {len(warned):5} rows warned about one by one ({np.mean(warned):.4f})")
    missed = [depth for depth, count in audited.items() if count > NOMINAL * arguments.catalogs]
    for depth, count in audited.items():
        print(f"audit {depth}: an alarm on {count} of {arguments.catalogs} sound catalogs")
    for name, warned in alarms.items():
        chance = stats.binomtest(sum(warned), len(warned), NOMINAL, "greater").pvalue
        print(f"{name}: {sum(warned)} of {len(warned)} warned about ({np.mean(warned):.4f}; p of so many {chance:.2g})")
        missed += [name] if name != "all together" and np.mean(warned) > NOMINAL else []
    if missed:
        sys.exit(f"missed: alarms on at most {NOMINAL:.0%}: {', '.join(missed)}")


def sound_catalogs(count: int, seed: int) -> Iterator[tuple[str, Catalog, int]]:
    """Name, catalog and split seed, ``count`` of them."""
    camels = cosmoinfer.read_catalog(CATALOG)
    problems = [*SIMULATORS, "CAMELS"]
    for number in range(count):
        name, turn = problems[number % len(problems)], number // len(problems)
        if name == "CAMELS":
            yield name, camels, seed + turn
        else:
            yield name, cosmoinfer.simulate(name, rows=SIZES[turn % len(SIZES)], seed=seed + number), seed + number


def warnings(sims: Catalog, partitions: split.Split) -> dict[str, list[bool]]:
    """Of each way of taking the test rows, whether each set of them is warned about."""
    preprocessing = fit_preprocessing(sims, partitions, ReadOptions(), "auto")
    spaces = partial(data_features, preprocessing)
    detector = fit_detector(preprocessing, spaces, sims, partitions, partitions.sizes[0])
    assert detector is not None
    rows = partitions.select_rows(sims.simulation, "test")
    percentile, simulation = detector.percentile(spaces(sims, rows)), sims.simulation[rows]
    warned = {}
    for name, size in SETS.items():
        sets = np.array_split(np.arange(len(rows)), max(1, len(rows) // (size or len(rows))))
        warned[name] = [detector.excess_outliers(percentile[chosen], simulation[chosen]) is not None for chosen in sets]
    return warned


if __name__ == "__main__":
    main()
