"""How far observations lie from the rows of a training: one by a Gaussian fit, a set by a permutation test of the MMD.

The MMD is of Gretton+ 2012 (JMLR 13, 723); to tell a misspecified simulator, Schmitt+ arXiv:2112.08866. Rows come as
arrays of features, one a space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosmoinfer import seeding

SHRINKAGES = 10.0 ** np.arange(-6, 0.25, 0.5)
MIN_FEATURES_FOR_RESIDUALS = 10  # for a feature to be told from the others
LINEAR_COMPONENTS, QUADRATIC_COMPONENTS = (
    16,
    4,
)  # leading ones, from which a residual's size is expected, and those that enter by pairs
MIN_VARIANCE = 1e-12
MIN_OBSERVATIONS = 20  # of a set that is tested
MAX_ROWS = 1000  # of either side of the MMD, evenly spaced
PERMUTATIONS = 500


@dataclass(frozen=True)
class GaussianFit:
    """The training rows in one space of F features, as a normal of shrunk covariance.

    mean: (F,). root: (F, F), to unit variance, the leading component first. expected: (T, F), the log size of each
    feature's residual from the others, a quadratic in the leading components; level: the median of what is left.
    Both are empty where features are few, or have gaps.
    """

    mean: np.ndarray
    root: np.ndarray
    expected: np.ndarray
    level: np.ndarray

    @property
    def n_statistics(self) -> int:
        """B, of each row."""
        return 3 if self.expected.size else 1

    def white(self, features: np.ndarray) -> np.ndarray:
        """(n, F) of zero mean and unit covariance over the training rows."""
        return (features - self.mean) @ self.root

    def statistics(self, features: np.ndarray) -> np.ndarray:
        """(n, 1) the log Mahalanobis distance; or (n, 3), with what the residuals say.

        A residual is a feature less what the others predict, r_i = (C^-1 d)_i / sqrt((C^-1)_ii), over the size that
        is expected of it at such a row. A row's median says whether it is noisier or smoother than others (either way
        counts), its largest over that median whether one feature is off.
        """
        white = self.white(features)
        distance = 0.5 * np.log((white**2).sum(axis=1, keepdims=True) + MIN_VARIANCE)
        if self.expected.size == 0:
            return distance
        sizes = _log_residuals(white, self.root) - _quadratic_terms(white, self.expected) @ self.expected
        level = np.median(sizes, axis=1, keepdims=True)
        return np.concatenate([distance, np.abs(level - self.level), sizes.max(axis=1, keepdims=True) - level], axis=1)


def fit_gaussian(features: np.ndarray, fold: np.ndarray, residuals: bool) -> tuple[GaussianFit, np.ndarray]:
    """With the statistics (N, B) of each row under the gaussian of the other folds.

    The shrinkage is what the normal likelihood of the held-out folds prefers. Ledoit and Wolf's, which minimises an
    error of the covariance itself, is ten times as strong on the CAMELS histories, and blurs the narrow directions in
    which one wrong bin, or more noise, shows.
    """
    held_out = [fold == number for number in range(fold.max() + 1)]
    spectra = [_spectrum(features[~held]) for held in held_out]
    likelihood = np.zeros(len(SHRINKAGES))
    for held, (mean, values, vectors) in zip(held_out, spectra, strict=True):
        squares = (((features[held] - mean) @ vectors) ** 2).sum(axis=0)
        for number, shrinkage in enumerate(SHRINKAGES):
            variances = _shrunk(values, shrinkage)
            likelihood[number] -= (squares / variances + held.sum() * np.log(variances)).sum()
    shrinkage = SHRINKAGES[likelihood.argmax()]
    residuals = residuals and features.shape[1] >= MIN_FEATURES_FOR_RESIDUALS
    statistics = np.empty((len(features), 3 if residuals else 1))
    for held, spectrum in zip(held_out, spectra, strict=True):
        statistics[held] = _gaussian_from_spectrum(spectrum, shrinkage, features[~held], residuals).statistics(
            features[held]
        )
    return _gaussian_from_spectrum(_spectrum(features), shrinkage, features, residuals), statistics


def _gaussian_from_spectrum(
    spectrum: tuple[np.ndarray, np.ndarray, np.ndarray], shrinkage: float, features: np.ndarray, residuals: bool
) -> GaussianFit:
    mean, values, vectors = spectrum
    root = vectors / np.sqrt(_shrunk(values, shrinkage))
    gaussian = GaussianFit(mean, root, np.zeros((0, 0)), np.zeros(0))
    if not residuals:
        return gaussian
    white = gaussian.white(features)
    count = min(LINEAR_COMPONENTS, features.shape[1] // 4, len(features) // 40)
    terms = _quadratic_terms(white, np.zeros((_n_terms(count), 0)))
    sizes = _log_residuals(white, root)
    expected = np.linalg.lstsq(terms, sizes, rcond=None)[0]
    level = np.median(np.median(sizes - terms @ expected, axis=1))
    return GaussianFit(mean, root, expected, np.array([level]))


def _spectrum(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (F,), variances (F,) along the principal axes, largest first, and the axes in columns (F, F)."""
    mean = features.mean(axis=0)
    values, vectors = np.linalg.eigh((features - mean).T @ (features - mean) / len(features))
    return mean, values[::-1], vectors[:, ::-1]


def _shrunk(values: np.ndarray, shrinkage: float) -> np.ndarray:
    return np.maximum((1 - shrinkage) * np.maximum(values, 0) + shrinkage * values.mean(), MIN_VARIANCE)


def _log_residuals(white: np.ndarray, root: np.ndarray) -> np.ndarray:
    """(n, F) log |r_i|."""
    return np.log(np.abs(white @ root.T) / np.sqrt((root**2).sum(axis=1)) + MIN_VARIANCE)


def _quadratic_terms(white: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """1, the leading components, and pairs of the first few: (n, T); so many as ``expected`` (T, F) has rows."""
    count = COMPONENTS_BY_TERMS[len(expected)]
    leading = np.clip(white[:, :count], -4, 4)
    rows, columns = np.triu_indices(min(QUADRATIC_COMPONENTS, count))
    return np.concatenate([np.ones((len(white), 1)), leading, leading[:, rows] * leading[:, columns]], axis=1)


def _n_terms(count: int) -> int:
    squares = min(QUADRATIC_COMPONENTS, count)
    return 1 + count + squares * (squares + 1) // 2


COMPONENTS_BY_TERMS = {_n_terms(count): count for count in range(LINEAR_COMPONENTS + 1)}


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
