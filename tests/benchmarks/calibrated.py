"""Every problem with an exact posterior: is the default posterior calibrated? SBC, coverage, TARP and HPD on 500 rows.

    python -m tests.benchmarks.calibrated [--work FOLDER] [--problem NAME ...] [--rows 10000] [--seeds N ...]
        [-- options of train-flow]

One p-value for the ranks of each parameter, for its coverage at 68 and 95 % (exact binomial), and for the joint ranks
by TARP and by highest density. Mark: none is rejected at 1 % after Holm's correction over all of them, of all problems;
exits with 1 where one is. With several seeds, each a catalog of its own and a model, also the coverage over all of them
with its error from catalog to catalog, and how often each verdict was given. The catalogs and models are those of
``tests.benchmarks.accuracy``, in the same folder.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from scipy import stats

from cosmoinfer import metrics
from cosmoinfer.metrics.verdict import Check, holm
from cosmoinfer.simulators import SIMULATORS
from tests.benchmarks import accuracy

SIGNIFICANCE = 0.01
FEWER = {  # rows by default: what goes through a CNN takes minutes a thousand
    "gaussian-profiles": 4000,
    "gaussian-maps": 4000,
    "gaussian-grids": 1000,
    "lognormal-maps": 4000,
    "lognormal-pairs": 4000,
}
JOINT = ("tarp_p", "tarp_x_p", "hpd_p")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("accuracy.benchmark"), help="folder that keeps what is made")
    parser.add_argument("--problem", nargs="+", default=tuple(SIMULATORS), choices=tuple(SIMULATORS))
    parser.add_argument("--rows", type=int, help="in place of 10,000, and fewer of what has axes")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0,), help="of the simulations: catalogs")
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    checks: list[Check] = []
    for problem in arguments.problem:
        rows = arguments.rows or FEWER.get(problem, 10_000)
        evaluations = [_evaluate(arguments.work, problem, rows, seed, options.split()) for seed in arguments.seeds]
        for seed, evaluation in zip(arguments.seeds, evaluations, strict=True):
            checks += _checks(f"{problem} {seed}", evaluation)
        if len(evaluations) > 1:
            _summarise(problem, evaluations)
    rejected = holm(checks, SIGNIFICANCE)
    print(f"{len(checks)} tests; the smallest p-value {min(check.p for check in checks):.2g}; at 1 % of them all:")
    print(
        "\n".join(f"REJECTED {check.subject} {check.kind}: p = {check.p:.2g}" for check in rejected)
        or "none is rejected"
    )
    if rejected:
        sys.exit(f"{len(rejected)} tests reject")


def _evaluate(work: Path, problem: str, rows: int, seed: int, options: list[str]) -> metrics.Evaluation:
    """Of the posterior of the test rows; prints what it is worth, and its verdict."""
    catalog = accuracy.catalog_path(work, problem, rows, seed)
    exact = accuracy.make(catalog, problem, rows, seed)[2]
    drawn = accuracy.sampled(catalog, [*accuracy.OPTIONS.get(problem, ()), *options])
    evaluation = metrics.evaluate(drawn)
    assert drawn.log_prob_truth is not None
    short = exact - drawn.log_prob_truth
    words = evaluation.verdict.joint
    print(
        f"{problem:20} {rows:6} rows, seed {seed}, {len(drawn)} tested: {short.mean():.3f} nat short of exact; {words}",
        flush=True,
    )
    return evaluation


def _checks(subject: str, evaluation: metrics.Evaluation) -> list[Check]:
    """Of each parameter, and of the joint posterior."""
    checks = [Check(subject, kind, p) for kind in JOINT if (p := evaluation.value(kind)) is not None]
    for name in evaluation.verdict.parameters:
        if (p := evaluation.value("sbc_p", name)) is not None:
            checks.append(Check(subject, f"sbc[{name}]", p))
        for level in (68, 95):
            covered = round((evaluation.value(f"coverage_{level}", name) or 0.0) * accuracy.TEST)
            p_value = stats.binomtest(covered, accuracy.TEST, level / 100).pvalue
            checks.append(Check(subject, f"coverage_{level}[{name}]", float(p_value)))
    return checks


def _summarise(problem: str, evaluations: list[metrics.Evaluation]) -> None:
    """Coverage over all catalogs, and how often each verdict was given."""
    for name in evaluations[0].verdict.parameters:
        for level in (68, 95):
            covered = np.array([evaluation.value(f"coverage_{level}", name) for evaluation in evaluations], float)
            error = covered.std(ddof=1) / np.sqrt(len(covered))
            nominal = (covered.mean() - level / 100) / error
            print(f"{problem} coverage_{level} {name}: {covered.mean():.3f} +- {error:.3f} ({nominal:+.1f} errors)")
    for words, count in Counter(evaluation.verdict.joint for evaluation in evaluations).most_common():
        print(f"{problem} joint posterior: {words}: {count} of {len(evaluations)}", flush=True)


if __name__ == "__main__":
    main()
