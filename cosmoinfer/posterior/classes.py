"""Probabilities of classes: the posterior of a classifier, whose only parameter is the number of the class."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError, join_first

PROBABILITY_SUM_TOLERANCE = 1e-4  # probabilities computed in float32 may miss a sum of one by this


@dataclass(frozen=True)
class ClassProbabilities:
    """names: of the C classes, by their number. probabilities: (n, C), each row adds to one."""

    names: tuple[str, ...]
    probabilities: np.ndarray

    def check(self, index: np.ndarray) -> None:
        """index: (n,), row numbers, by which errors name rows.

        Raises UserError where the shape is not (n, C) with C > 1, or a row is not a distribution.
        """
        if self.probabilities.shape != (len(index), len(self.names)) or len(self.names) < 2:
            classes = join_first(self.names) or "(none is named)"
            raise UserError(
                f"probabilities: expected {len(index)} rows and a column for each of the classes {classes}, found "
                f"shape {self.probabilities.shape}"
            )
        sums_to_one = np.abs(self.probabilities.sum(axis=1) - 1) <= PROBABILITY_SUM_TOLERANCE
        valid = (self.probabilities >= 0).all(axis=1) & sums_to_one
        if not valid.all():
            rows = join_first(index[~valid].tolist())
            raise UserError(
                f"probabilities: expected rows that are not negative and add to one, found others (row {rows})"
            )
