"""A worded verdict on a classifier, from tests that keep one error rate between them.

Rule. If the probabilities p_k are calibrated, events occur as often as predicted. Two kinds of events are counted:

- confidence: the most probable class is the true one, predicted with probability max_k p_k;
- frequency: a row is of class k, predicted with p_k; for each class (of two classes, for one).

Where every row is a simulation of its own, the count has the Poisson binomial distribution, whatever the
probabilities, and its tails are exact. Otherwise the mean of (predicted - observed) is divided by its error, clustered
by simulation, and compared to Student's t with G - 1 degrees of freedom, with a correction for skewness (Hall 1992).
The error is at least that of independent rows; at least the predicted scatter times the observed clustering; and, while
fewer than 10 simulations contain a surprise, at least that of simulations whose rows are all equal. Holm's step-down
keeps the false-alarm rate of all tests together at about 5 %. (Measured on 400 calibrated classifiers of each kind: 1
to 4 % where every row is a simulation, 0 to 6 % with 60 to 200 simulations of 5 or 15 rows, 8 % with 40 simulations of
15 rows.)

Words: *over-confident* or *conservative* if the confidence test rejects; *biased towards* the classes that are observed
less often than predicted (*against*, where there are none) if a frequency test does; else *calibrated within errors*.

*Not constrained by the data (returns the prior)*: neither is the mean log probability of the true class above that of
the class frequencies within errors (one-sided, 5 %), nor is the balanced accuracy above chance.
"""

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
    Verdict,
    holm,
    join_words,
    too_few,
    two_sided,
)


def class_verdict(data: EvaluationData, predictions: ClassPredictions) -> Verdict:
    """On the probabilities of the target, the only parameter."""
    if data.clusters.count < MIN_SIMULATIONS:
        words = too_few(data.clusters)
    else:
        information = f"{UNCONSTRAINED} {RETURNS_PRIOR}" if _returns_prior(predictions, data.clusters) else ""
        words = join_words(information, _calibration(predictions, data.clusters, predictions.class_names))
    return Verdict(words, dict.fromkeys(data.parameters.names, words))


def frequency_test(probability: np.ndarray, occurred: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """p-value of events occurring as often as predicted, and the sign of predicted less observed.

    probability: (n,), predicted. occurred: (n,) bool.
    """
    probability = np.clip(probability, 0, 1)  # rounding
    if clusters.one_row_each:
        p = _exact_p_value(probability, int(occurred.sum()))
    else:
        p = _clustered_p_value(probability, occurred, clusters)
    return p, float(np.sign((probability - occurred).sum()))


def _exact_p_value(probability: np.ndarray, observed: int) -> float:
    """Twice the smaller tail of the number of events, the observed number included."""
    pmf = _poisson_binomial(probability)
    return float(np.clip(2 * min(pmf[: observed + 1].sum(), pmf[observed:].sum()), 0, 1))


def _poisson_binomial(probability: np.ndarray) -> np.ndarray:
    """Probability mass function of the number of n independent events that occur, (n + 1,)."""
    trials = np.zeros(1 << (len(probability) - 1).bit_length())  # further trials that never succeed change nothing
    trials[: len(probability)] = probability
    pmf = np.stack([1 - trials, trials], axis=-1)
    while len(pmf) > 1:
        pmf = signal.fftconvolve(pmf[::2], pmf[1::2], axes=1)  # sums of ever more trials
    return pmf[0, : len(probability) + 1]


def _clustered_p_value(probability: np.ndarray, occurred: np.ndarray, clusters: Clusters) -> float:
    """Student's t of the mean of predicted less observed, with the lower limits on its error (see above)."""
    excess, scatter = probability - occurred, np.sqrt(probability * (1 - probability))
    mean, error = clusters.mean(excess)
    residual_norm = np.linalg.norm(excess - mean)
    clustered_error = error / residual_norm * np.linalg.norm(scatter) if residual_norm > 0 else 0.0
    surprising_simulations = len(np.unique(clusters.simulation_of_row[np.abs(excess) > 0.5]))
    equal_rows = np.bincount(clusters.simulation_of_row, scatter)
    expected_scatter = scatter if surprising_simulations >= MIN_SIMULATIONS else equal_rows
    error = float(np.max([error, clustered_error, np.linalg.norm(expected_scatter) / len(clusters)]))
    if error == 0:
        return float(mean == 0)
    skewness = (np.bincount(clusters.simulation_of_row, excess - mean) ** 3).sum() / (error * len(clusters)) ** 3
    t = mean / error
    t_corrected = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6
    return two_sided(t_corrected, 1.0, clusters.count)[0]


def _calibration(predictions: ClassPredictions, clusters: Clusters, classes: tuple[str, ...]) -> str:
    confidence = frequency_test(predictions.confidence, predictions.correct, clusters)
    checks = [Check(JOINT, "confidence", *confidence)]
    for number in range(predictions.class_count if predictions.class_count > 2 else 1):
        probability, of_class = predictions.probabilities[:, number], predictions.label == number
        checks.append(Check(classes[number], "frequency", *frequency_test(probability, of_class, clusters)))
    rejected = holm(checks)
    bias = _bias({check.subject: check.sign for check in rejected if check.kind == "frequency"}, classes)
    width = [OVER_CONFIDENT if check.sign > 0 else CONSERVATIVE for check in rejected if check.kind == "confidence"]
    return " and ".join([bias] * bool(bias) + width) or CALIBRATED


def _bias(signs: dict[str, float], classes: tuple[str, ...]) -> str:
    """signs: of the classes whose frequency is not the predicted one; positive where it was predicted too often."""
    if len(classes) == 2 and signs:
        return f"{BIASED} towards {classes[0] if signs[classes[0]] > 0 else classes[1]}"
    towards = [name for name, sign in signs.items() if sign > 0]
    if towards:
        return f"{BIASED} towards {', '.join(towards)}"
    return f"{BIASED} against {', '.join(signs)}" if signs else ""


def _returns_prior(predictions: ClassPredictions, clusters: Clusters) -> bool:
    frequency = predictions.one_hot.mean(axis=0)[predictions.label]  # of the row's own class, (n,)
    class_count = len(np.unique(predictions.label))
    if class_count == 1 or not np.isfinite(predictions.log_score).all():
        return False
    gain = predictions.log_score - np.log(frequency)
    skill = (predictions.correct / frequency - 1) / class_count
    return not any(_significantly_positive(terms, clusters) for terms in (gain, skill))


def _significantly_positive(terms: np.ndarray, clusters: Clusters) -> bool:
    mean, error = clusters.mean(terms)
    return bool(mean > stats.t.isf(SIGNIFICANCE, clusters.count - 1) * error)
