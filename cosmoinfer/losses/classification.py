"""Losses for classes, and how what a classifier says becomes probabilities.

Labels are the numbers 0 ... C - 1 of the classes, (N,), as whole numbers or floats.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, special
from torch import Tensor
from torch.nn import functional

from cosmoinfer.errors import UserError

LOG_TEMPERATURES = (-7.0, 7.0)  # where the best one is sought


@dataclass(frozen=True)
class ClassificationLoss:
    """terms: outputs (N, O) and labels (N,) -> (N, 1); logits: outputs -> (N, C), largest at the class that is named.

    outputs: of the last layer, for C classes.
    """

    terms: Callable[[Tensor, Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    outputs: Callable[[int], int]


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(f)_y."""
    return functional.cross_entropy(outputs, labels.long(), reduction="none")[:, None]


def _logistic(outputs: Tensor, labels: Tensor) -> Tensor:
    """log(1 + exp(-y f)), y = -1, 1 (Cox 1958)."""
    return functional.softplus(-_signs(labels) * outputs)


def _hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    """The maximum margin. Two classes: max(0, 1 - y f), y = -1, 1 (Cortes & Vapnik 1995).

    More: max(0, 1 + max_{k != y} f_k - f_y) (Crammer & Singer 2001).
    """
    if outputs.shape[1] == 1:
        return (1 - _signs(labels) * outputs).clamp(min=0)
    own = functional.one_hot(labels.long(), outputs.shape[1]).bool()
    rival = outputs.masked_fill(own, -torch.inf).amax(1)
    return (1 + rival - outputs[own]).clamp(min=0)[:, None]


def _cosine(outputs: Tensor, labels: Tensor) -> Tensor:
    """1 - the cosine of the angle between f and the axis of the class."""
    return 1 - functional.normalize(outputs, dim=1).gather(1, labels.long()[:, None])


def _signs(labels: Tensor) -> Tensor:
    """-1 and 1 for the labels 0 and 1, (N, 1)."""
    return (2 * labels.float() - 1)[:, None]


def _as_they_are(outputs: Tensor) -> Tensor:
    return outputs


def _of_margins(outputs: Tensor) -> Tensor:
    """One output f of two classes is the logits 0, f."""
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1) if outputs.shape[1] == 1 else outputs


def _directions(outputs: Tensor) -> Tensor:
    """The loss knows nothing of lengths, so they mean nothing."""
    return functional.normalize(outputs, dim=1)


def _one_of_two(classes: int) -> int:
    if classes != 2:
        raise UserError(f"--loss logistic: expected two classes, found {classes} (use cross-entropy)")
    return 1


def _margins(classes: int) -> int:
    return 1 if classes == 2 else classes


def _one_each(classes: int) -> int:
    return classes


CLASSIFICATION_LOSSES = {
    "cross-entropy": ClassificationLoss(_cross_entropy, _as_they_are, _one_each),
    "logistic": ClassificationLoss(_logistic, _of_margins, _one_of_two),
    "hinge": ClassificationLoss(_hinge, _of_margins, _margins),
    "cosine": ClassificationLoss(_cosine, _directions, _one_each),
}


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / T), (N, C)."""
    return special.softmax(logits / temperature, axis=1)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """T of least mean -log p(label) on rows that were not trained on: temperature scaling (Guo et al., 1706.04599).

    Each class gets one imagined row that is of another class (Platt 1999), or classes that are told apart without an
    error would call for T = 0, which is certainty.
    """
    classes, chosen = logits.shape[1], labels.astype(int)
    counts = np.bincount(chosen, minlength=classes)[:, None]
    targets = (counts * np.eye(classes) + 1) / (counts + classes)  # of each label, (C, C)

    def loss(log_temperature: float) -> float:
        log_p = special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float((targets[chosen] * log_p).sum(1).mean())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded").x))
