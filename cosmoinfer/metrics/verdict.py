"""A verdict in words on each parameter and the joint posterior, from tests that share one error rate.

Rule. For a correct posterior the normal scores z = Phi^-1(rank) of the true values of a parameter are exactly standard
normal, whatever its shape and the number of draws (without draws: the pulls, of mean 0 and mean square 1). Three
tests:

- bias: the mean of z is 0;
- width: the variance of z about its mean is 1 (on the logarithm): coverage at all levels, independent of the bias;
- shape: the ranks are uniform (``sbc_p``).

The first two use Student's t with G - 1 degrees of freedom and standard errors clustered by simulation. The joint
p-values ``tarp_p``, ``tarp_x_p`` and ``hpd_p`` are added where available. Holm's step-down keeps the false-alarm rate
of all verdicts of a posterior together at about 5 %. (Measured: the bias and width tests reject 3 to 6 % at the 5 %
level where every row is a simulation; with 15 equal rows per simulation, the width test rejects 7 %.)

Words: *biased* if the bias test rejects; *over-confident* or *conservative* if the width test does; *biased and
over-confident* if both (and *conservative* beside *biased* only if the 68 % intervals contain more than 68 %);
*miscalibrated in shape* if only the third does; else *calibrated within errors*. The joint verdict combines those of
the parameters; if only joint tests reject, the sign of their area to the curve chooses the word (a posterior equal to
the prior is conservative: the reference points of ``tarp_x_p`` have more information on the truth), unless the coverage
of a parameter is two errors off on the other side: then it is *miscalibrated in shape*.

*Not constrained by the data*: r2 <= 0.05 and corr <= 0.5 (with a larger correlation it is a bias); *returns the prior*
unless the variance has decreased by more than a fifth.

*Worse than the prior* (joint): the interval of ``log_prob_gain`` lies below zero.

*Fixed*: where all simulations have the same true value (CAMELS CV, a fiducial cosmology), ranks and pulls of a correct
posterior are neither uniform nor standard normal, since it is shifted towards the middle of the prior. There the
verdict is the bias, in catalog units, with its error clustered by simulation; calibration is not assessed, nor that of
the other parameters. Nor is it where the true values contradict the prior in another way (``prior_truths``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from cosmoinfer.formatting import decimal_places
from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS, Clusters
from cosmoinfer.metrics.calibration import atc
from cosmoinfer.metrics.estimate import Estimates, EstimatesByMetric
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.holm import holm_adjusted
from cosmoinfer.metrics.metric import JOINT
from cosmoinfer.r2 import UNCONSTRAINED_R2
from cosmoinfer.storage import JSONObject

SIGNIFICANCE = 0.05
NOMINAL_COVERAGE = 0.6827  # of ``coverage_68``
NOTICEABLE_ERRORS = 2.0  # by which a coverage that differs speaks against a word
CALIBRATED, OVER_CONFIDENT, CONSERVATIVE = "calibrated within errors", "over-confident", "conservative"
BIASED, SHAPE = "biased", "miscalibrated in shape"
FIXED = "fixed"
NO_WIDTH = "no width: calibration not available"
WORSE_THAN_PRIOR = "worse than the prior"
UNCONSTRAINED, RETURNS_PRIOR = "not constrained by the data", "(returns the prior)"

_JOINT_RANKS = {"tarp_p": "tarp_ranks", "tarp_x_p": "tarp_x_ranks", "hpd_p": "hpd_ranks"}


@dataclass(frozen=True)
class Verdict:
    """In words: "calibrated within errors", "over-confident", "biased", ...

    joint: on the joint posterior. parameters: on each parameter, by name, in the order of the catalog.
    """

    joint: str
    parameters: Mapping[str, str]

    @property
    def unconstrained(self) -> tuple[str, ...]:
        """Names of the parameters of which the data say next to nothing: the one rule, for words and figures."""
        return tuple(name for name, words in self.parameters.items() if words.startswith(UNCONSTRAINED))

    def to_json(self) -> JSONObject:
        """{"joint": words, "parameters": {name: words}}."""
        return {"joint": self.joint, "parameters": dict(self.parameters)}


@dataclass(frozen=True)
class Check:
    """The test of one hypothesis.

    subject: a parameter, or JOINT.
    kind: "bias", "width", "shape", or the name of a joint p-value.
    p: the p-value.
    sign: on which side the data lie: it chooses the word.
    """

    subject: str
    kind: str
    p: float
    sign: float = 0.0


def verdict(data: EvaluationData, joint: Estimates, parameters: EstimatesByMetric) -> Verdict:
    """From the data and the metrics that were computed: joint ones, and those by parameter."""
    names = data.parameters.names
    calibration = _calibration(data, joint, parameters)
    information = {name: _unconstrained(parameters, name) for name in names}
    common = next(iter(information.values())) if len(set(information.values())) == 1 else ""
    return Verdict(
        join_words(join_words(_worse_than_prior(joint), common), calibration[JOINT]),
        {name: join_words(information[name], calibration[name]) for name in names},
    )


def clustered_bias(scores: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of (n,) scores having mean 0, and the mean's sign."""
    mean, error = clusters.mean(scores)
    return two_sided(mean, error, clusters.count)


def clustered_width(scores: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of (n,) scores having variance 1, and the sign of its logarithm: positive is over-confident.

    The error is at least sqrt(2 / n), that of independent normal scores: few rows can scatter little by chance.
    """
    variance, error = clusters.mean((scores - scores.mean()) ** 2)
    relative = max(error / variance, np.sqrt(2 / len(scores)))
    return two_sided(np.log(variance * clusters.count / (clusters.count - 1)), relative, clusters.count)


def holm(checks: list[Check], significance: float = SIGNIFICANCE) -> list[Check]:
    """The checks that reject when all share one error rate (Holm 1979), in the order of their p-values."""
    ordered = sorted(checks, key=lambda check: check.p)
    corrected = holm_adjusted(np.array([check.p for check in ordered]))
    return [check for check, p in zip(ordered, corrected, strict=True) if p <= significance]


def join_words(first: str, second: str) -> str:
    """Both, with a comma; one alone where the other is empty."""
    return ", ".join(filter(None, (first, second)))


def two_sided(value: float, error: float, simulations: int) -> tuple[float, float]:
    """Student's t with G - 1 degrees of freedom: the p-value of ``value`` being zero, and its sign."""
    if error == 0:  # no scatter between simulations (each truth in the very middle of far too wide draws)
        return float(value == 0), float(np.sign(value))
    return float(2 * stats.t.sf(abs(value) / error, simulations - 1)), float(np.sign(value))


def too_few(clusters: Clusters) -> str:
    """The verdict where there are fewer than MIN_SIMULATIONS simulations."""
    return f"too few simulations to assess calibration ({clusters.count} of {MIN_SIMULATIONS} needed)"


def _calibration(data: EvaluationData, joint: Estimates, parameters: EstimatesByMetric) -> dict[str, str]:
    """The words on calibration, by parameter and for JOINT."""
    subjects = (*data.parameters.names, JOINT)
    if data.prior_mismatch:
        words = dict.fromkeys(subjects, f"calibration not assessed: {data.prior_mismatch}")
        return words | {name: _bias_at_fixed_value(data, name) for name in data.fixed_parameters}
    if data.sbc_ranks is None and data.std is None:
        return dict.fromkeys(subjects, NO_WIDTH)
    scores = _normal_scores(data)
    if data.clusters.count < MIN_SIMULATIONS:
        return dict.fromkeys(subjects, too_few(data.clusters))
    if not np.isfinite(scores).all():
        return dict.fromkeys(subjects, "calibration not available: draws, widths or truths are not finite")
    rejected = holm(_parameter_checks(data, scores, parameters) + _joint_checks(data, joint))
    words = {name: _parameter_words(name, rejected, parameters) for name in data.parameters.names}
    return words | {JOINT: _joint_words(words, rejected, parameters)}


def _bias_at_fixed_value(data: EvaluationData, name: str) -> str:
    """The bias in units of its error, and of the posterior's width: a wide one is drawn to the middle of the prior.

    Bias and error are given to two significant digits of the error.
    """
    column = data.parameters.names.index(name)
    bias, error = data.clusters.mean(data.error[:, column])
    digits = decimal_places(error) if error > 0 else 6
    size = f"{abs(bias) / error:.1f} errors" if error > 0 else "no scatter between simulations"
    if data.std is not None:
        size += f", {abs(data.pull[:, column].mean()):.2f} of its width"
    return f"{FIXED} at {data.truth[0, column]:.6g}: bias {bias:+.{digits}f} +- {error:.{digits}f} ({size})"


def _normal_scores(data: EvaluationData) -> np.ndarray:
    """Standard normal if the posterior is correct, (n, P); positive where the truth lies above."""
    return -data.pull if data.sbc_ranks is None else special.ndtri(data.sbc_ranks)


def _parameter_checks(data: EvaluationData, scores: np.ndarray, parameters: EstimatesByMetric) -> list[Check]:
    checks = []
    for name, column in zip(data.parameters.names, scores.T, strict=True):
        checks.append(Check(name, "bias", *clustered_bias(column, data.clusters)))
        checks.append(Check(name, "width", *clustered_width(column, data.clusters)))
        if (p := _value(parameters, "sbc_p", name)) is not None:
            checks.append(Check(name, "shape", p))
    return checks


def _joint_checks(data: EvaluationData, joint: Estimates) -> list[Check]:
    checks = []
    for metric, ranks in _JOINT_RANKS.items():
        p = joint[metric].value if metric in joint else None
        if p is not None:
            p_of_area, sign = clustered_bias(atc(getattr(data, ranks)), data.clusters)
            checks.append(Check(JOINT, metric, p, sign if p_of_area < SIGNIFICANCE else 0.0))
    return checks


def _parameter_words(name: str, rejected: list[Check], parameters: EstimatesByMetric) -> str:
    signs = {check.kind: check.sign for check in rejected if check.subject == name}
    width = (OVER_CONFIDENT if signs["width"] > 0 else CONSERVATIVE) if "width" in signs else ""
    if "bias" in signs:
        # Ranks that all pile up at one end have a small variance too: that is a bias, and nothing conservative.
        coverage = _value(parameters, "coverage_68", name)
        reliable = width == OVER_CONFIDENT or (coverage is not None and coverage > 0.68)
        return f"{BIASED} and {width}" if width and reliable else BIASED
    return width or (SHAPE if "shape" in signs else CALIBRATED)


def _joint_words(words: dict[str, str], rejected: list[Check], parameters: EstimatesByMetric) -> str:
    miscalibrated = {name: word for name, word in words.items() if word != CALIBRATED}
    if miscalibrated:
        return "; ".join(_with_names(word, miscalibrated, len(words)) for word in dict.fromkeys(miscalibrated.values()))
    signs = {np.sign(check.sign) for check in rejected if check.subject == JOINT} - {0.0}
    if len(signs) == 1 and not is_contradicted(sign := signs.pop(), parameters.get("coverage_68", {})):
        return CONSERVATIVE if sign > 0 else OVER_CONFIDENT
    return SHAPE if any(check.subject == JOINT for check in rejected) else CALIBRATED


def is_contradicted(sign: float, coverage: Estimates) -> bool:
    """Whether a joint posterior that tests call conservative (positive sign) or over-confident has a parameter whose
    intervals contain too few true values, or too many, by more than NOTICEABLE_ERRORS. coverage: by parameter."""
    for estimate in coverage.values():
        if estimate.value is not None and estimate.low is not None and estimate.high is not None:
            distance = sign * (NOMINAL_COVERAGE - estimate.value)
            if distance > NOTICEABLE_ERRORS * (estimate.high - estimate.low) / 2:
                return True
    return False


def _with_names(word: str, miscalibrated: dict[str, str], parameter_count: int) -> str:
    """The word, with the parameters that it is about, unless it is about all of them."""
    names = [name for name, verdict_word in miscalibrated.items() if verdict_word == word]
    return word if len(names) == parameter_count else f"{word} ({', '.join(names)})"


def _worse_than_prior(joint: Estimates) -> str:
    """WORSE_THAN_PRIOR where the information gain is negative beyond its error; else empty."""
    gain = joint.get("log_prob_gain")
    is_worse = gain is not None and gain.high is not None and gain.high < 0
    return WORSE_THAN_PRIOR if is_worse else ""


def _unconstrained(parameters: EstimatesByMetric, name: str) -> str:
    r2, corr = _value(parameters, "r2", name), _value(parameters, "corr", name)
    if r2 is None or r2 > UNCONSTRAINED_R2 or (corr is not None and corr > 0.5):
        return ""
    contraction = _value(parameters, "contraction", name)
    return UNCONSTRAINED if contraction is not None and contraction > 0.2 else f"{UNCONSTRAINED} {RETURNS_PRIOR}"


def _value(parameters: EstimatesByMetric, metric: str, name: str) -> float | None:
    return parameters[metric][name].value if metric in parameters else None
