"""What a classifier says of n rows beside what they are: what all metrics of classes share, computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class ClassPredictions:
    """probabilities: (n, C). label: (n,), the number of the true class, 0..C-1."""

    probabilities: np.ndarray
    label: np.ndarray

    @property
    def class_count(self) -> int:
        return self.probabilities.shape[1]

    @cached_property
    def one_hot(self) -> np.ndarray:
        """(n, C): one at the true class, zero elsewhere."""
        return np.eye(self.class_count)[self.label]

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class, (n,); the first of equals."""
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
        """confidence - correct, (n,): of mean zero for right probabilities, above it where they promise too much."""
        return self.confidence - self.correct

    @property
    def log_score(self) -> np.ndarray:
        """log p of the true class, (n,), in nats; -inf where it was given none."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities[np.arange(len(self.label)), self.label])

    @property
    def confusion(self) -> np.ndarray:
        """Rows of each class (down) by the class that they are taken for (across), (C, C)."""
        return np.bincount(self.class_count * self.label + self.predicted, minlength=self.class_count**2).reshape(
            self.class_count, -1
        )
