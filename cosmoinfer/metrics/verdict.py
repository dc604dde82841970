"""A worded verdict per parameter and for the joint posterior, from tests that keep one error rate between them.

The rule. Per parameter, a right posterior makes the normal scores z = Phi^-1(rank) of the truths exactly standard
normal, whatever its shape and the number of draws (without draws: the pulls, of mean 0 and mean square 1). Three
tests:

- bias: the mean of z is 0;
- width: the variance of z about its mean is 1 (on the logarithm): coverage at all levels at once, free of any bias;
- shape: the ranks are uniform (``sbc_p``).

The first two are Student's t with G - 1 degrees of freedom and standard errors clustered by simulation. Beside them
stand the joint p-values there are: ``tarp_p``, ``tarp_x_p``, ``hpd_p``. Holm's step-down keeps the chance that a right
posterior is accused of anything, in all of its verdicts together, at about 5 %. (Measured: the bias
and width tests reject 3 to 6 % at the 5 % level where every row is a simulation; with 15 equal rows a simulation, the
width test rejects 7 %.)

The words: *biased* if the bias test rejects; *over-confident* or *conservative* if the width test does; *biased and
over-confident* if both (and conservative beside biased only where the 68 % intervals really hold more);
*miscalibrated in shape* if only the third does; else *calibrated within errors*. The joint verdict gathers those of the
parameters; if only joint tests reject, the sign of their area to the curve says which (a posterior equal to the prior
is conservative: ``tarp_x_p`` knows more about the truth than it does).

Not constrained by the data: r2 <= 0.05, and the mean does not follow the truth otherwise (corr <= 0.5: then it is a
bias); "returns the prior" unless the width is known to have shrunk by more than a fifth in variance.

Fixed: where all simulations share one true value (CAMELS CV, a fiducial), ranks and pulls of a right posterior are
neither uniform nor standard normal, since it is drawn towards the middle of the prior. There the verdict is the bias,
in catalog units, with its error clustered by simulation; and no calibration is judged, nor that of other parameters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from cosmoinfer.formatting import decimal_places
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS, Clusters
from cosmoinfer.metrics.calibration import atc
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.holm import holm_adjusted
from cosmoinfer.metrics.metric import JOINT

SIGNIFICANCE = 0.05
UNCONSTRAINED_R2 = 0.05
CALIBRATED, OVER_CONFIDENT, CONSERVATIVE = "calibrated within errors", "over-confident", "conservative"
BIASED, SHAPE = "biased", "miscalibrated in shape"
FIXED = "fixed"
NO_WIDTH = "no width: calibration not available"
UNCONSTRAINED, RETURNS_PRIOR = "not constrained by the data", "(returns the prior)"

_JOINT_TESTS = {"tarp_p": "tarp_ranks", "tarp_x_p": "tarp_x_ranks", "hpd_p": "hpd_ranks"}


@dataclass(frozen=True)
class Check:
    """One hypothesis: its p-value, and to which side the data lie (the sign that picks the word)."""

    of: str  # a parameter, or "joint"
    kind: str  # bias, width, shape, or the name of a joint p-value
    p: float
    side: float = 0.0


def verdict(data: EvaluationData, metrics: dict[str, Any]) -> dict[str, Any]:
    """{"joint": words, "parameters": {name: words}} from the data and the document's metrics."""
    names = data.parameters.names
    calibration = _calibration(data, metrics)
    loose = {name: _unconstrained(metrics["parameters"], name) for name in names}
    common = next(iter(loose.values())) if len(set(loose.values())) == 1 else ""
    return {
        "joint": joined(common, calibration[JOINT]),
        "parameters": {name: joined(loose[name], calibration[name]) for name in names},
    }


def clustered_bias(scores: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of (n,) scores having mean 0, and the mean's sign."""
    mean, error = clusters.mean(scores)
    return two_sided(mean, error, clusters.count)


def clustered_width(scores: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of (n,) scores having variance 1, and the sign of its logarithm: plus is over-confident.

    The error is never taken below that of independent normal scores, sqrt(2 / n): few rows can look too steady.
    """
    variance, error = clusters.mean((scores - scores.mean()) ** 2)
    relative = max(error / variance, np.sqrt(2 / len(scores)))
    return two_sided(np.log(variance * clusters.count / (clusters.count - 1)), relative, clusters.count)


def holm(tests: list[Check], significance: float = SIGNIFICANCE) -> list[Check]:
    """The tests that reject when all share one error rate (Holm 1979): smallest p first, until one does not."""
    found = sorted(tests, key=lambda test: test.p)
    corrected = holm_adjusted(np.array([test.p for test in found]))
    return [test for test, p in zip(found, corrected, strict=True) if p <= significance]


def joined(first: str, second: str) -> str:
    return f"{first}, {second}" if first else second


def two_sided(value: float, error: float, count: int) -> tuple[float, float]:
    """Student's t with G - 1 degrees of freedom: the p-value of ``value`` being zero, and its sign."""
    if error == 0:  # every simulation says the same (each truth in the very middle of far too wide draws)
        return float(value == 0), float(np.sign(value))
    return float(2 * stats.t.sf(abs(value) / error, count - 1)), float(np.sign(value))


def too_few(clusters: Clusters) -> str:
    return f"too few simulations to judge calibration ({clusters.count}, of {MIN_SIMULATIONS} needed)"


def _calibration(data: EvaluationData, metrics: dict[str, Any]) -> dict[str, str]:
    """The words on calibration, by parameter and for the joint."""
    columns = (*data.parameters.names, JOINT)
    if data.prior_mismatch:
        words = dict.fromkeys(columns, f"calibration not judged: {data.prior_mismatch}")
        return words | {name: _at_one_value(data, name) for name in data.fixed_parameters}
    if data.sbc_ranks is None and data.std is None:
        return dict.fromkeys(columns, NO_WIDTH)
    scores = _scores(data)
    if data.clusters.count < MIN_SIMULATIONS:
        return dict.fromkeys(columns, too_few(data.clusters))
    if not np.isfinite(scores).all():
        return dict.fromkeys(columns, "calibration not available: draws, widths or truths are not finite")
    tests = _parameter_tests(data, scores, metrics) + _joint_tests(data, metrics)
    rejected = holm(tests)
    words = {name: _word(name, rejected, metrics) for name in data.parameters.names}
    return words | {JOINT: _joint_word(words, rejected)}


def _at_one_value(data: EvaluationData, name: str) -> str:
    """The bias in units of its error, and of the posterior's width: a wide one is drawn to the middle of the prior.

    Bias and error with the two digits of the error that mean anything.
    """
    column = data.parameters.names.index(name)
    bias, error = data.clusters.mean(data.error[:, column])
    digits = decimal_places(error) if error > 0 else 6
    away = f"{abs(bias) / error:.1f} errors" if error > 0 else "no scatter between simulations"
    if data.std is not None:
        away += f", {abs(data.pull[:, column].mean()):.2f} of its width"
    value = f"{FIXED} at {data.truth[0, column]:.6g}"
    return f"{value}: bias {bias:+.{digits}f} +- {error:.{digits}f} ({away})"


def _scores(data: EvaluationData) -> np.ndarray:
    """Standard normal if the posterior is right, (n, P); plus where the truth lies above."""
    return -data.pull if data.sbc_ranks is None else special.ndtri(data.sbc_ranks)


def _parameter_tests(data: EvaluationData, scores: np.ndarray, metrics: dict[str, Any]) -> list[Check]:
    tests = []
    for name, column in zip(data.parameters.names, scores.T, strict=True):
        tests += [Check(name, "bias", *clustered_bias(column, data.clusters))]
        tests += [Check(name, "width", *clustered_width(column, data.clusters))]
        if (p := _value(metrics["parameters"], "sbc_p", name)) is not None:
            tests += [Check(name, "shape", p)]
    return tests


def _joint_tests(data: EvaluationData, metrics: dict[str, Any]) -> list[Check]:
    tests = []
    for kind, fractions in _JOINT_TESTS.items():
        p = metrics["joint"].get(kind, {}).get("value")
        if p is not None:
            away, side = clustered_bias(atc(getattr(data, fractions)), data.clusters)
            tests.append(Check(JOINT, kind, p, side if away < SIGNIFICANCE else 0.0))
    return tests


def _word(name: str, rejected: list[Check], metrics: dict[str, Any]) -> str:
    found = {test.kind: test.side for test in rejected if test.of == name}
    width = (OVER_CONFIDENT if found["width"] > 0 else CONSERVATIVE) if "width" in found else ""
    if "bias" in found:
        # Ranks that all pile up at one end have a small variance too: that is a bias, and nothing conservative.
        covered = _value(metrics["parameters"], "coverage_68", name)
        trusted = width == OVER_CONFIDENT or (covered is not None and covered > 0.68)
        return f"{BIASED} and {width}" if width and trusted else BIASED
    return width or (SHAPE if "shape" in found else CALIBRATED)


def _joint_word(words: dict[str, str], rejected: list[Check]) -> str:
    wrong = {name: word for name, word in words.items() if word != CALIBRATED}
    if wrong:
        return "; ".join(_grouped(word, wrong, len(words)) for word in dict.fromkeys(wrong.values()))
    sides = {np.sign(test.side) for test in rejected if test.of == JOINT} - {0.0}
    if len(sides) == 1:
        return CONSERVATIVE if sides.pop() > 0 else OVER_CONFIDENT
    return SHAPE if any(test.of == JOINT for test in rejected) else CALIBRATED


def _grouped(word: str, wrong: dict[str, str], parameters: int) -> str:
    names = [name for name, other in wrong.items() if other == word]
    return word if len(names) == parameters else f"{word} ({', '.join(names)})"


def _unconstrained(metrics: dict[str, Any], name: str) -> str:
    r2, corr = _value(metrics, "r2", name), _value(metrics, "corr", name)
    if r2 is None or r2 > UNCONSTRAINED_R2 or (corr is not None and corr > 0.5):
        return ""
    contraction = _value(metrics, "contraction", name)
    return UNCONSTRAINED if contraction is not None and contraction > 0.2 else f"{UNCONSTRAINED} {RETURNS_PRIOR}"


def _value(metrics: dict[str, Any], metric: str, name: str) -> float | None:
    return metrics.get(metric, {}).get(name, {}).get("value")
