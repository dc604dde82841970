"""Metrics of a classifier: accuracy, scores and calibration of its class probabilities p_k.

All are of its one target. Classes without a row are left out of averages over classes. weights: (B, n), sets of row
weights that each add to one.
"""

import numpy as np
from scipy import special

from cosmoinfer.metrics.classifier.predictions import ClassPredictions
from cosmoinfer.metrics.classifier.reliability import equal_mass
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.metrics.metric import JOINT, Mean, Metric, Statistic


def balanced_accuracy(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Mean over classes of the accuracy on their rows: (B,). Chance level is one over the number of classes."""
    predictions = _predictions(data)
    of_class = predictions.one_hot[:, np.unique(predictions.label)]
    return ((weights @ (of_class * predictions.correct[:, None])) / (weights @ of_class)).mean(axis=-1)


def brier(data: EvaluationData) -> np.ndarray:
    """Squared distance of the probabilities from the true class, summed over classes, 0 to 2: (n,). Brier 1950."""
    predictions = _predictions(data)
    return ((predictions.probabilities - predictions.one_hot) ** 2).sum(axis=-1)


def log_score_gain(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Information gain: log_score minus that of the class frequencies, in nats: (B,)."""
    predictions = _predictions(data)
    share = weights @ predictions.one_hot  # (B, C)
    return weights @ predictions.log_score - special.xlogy(share, share).sum(axis=-1)


def ece(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error, (B,): mean over bins of |confidence - accuracy|, weighted by their rows.

    Bins of equal mass: Naeini et al. 2015 (AAAI), Guo et al. 2017, arXiv:1706.04599. Each difference keeps the sign
    that it has in all rows: absolute values of resampled differences would be biased upwards.
    """
    predictions = _predictions(data)
    member = equal_mass(predictions.confidence)
    signs = np.sign(np.bincount(member, predictions.overconfidence))
    return np.maximum(weights @ (signs[member] * predictions.overconfidence), 0.0)


def auc(data: EvaluationData, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of two classes, (B,): the probability that a row of the second has the higher p_2.

    Ties count half (Mann & Whitney 1947); it does not depend on which class is the second.
    """
    predictions = _predictions(data)
    level = np.unique(predictions.probabilities[:, 1], return_inverse=True)[1]
    order = np.argsort(level)
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    first, second = (np.add.reduceat((weights * column)[:, order], starts, axis=1) for column in predictions.one_hot.T)
    below = first.cumsum(axis=1) - first / 2  # (B, levels)
    return (second * below).sum(axis=1) / (first.sum(axis=1) * second.sum(axis=1))


def _predictions(data: EvaluationData) -> ClassPredictions:
    assert data.predictions is not None
    return data.predictions


_IMPOSSIBLE = "a true class was given no probability"
_CLASSIFIER = ("predictions",)

CLASSIFICATION: dict[str, Metric] = {
    "accuracy": Mean(terms=lambda e: _predictions(e).correct, scope=JOINT, needs=_CLASSIFIER, is_fraction=True),
    "balanced_accuracy": Statistic(compute=balanced_accuracy, scope=JOINT, needs=_CLASSIFIER),
    "log_score": Mean(
        terms=lambda e: _predictions(e).log_score, scope=JOINT, needs=_CLASSIFIER, explanation=_IMPOSSIBLE
    ),
    "log_score_gain": Statistic(compute=log_score_gain, scope=JOINT, needs=_CLASSIFIER, explanation=_IMPOSSIBLE),
    "brier": Mean(terms=brier, scope=JOINT, needs=_CLASSIFIER),
    "ece": Statistic(compute=ece, scope=JOINT, needs=_CLASSIFIER),
    "auc": Statistic(
        compute=auc, scope=JOINT, needs=("two_class_predictions",), explanation="all rows are of one class"
    ),
}
