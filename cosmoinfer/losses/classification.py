"""Classification losses, and the calibrated class probabilities of a classifier.

Labels (N,) are the indices 0 ... C - 1 of the classes, as integers or floats. Each loss maps outputs f (..., O) and
labels y (...) to (..., 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize, special
from torch import Tensor
from torch.nn import functional

from cosmoinfer.errors import UserError

LOG_TEMPERATURE_BOUNDS = (-7.0, 7.0)  # of ln T, in the search of the best temperature


@dataclass(frozen=True)
class ClassificationLoss:
    """A loss of classification.

    terms: outputs (..., O) and labels (...) -> (..., 1).
    logits: outputs (..., O) -> (..., C), largest at the predicted class.
    n_outputs: C -> O, the number of outputs of the last layer; raises UserError where the loss does not allow C.
    """

    terms: Callable[[Tensor, Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    n_outputs: Callable[[int], int]


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(f)_y."""
    rows = functional.cross_entropy(outputs.flatten(0, -2), labels.flatten().long(), reduction="none")
    return rows.reshape(*labels.shape, 1)


def _logistic(outputs: Tensor, labels: Tensor) -> Tensor:
    """log(1 + exp(-y f)), y = -1, 1 (Cox 1958)."""
    return functional.softplus(-_labels_as_signs(labels) * outputs)


def _hinge(outputs: Tensor, labels: Tensor) -> Tensor:
    """The maximum-margin loss. Two classes: max(0, 1 - y f), y = -1, 1 (Cortes & Vapnik 1995).

    More: max(0, 1 + max_{k != y} f_k - f_y) (Crammer & Singer 2001).
    """
    if outputs.shape[-1] == 1:
        return (1 - _labels_as_signs(labels) * outputs).clamp(min=0)
    is_label = functional.one_hot(labels.long(), outputs.shape[-1]).bool()
    largest_rival = outputs.masked_fill(is_label, -torch.inf).amax(-1)
    return (1 + largest_rival - outputs[is_label].reshape(labels.shape)).clamp(min=0)[..., None]


def _cosine(outputs: Tensor, labels: Tensor) -> Tensor:
    """1 - the cosine of the angle between f and the axis of the class."""
    return 1 - functional.normalize(outputs, dim=-1).gather(-1, labels.long()[..., None])


def _labels_as_signs(labels: Tensor) -> Tensor:
    """-1 and 1 for the labels 0 and 1, (..., 1)."""
    return (2 * labels.float() - 1)[..., None]


def _identity(outputs: Tensor) -> Tensor:
    return outputs


def _logits_from_margins(outputs: Tensor) -> Tensor:
    """One output f of two classes stands for the logits 0, f."""
    return torch.cat([torch.zeros_like(outputs), outputs], dim=-1) if outputs.shape[-1] == 1 else outputs


def _normalised_logits(outputs: Tensor) -> Tensor:
    """Of length one: the cosine loss does not constrain the length of f."""
    return functional.normalize(outputs, dim=-1)


def _one_output_for_two_classes(classes: int) -> int:
    if classes != 2:
        raise UserError(f"expected two classes, found {classes} (use cross-entropy)", setting="loss", value="logistic")
    return 1


def _n_margins(classes: int) -> int:
    return 1 if classes == 2 else classes


def _one_output_per_class(classes: int) -> int:
    return classes


CLASSIFICATION_LOSSES = {
    "cross-entropy": ClassificationLoss(_cross_entropy, _identity, _one_output_per_class),
    "logistic": ClassificationLoss(_logistic, _logits_from_margins, _one_output_for_two_classes),
    "hinge": ClassificationLoss(_hinge, _logits_from_margins, _n_margins),
    "cosine": ClassificationLoss(_cosine, _normalised_logits, _one_output_per_class),
}


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / T) of logits (N, C): (N, C)."""
    return special.softmax(logits / temperature, axis=1)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T that minimises the mean -log p(label) on validation rows (Guo et al., arXiv:1706.04599).

    logits (N, C), labels (N,). Targets are smoothed by one pseudo-count per class (Platt 1999): without it, classes
    that are separated without an error would give T = 0, which is certainty.
    """
    n_classes, label_index = logits.shape[1], labels.astype(int)
    counts = np.bincount(label_index, minlength=n_classes)[:, None]
    targets = (counts * np.eye(n_classes) + 1) / (counts + n_classes)  # smoothed, of each label, (C, C)

    def mean_loss(log_temperature: float) -> float:
        log_p = special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float((targets[label_index] * log_p).sum(1).mean())

    return float(np.exp(optimize.minimize_scalar(mean_loss, bounds=LOG_TEMPERATURE_BOUNDS, method="bounded").x))
