"""Predictions of a classifier beside the true classes: what all metrics of classes share, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cosmoinfer.storage import JSONObject


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of C classes.

    classes: their names. counts: C rows of C integers, rows of each true class (down) by predicted class (across).
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Confusion":
        """From {"classes", "counts"}."""
        return cls(tuple(document["classes"]), tuple(tuple(row) for row in document["counts"]))

    def to_json(self) -> JSONObject:
        """{"classes": [name], "counts": [[integer]]}."""
        return {"classes": list(self.classes), "counts": [list(row) for row in self.counts]}


@dataclass(frozen=True)
class ClassPredictions:
    """n rows of a classifier of C classes.

    probabilities: (n, C), each row adding to one. label: (n,), the number of the true class, 0..C-1.
    class_names: of the C classes.
    """

    probabilities: np.ndarray
    label: np.ndarray
    class_names: tuple[str, ...] = ()

    @property
    def class_count(self) -> int:
        return int(self.probabilities.shape[1])

    @cached_property
    def one_hot(self) -> np.ndarray:
        """(n, C): one at the true class, zero elsewhere."""
        return np.eye(self.class_count)[self.label]

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class, (n,); the first of ties."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the most probable class, (n,)."""
        return self.probabilities.max(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """(n,) bool."""
        return self.predicted == self.label

    @property
    def overconfidence(self) -> np.ndarray:
        """confidence - correct, (n,): of mean zero for calibrated probabilities, above it for over-confident ones."""
        return self.confidence - self.correct

    @property
    def log_score(self) -> np.ndarray:
        """log p of the true class, (n,), in nats; -inf where its probability is zero."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities[np.arange(len(self.label)), self.label])

    @property
    def confusion(self) -> Confusion:
        """The confusion matrix, with the names of the classes."""
        cell = self.class_count * self.label + self.predicted
        counts = np.bincount(cell, minlength=self.class_count**2).reshape(self.class_count, -1)
        return Confusion(self.class_names, tuple(map(tuple, counts.tolist())))
