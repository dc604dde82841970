"""A worded verdict on a classifier, from tests that keep one error rate between them.

The rule. Where probabilities p_k are right, events come true as often as they say. Two kinds of events are counted:

- confidence: the most probable class is the true one, promised with probability max_k p_k;
- frequency: a row is of class k, promised with p_k; for each class, of two for one.

Where every row is a simulation of its own, the count has Poisson's binomial distribution, whatever the probabilities,
and its tails are exact. Else the mean of (promised - came true) is held against its error, clustered by simulation, by
Student's t with G - 1 degrees of freedom, corrected for the skewness of few mistakes in clumps (Hall 1992). The
error is never taken below that of independent rows; nor below what the promised scatter gives with the clumping that
was found; nor, while fewer than 10 simulations have held a surprise, below that of rows that all come out alike. Holm's
step-down keeps the chance that right probabilities are accused of anything at about 5 %. (Measured on 400 right
classifiers of each kind: 1 to 4 % are accused where every row is a simulation, 0 to 6 % with 60 to 200 simulations of
5 or 15 rows, 8 % with 40 simulations of 15.)

The words: *over-confident* or *conservative* if the first kind rejects; *biased towards* the classes that come true
less often than promised (*against*, where there are none) if the second does; else *calibrated within errors*.

Not constrained by the data, returns the prior: neither the mean log probability of the true class beats that of the
classes' own frequencies within errors (one-sided, 5 %), nor the balanced accuracy that of guessing.
"""

from typing import Any

import numpy as np
from scipy import signal, stats

from cosmoinfer.metrics.bootstrap import MIN_SIMULATIONS, Clusters
from cosmoinfer.metrics.classifier.predictions import ClassPredictions
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import JOINT
from cosmoinfer.metrics.verdict import (
    BIASED,
    CALIBRATED,
    CONSERVATIVE,
    OVER_CONFIDENT,
    RETURNS_PRIOR,
    SIGNIFICANCE,
    UNCONSTRAINED,
    Check,
    holm,
    joined,
    too_few,
    two_sided,
)


def class_verdict(data: EvaluationData, predictions: ClassPredictions) -> dict[str, Any]:
    """{"joint": words, "parameters": {the target: the same words}}."""
    if data.clusters.count < MIN_SIMULATIONS:
        words = too_few(data.clusters)
    else:
        loose = f"{UNCONSTRAINED} {RETURNS_PRIOR}" if _returns_prior(predictions, data.clusters) else ""
        words = joined(loose, _calibration(predictions, data.clusters, data.posterior.classes))
    return {JOINT: words, "parameters": dict.fromkeys(data.parameters.names, words)}


def frequency_test(chance: np.ndarray, came: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of events, (n,) bool, coming true with these chances, and the sign of promised less found."""
    chance = np.clip(chance, 0, 1)  # rounding
    p = _exact(chance, int(came.sum())) if clusters.one_row_each else _clustered(chance, came, clusters)
    return p, float(np.sign((chance - came).sum()))


def _exact(chance: np.ndarray, found: int) -> float:
    """Twice the smaller tail of the number of events that come true, the found number in it."""
    spread = _binomial(chance)
    return float(np.clip(2 * min(spread[: found + 1].sum(), spread[found:].sum()), 0, 1))


def _binomial(chance: np.ndarray) -> np.ndarray:
    """Poisson's binomial distribution: how many of n independent events come true, (n + 1,)."""
    trials = np.zeros(1 << (len(chance) - 1).bit_length())  # further trials that never succeed change nothing
    trials[: len(chance)] = chance
    spread = np.stack([1 - trials, trials], axis=-1)
    while len(spread) > 1:
        spread = signal.fftconvolve(spread[::2], spread[1::2], axes=1)  # sums of ever more trials
    return spread[0, : len(chance) + 1]


def _clustered(chance: np.ndarray, came: np.ndarray, clusters: Clusters) -> float:
    excess, scatter = chance - came, np.sqrt(chance * (1 - chance))
    mean, error = clusters.mean(excess)
    around = np.linalg.norm(excess - mean)
    clumped = error / around * np.linalg.norm(scatter) if around > 0 else 0.0
    surprised = len(np.unique(clusters.simulation_of_row[np.abs(excess) > 0.5]))
    alike = scatter if surprised >= MIN_SIMULATIONS else np.bincount(clusters.simulation_of_row, scatter)
    error = float(np.max([error, clumped, np.linalg.norm(alike) / len(clusters)]))
    if error == 0:
        return float(mean == 0)
    skew = (np.bincount(clusters.simulation_of_row, excess - mean) ** 3).sum() / (error * len(clusters)) ** 3
    t = mean / error
    return two_sided(t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6, 1.0, clusters.count)[0]


def _calibration(predictions: ClassPredictions, clusters: Clusters, classes: tuple[str, ...]) -> str:
    tests = [Check(JOINT, "confidence", *frequency_test(predictions.confidence, predictions.correct, clusters))]
    for number in range(predictions.class_count if predictions.class_count > 2 else 1):
        promised, of_class = predictions.probabilities[:, number], predictions.label == number
        tests.append(Check(classes[number], "frequency", *frequency_test(promised, of_class, clusters)))
    rejected = holm(tests)
    bias = _bias({test.of: test.side for test in rejected if test.kind == "frequency"}, classes)
    width = [OVER_CONFIDENT if test.side > 0 else CONSERVATIVE for test in rejected if test.kind == "confidence"]
    return " and ".join([bias] * bool(bias) + width) or CALIBRATED


def _bias(sides: dict[str, float], classes: tuple[str, ...]) -> str:
    """sides: of the classes whose frequency is not the promised one, plus where it was promised too often."""
    if len(classes) == 2 and sides:
        return f"{BIASED} towards {classes[0] if sides[classes[0]] > 0 else classes[1]}"
    towards = [name for name, side in sides.items() if side > 0]
    if towards:
        return f"{BIASED} towards {', '.join(towards)}"
    return f"{BIASED} against {', '.join(sides)}" if sides else ""


def _returns_prior(predictions: ClassPredictions, clusters: Clusters) -> bool:
    share = predictions.one_hot.mean(axis=0)[predictions.label]  # of the row's own class, (n,)
    classes = len(np.unique(predictions.label))
    if classes == 1 or not np.isfinite(predictions.log_score).all():
        return False
    gain, skill = predictions.log_score - np.log(share), (predictions.correct / share - 1) / classes
    return not any(_above_zero(terms, clusters) for terms in (gain, skill))


def _above_zero(terms: np.ndarray, clusters: Clusters) -> bool:
    mean, error = clusters.mean(terms)
    return bool(mean > stats.t.isf(SIGNIFICANCE, clusters.count - 1) * error)
