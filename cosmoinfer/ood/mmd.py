"""Whether a set of observations has the distribution of the validation rows: a permutation test of the MMD.

Gretton+ 2012 (JMLR 13, 723); to tell a misspecified simulator, Schmitt+ arXiv:2112.08866.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer import seeding

MIN_OBSERVATIONS = 20
MAX_ROWS = 1000  # of either side, evenly spaced
PERMUTATIONS = 500


@dataclass(frozen=True)
class MMDTest:
    """views: features of the validation rows, (n, F) each, seen in several ways; widths: the median squared distance
    of the training rows in each. simulation: (n,) numbers of the validation simulations."""

    views: tuple[np.ndarray, ...]
    widths: np.ndarray
    simulation: np.ndarray

    def p_value(self, views: Sequence[np.ndarray], simulation: np.ndarray, seed: int) -> float:
        """How often rows dealt anew to the two sides, whole simulations at a time, differ by as much, in (0, 1].

        Of the views that counts in which the sides differ most, beside how they differ when dealt anew. A set drawn
        from another distribution of parameters differs too, though each of its members may be typical.
        """
        step = slice(None, None, -(-len(simulation) // MAX_ROWS))
        _, observed_group = np.unique(simulation[step], return_inverse=True)
        group = np.concatenate([observed_group, observed_group.max() + 1 + self.simulation])
        first, groups = int(observed_group.max()) + 1, int(group.max()) + 1
        stream = seeding.generator(seed, "ood", "set")
        dealt = [np.arange(groups), *(stream.permutation(groups) for _ in range(PERMUTATIONS))]
        sides = np.stack([(order < first)[group] for order in dealt], axis=1).astype(np.float64)  # (N, B + 1)
        mmd2 = np.stack(
            [
                _mmd2(_kernel(np.concatenate([observed[step], validation]), width), sides)
                for observed, validation, width in zip(views, self.views, self.widths, strict=True)
            ]
        )
        scale = np.maximum(mmd2.std(axis=1, keepdims=True), 1e-300)
        largest = ((mmd2 - mmd2.mean(axis=1, keepdims=True)) / scale).max(axis=0)  # (B + 1,)
        return float((1 + (largest[1:] >= largest[0] - 1e-9).sum()) / (1 + PERMUTATIONS))

    @classmethod
    def none(cls) -> "MMDTest":
        """That compares nothing."""
        return cls((), np.zeros(0), np.zeros(0, dtype=np.int64))


def fit_mmd_test(train: Sequence[np.ndarray], validation: Sequence[np.ndarray], simulation: np.ndarray) -> MMDTest:
    """Views of training rows (N, F) and validation rows (n, F); simulation: (n,) of the latter.

    The widths come from the training rows once and for all: a width from the sets themselves would follow a shift.
    """
    step = slice(None, None, -(-len(simulation) // MAX_ROWS))
    _, group = np.unique(simulation[step], return_inverse=True)
    widths = [_median_distance(view[:: -(-len(view) // MAX_ROWS)]) for view in train]
    kept = tuple(view[step].astype(np.float32) for view in validation)
    return MMDTest(kept, np.array(widths), group)


def _mmd2(kernel: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The unbiased estimate of MMD^2, (B,); kernel: (N, N) with nothing on its diagonal; sides: (N, B), 0 or 1."""
    n_first = sides.sum(axis=0)
    n_second = len(sides) - n_first
    within_first = (sides * (kernel @ sides)).sum(axis=0)
    across = kernel.sum(axis=1) @ sides - within_first
    within_second = kernel.sum() - within_first - 2 * across
    pairs_first, pairs_second = (np.maximum(count * (count - 1), 1) for count in (n_first, n_second))
    return within_first / pairs_first + within_second / pairs_second - 2 * across / np.maximum(n_first * n_second, 1)


def _kernel(rows: np.ndarray, width: float) -> np.ndarray:
    """(N, N), with nothing on its diagonal: no row is compared with itself."""
    kernel = np.exp(-0.5 * _squared_distances(rows) / width)
    np.fill_diagonal(kernel, 0)
    return kernel


def _median_distance(rows: np.ndarray) -> float:
    distances = _squared_distances(rows)[np.triu_indices(len(rows), 1)]
    return max(float(np.median(distances)), 1e-12)


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    squares = (rows**2).sum(axis=1)
    return np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
