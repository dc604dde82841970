"""Every problem with an exact posterior: is the default posterior calibrated? SBC, coverage, TARP and HPD on 500 rows.

    python -m tests.benchmarks.calibrated [--work FOLDER] [--problem NAME ...] [--rows 10000] [-- options of train-flow]

One p-value for the ranks of each parameter, for its coverage at 68 and 95 % (exact binomial), and for the joint ranks
by TARP and by highest density. Mark: none is rejected at 1 % after Holm's correction over all of them, of all problems;
exits with 1 where one is. The catalogs and models are those of ``tests.benchmarks.accuracy``, in the same folder.
"""

import argparse
import sys
from pathlib import Path

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
    words, _, options = " ".join(sys.argv[1:]).partition(" -- ")
    arguments = parser.parse_args(words.split())
    arguments.work.mkdir(parents=True, exist_ok=True)
    checks: list[Check] = []
    for problem in arguments.problem:
        checks += _checks(arguments.work, problem, arguments.rows or FEWER.get(problem, 10_000), options.split())
    rejected = holm(checks, SIGNIFICANCE)
    print(f"{len(checks)} tests; the smallest p-value {min(check.p for check in checks):.2g}; at 1 % of them all:")
    print(
        "\n".join(f"REJECTED {check.subject} {check.kind}: p = {check.p:.2g}" for check in rejected)
        or "none is rejected"
    )
    if rejected:
        sys.exit(f"{len(rejected)} tests reject")


def _checks(work: Path, problem: str, rows: int, options: list[str]) -> list[Check]:
    """Of the posterior of the test rows; prints what it is worth, and its verdict."""
    catalog = accuracy.catalog_path(work, problem, rows)
    exact = accuracy.make(catalog, problem, rows)[2]
    drawn = accuracy.sampled(catalog, [*accuracy.OPTIONS.get(problem, ()), *options])
    evaluation = metrics.evaluate(drawn)
    assert drawn.log_prob_truth is not None
    short = exact - drawn.log_prob_truth
    words = evaluation.verdict.joint
    print(
        f"{problem:20} {rows:6} rows, {len(drawn)} tested: {short.mean():.3f} nat short of exact; {words}", flush=True
    )
    checks = [Check(problem, kind, p) for kind in JOINT if (p := evaluation.value(kind)) is not None]
    for name in drawn.parameters.names:
        if (p := evaluation.value("sbc_p", name)) is not None:
            checks.append(Check(problem, f"sbc[{name}]", p))
        for level in (68, 95):
            covered = round((evaluation.value(f"coverage_{level}", name) or 0.0) * len(drawn))
            p_value = stats.binomtest(covered, len(drawn), level / 100).pvalue
            checks.append(Check(problem, f"coverage_{level}[{name}]", float(p_value)))
    return checks


if __name__ == "__main__":
    main()
