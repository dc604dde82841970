"""What a training saw, epoch by epoch: the learning curves of M members that trained side by side."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class History:
    """train, validation: (E, M) mean loss a row of the partition; learning_rate: (E,); best: (M,) kept epochs.

    The training loss is the mean over the epoch's batches, with dropout on; the validation loss is computed after
    the epoch, with dropout off. For a flow both are minus the mean log density, in catalog units; the moment loss
    judges the validation rows by a score of its own (``losses``).
    """

    train: np.ndarray
    validation: np.ndarray
    learning_rate: np.ndarray
    best: np.ndarray

    @property
    def best_validation(self) -> np.ndarray:
        """(M,) validation loss of the kept weights."""
        return self.validation[self.best, np.arange(self.validation.shape[1])]
