"""When a row of one catalog is a copy of a row of another, and does not agree with it by chance."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from cosmoinfer.catalog.row_hashes import RowHashes, combine

MAX_TIED_FRACTION = 0.01  # of distinct rows, that have half of their features in common with another one
MIN_DISTINCT_FRACTION = 0.1  # of rows; if fewer are distinct, equal rows are the rule
MIN_KEPT_FRACTION = 0.99  # of distinct rows, that are still distinct in single precision
MIN_COPIED_FRACTION = 0.9  # of the rows with the parameters of others, that have their data too


@dataclass(frozen=True)
class CopyCriterion:
    """What must be equal, so that a row is a copy of one of a set of rows.

    Equal data prove it where half of the features already tell the rows of the set apart, as continuous data do. Of a
    few counts they prove nothing, and theta must be equal too.

    data: whether equal data prove a copy. theta_and_data: whether both together do.
    theta_in_single, data_in_single: whether single precision keeps the rows of the set apart, so that equal values in
    single precision count as equal.
    """

    data: bool
    theta_and_data: bool
    theta_in_single: bool
    data_in_single: bool

    @classmethod
    def from_rows(cls, hashes: RowHashes) -> "CopyCriterion":
        """Of the set of these rows."""
        data = _tell_apart(hashes.data)
        single = _keeps_apart(hashes.features, hashes.features_single)
        simulations = hashes.select(hashes.theta != 0)
        return cls(
            data,
            _tell_apart(np.stack([combine(simulations.theta, half) for half in simulations.data.T], axis=1)),
            _keeps_apart(simulations.theta, simulations.theta_single),
            single and (not data or _tell_apart(hashes.data_single)),
        )

    def copies(self, reference: RowHashes, hashes: RowHashes) -> np.ndarray:
        """(n,) bool: which rows of a catalog are copies of reference rows.

        Where theta must agree, all rows with the theta of a reference row are copies, or none: a selection by the data
        would bias a test. None are if their data often differ: then the same parameters were simulated anew.
        """
        equal = self.equal_key(reference, hashes)
        if self.data:
            return equal
        if self.theta_and_data and self._equal_rows(reference, hashes).sum() >= MIN_COPIED_FRACTION * equal.sum():
            return equal
        return np.zeros(len(hashes), dtype=bool)

    def keys(self, hashes: RowHashes) -> np.ndarray:
        """(n,) uint64 of the rows of the set itself: equal for rows that are copies of each other."""
        if self.data:
            return hashes.features
        keys = combine(hashes.theta, hashes.features)
        return np.where((hashes.theta != 0) & self.theta_and_data, keys, np.arange(len(hashes), dtype=np.uint64))

    def equal_key(self, reference: RowHashes, hashes: RowHashes) -> np.ndarray:
        """(n,) bool: of copies, which are those of these reference rows."""
        if self.data:
            return self.equal_data(reference, hashes)
        return self.equal_theta(reference, hashes.theta, hashes.theta_single)

    def equal_data(self, reference: RowHashes, hashes: RowHashes) -> np.ndarray:
        """(n,) bool: which rows have the data of a reference row."""
        equal = np.isin(hashes.features, reference.features)
        return equal | np.isin(hashes.features_single, reference.features_single) if self.data_in_single else equal

    def equal_theta(self, reference: RowHashes, theta: np.ndarray, theta_single: np.ndarray) -> np.ndarray:
        """(n,) bool: which of these hashes (n,), (n,) of parameters are those of a reference row."""
        equal = np.isin(theta, reference.theta)
        equal = equal | np.isin(theta_single, reference.theta_single) if self.theta_in_single else equal
        return equal & (theta != 0)

    def _equal_rows(self, reference: RowHashes, hashes: RowHashes) -> np.ndarray:
        """(n,) bool: which rows have theta and data of one and the same reference row."""
        thetas = ("theta", "theta_single") if self.theta_in_single else ("theta",)
        features = ("features", "features_single") if self.data_in_single else ("features",)
        equal = np.zeros(len(hashes), dtype=bool)
        for theta, data in product(thetas, features):
            keys, reference_keys = (combine(getattr(rows, theta), getattr(rows, data)) for rows in (hashes, reference))
            equal |= np.isin(keys, reference_keys)
        return equal


def _tell_apart(halves: np.ndarray) -> bool:
    """Whether either half (n, 2) of distinct rows is distinct too; rows whose halves are both equal may be copies."""
    _, first = np.unique(combine(*halves.T), return_index=True)
    if len(first) < max(2, MIN_DISTINCT_FRACTION * len(halves)):
        return False
    return all(len(np.unique(half)) >= (1 - MAX_TIED_FRACTION) * len(first) for half in halves[first].T)


def _keeps_apart(exact: np.ndarray, single: np.ndarray) -> bool:
    """Whether rows with distinct hashes (n,) have distinct hashes (n,) in single precision."""
    return len(np.unique(single)) >= MIN_KEPT_FRACTION * len(np.unique(exact))
