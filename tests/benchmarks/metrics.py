"""Whether the metrics tell a right posterior from a wrong one, and how often they accuse a right one.

    python -m tests.benchmarks.metrics [--rows-per-simulation 1 5] [--repetitions 200] [--quick]

A linear Gaussian problem of two parameters, whose posterior is a formula, at 500 simulations: the exact posterior, one
1.5 times too wide, one 1.5 times too narrow, one shifted by half a standard deviation; every metric of each, the
verdicts and the default gates that fail. A star: more than three errors from the value of the exact one, or a p-value
below 0.01.

Marks: the four verdicts; and over repetitions of the exact posterior, each p-value is below 0.05 as often as it should
be, the verdict accuses in at most 5 %, the default gates in at most 2 % (all within binomial errors, at odds of 1 in
1000). The local test, of 101 trainings each, is repeated less often, at 100 simulations. Exits with 1 where a mark is
missed.
"""

import argparse
import sys
import time

import numpy as np
from scipy import stats

from cosmoinfer.metrics import Estimate, Evaluation, ReferencePosterior, check_default_gates, evaluate
from cosmoinfer.posterior import Posterior
from cosmoinfer.simulators.linear_gaussian import LinearGaussian
from tests.posteriors import make

PROBLEM = LinearGaussian(dimensions=2)
CASES = {
    "exact": ((1.0, 0.0), "calibrated within errors"),
    "1.5 x wide": ((1.5, 0.0), "conservative"),
    "1.5 x narrow": ((1 / 1.5, 0.0), "over-confident"),
    "shifted": ((1.0, 0.5), "biased"),
}
LEVEL, GATE_LEVEL, ODDS = 0.05, 0.02, 1e-3
P_VALUES = ("sbc_p", "tarp_p", "tarp_x_p", "hpd_p")


def posterior(
    simulations: int, rows: int, draws: int, seed: int, width: float = 1.0, shift: float = 0.0, repeat: int = 0
) -> Posterior:
    """Universes from the prior, ``rows`` observations of each; the exact posterior of each, widened and shifted.

    repeat: other draws of the same universes. The point that depends on the observation, for TARP and the local test,
    is the exact mean.
    """
    random = np.random.default_rng(seed)
    theta = np.repeat(random.standard_normal((simulations, 2)), rows, axis=0)
    data = PROBLEM.observe(theta, random)
    exact, covariance = PROBLEM.mean(data), width**2 * PROBLEM.covariance
    mean = exact + shift * np.sqrt(np.diag(PROBLEM.covariance))
    noise = stats.multivariate_normal(np.zeros(2), covariance)
    offsets = noise.rvs((len(theta), draws), random_state=np.random.default_rng((seed, repeat)))
    return make(
        PROBLEM.parameters,
        np.arange(len(theta)),
        np.repeat(np.arange(simulations), rows).astype(str),
        np.full(len(theta), 2, np.uint8),
        theta,
        samples=mean[:, None] + offsets,
        log_prob=noise.logpdf(offsets),
        log_prob_truth=noise.logpdf(theta - mean),
        ridge_estimate=exact,
        fisher=PROBLEM.fisher(theta),
    )


def estimates(evaluation: Evaluation) -> dict[str, Estimate]:
    """Every number of an evaluation by its full name."""
    by_name = dict(evaluation.joint)
    for scope in (evaluation.parameters, evaluation.pairs, evaluation.local):
        for metric, columns in scope.items():
            by_name |= {f"{metric}[{name}]": estimate for name, estimate in columns.items()}
    return by_name


def show(simulations: int, rows: int, draws: int) -> list[str]:
    """The table of four posteriors; what was missed."""
    exact = ReferencePosterior(posterior(simulations, rows, draws, seed=0), "exact posterior", exact=True)
    evaluations = {}
    for number, (name, (wrong, _)) in enumerate(CASES.items(), start=1):
        drawn = posterior(simulations, rows, draws, 0, *wrong, repeat=number)
        evaluations[name] = evaluate(drawn, reference=exact, local=(0,))
    print(
        f"\n{simulations} simulations of {rows} rows, {draws} draws\n{'':28}" + "".join(f"{case:>22}" for case in CASES)
    )
    values = {name: estimates(evaluation) for name, evaluation in evaluations.items()}
    for metric in values["exact"]:
        print(f"{metric:28}" + "".join(f"{_cell(values[case][metric], values['exact'][metric]):>22}" for case in CASES))
    missed = []
    for name, (_, expected) in CASES.items():
        words, failed = evaluations[name].verdict.joint, check_default_gates(evaluations[name]).failed
        print(f"{name:14} verdict: {words}; failed gates: {', '.join(failed) or 'none'}", flush=True)
        missed += [f"{name}, {rows} rows a simulation: {words!r}"] if words != expected else []
    return missed


def _cell(estimate: Estimate, exact: Estimate) -> str:
    if estimate.value is None:
        return "-"
    if estimate.error is None:
        return f"{estimate.value:.3g}" + "*" * (estimate.value < 0.01)
    far = abs(estimate.value - (exact.value or 0.0)) > 3 * max(estimate.error, exact.error or 0.0)
    return f"{estimate.value:.3g} +- {estimate.error:.1g}" + "*" * far


def false_alarms(simulations: int, rows: int, draws: int, repetitions: int) -> list[str]:
    """How often a right posterior is accused, by what; what was missed."""
    alarms: dict[str, list[bool]] = {}
    for seed in range(repetitions):
        evaluation = evaluate(posterior(simulations, rows, draws, 1000 + seed), seed)
        for name, estimate in estimates(evaluation).items():
            if name.split("[")[0] in P_VALUES:
                alarms.setdefault(name, []).append((estimate.value or 0.0) < LEVEL)
        corrected = evaluation.parameters["sbc_p_holm"].values()
        alarms.setdefault("sbc_p_holm, any", []).append(any((p.value or 0.0) < LEVEL for p in corrected))
        alarms.setdefault("verdict", []).append(evaluation.verdict.joint != CASES["exact"][1])
        alarms.setdefault("default gates", []).append(bool(check_default_gates(evaluation).failed))
    print(f"\nfalse alarms over {repetitions} exact posteriors of {simulations} simulations of {rows} rows")
    at_most = {"sbc_p_holm, any": LEVEL, "verdict": LEVEL, "default gates": GATE_LEVEL}
    return [line for name, rejections in alarms.items() if (line := _count(name, rejections, at_most.get(name)))]


def local_alarms(rows: int, repetitions: int) -> list[str]:
    rejections = []
    for seed in range(repetitions):
        evaluation = evaluate(posterior(100, rows, 200, 5000 + seed), seed, local=(0,))
        rejections.append((evaluation.value("lc2st_p", "0") or 0.0) <= LEVEL)
    print(f"\nfalse alarms over {repetitions} exact posteriors of 100 simulations of {rows} rows")
    return [line for line in [_count("lc2st_p", rejections, None)] if line]


def _count(name: str, rejections: list[bool], at_most: float | None) -> str:
    """Prints the rate; says so where it is not the nominal one (or below it, where it need only be that)."""
    alarms, total = sum(rejections), len(rejections)
    side = "two-sided" if at_most is None else "greater"
    odds = stats.binomtest(alarms, total, at_most or LEVEL, alternative=side).pvalue
    nominal = f"{at_most:.3f} at most" if at_most else f"{LEVEL:.3f}"
    print(
        f"{name:24} {alarms / total:.3f} +- {np.sqrt(LEVEL * (1 - LEVEL) / total):.3f} (nominal {nominal})", flush=True
    )
    return f"{name}: {alarms} of {total} false alarms" if odds < ODDS else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows-per-simulation", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions and of the draws")
    arguments = parser.parse_args()
    repetitions = arguments.repetitions // 10 if arguments.quick else arguments.repetitions
    draws, missed, start = 200 if arguments.quick else 2000, [], time.monotonic()
    for rows in arguments.rows_per_simulation:
        missed += show(500, rows, draws)
        missed += false_alarms(500, rows, 200, repetitions)
        missed += local_alarms(rows, max(5, repetitions // 4))
    print(f"\n{time.monotonic() - start:.0f} s")
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
