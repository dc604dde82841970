"""How unlike its training rows a model finds an observation: distances in feature spaces, ranked among validation rows.

A network's own embedding is blind to what it did not need for theta, so the data themselves are always one of the
spaces. What the spaces are is not known here, nor any network: they come as arrays, one a space.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from cosmoinfer.ood.mmd import MMDTest, fit_mmd_test

MAX_FEATURES = 1000
MAX_ROWS = 5000  # training rows that one gaussian is fitted to
FOLDS = 3
SHRINKAGES = 10.0 ** np.arange(-6, 0.25, 0.5)
MIN_FEATURES_FOR_RESIDUALS = 10  # for a feature to be told from the others
LINEAR_COMPONENTS, QUADRATIC_COMPONENTS = (
    16,
    4,
)  # leading ones, from which a residual's size is expected, and those that enter by pairs
ALARM_P_VALUES = {
    99.0: 0.01,
    95.0: 0.001,
}  # percentile: the chance at which so many observations above it are no accident
MIN_VARIANCE = 1e-12


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


@dataclass(frozen=True)
class OutOfDistribution:
    """gaussians: one a space. location, scale: (B,) of all their statistics, over training rows that had no part in the
    gaussian (cross-fitted), so that the largest of the B is a fair one. scores: (n,) those of the validation rows,
    sorted; shares: (n,) one of its simulation's, divided among its rows. mmd_test: tests a set of
    observations at once. chance_below_range: at most, that a row like the training rows lies below their range.
    """

    gaussians: tuple[GaussianFit, ...]
    location: np.ndarray
    scale: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    mmd_test: MMDTest
    chance_below_range: float = 1.0

    @property
    def n_validation_simulations(self) -> int:
        """Validation simulations."""
        return round(float(self.shares.sum()))

    def score(self, spaces: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) the largest statistic, in standard deviations over the training rows; spaces: (n, F) each."""
        return self._standardised([fold_features(space) for space in spaces]).max(axis=1)

    def _standardised(self, spaces: Sequence[np.ndarray]) -> np.ndarray:
        """(n, B) all statistics, of folded spaces."""
        pairs = zip(self.gaussians, spaces, strict=True)
        statistics = np.concatenate([gaussian.statistics(space) for gaussian, space in pairs], axis=1)
        return (statistics - self.location) / self.scale

    def percentile(self, spaces: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) in 0..100: 100 / (G + 1) times the share of each of G validation simulations' rows with a lower score.

        Nothing here was chosen by the validation rows, so a new row from the same simulator ranks among them as any of
        them would: more than 95 comes to at most 5 % of such rows, on average over validation sets, rows of one
        simulation together or not (Vovk+ 2005; Lee+ arXiv:2306.06342 for groups). The exceptions: a learned embedding,
        whose epochs the validation rows chose, and training rows, which the gaussian knows. Beyond the largest score
        100 - 100 exp(-excess) / (G + 1), a tail no lighter than an exponential's of the statistics' own standard
        deviation: so a gross outlier is recognised by few validation rows too.
        """
        score, count = self.score(spaces), self.n_validation_simulations + 1
        below = np.concatenate([[0.0], np.cumsum(self.shares)])[np.searchsorted(self.scores, score)]
        excess = score - self.scores[-1]
        return 100 * np.where(excess > 0, 1 - np.exp(-np.maximum(excess, 0)) / count, below / count)

    def set_p_value(self, spaces: Sequence[np.ndarray], simulation: np.ndarray, seed: int) -> float:
        """Of a set of observations, as one from the same simulator and prior (``MMDTest``)."""
        return self.mmd_test.p_value(self.views(spaces), simulation, seed)

    def views(self, spaces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """In which sets are compared: the first space as it is, each at unit covariance, and the statistics of the
        rows, in which more noise in many features is one number."""
        spaces = [fold_features(space) for space in spaces]
        white = [gaussian.white(space) for gaussian, space in zip(self.gaussians, spaces, strict=True)]
        return [spaces[0], *white, self._standardised(spaces)]

    def excess_outliers(self, percentile: np.ndarray, simulation: np.ndarray) -> "Outliers | None":
        """More outliers than expected, at the first level of ``ALARM_P_VALUES`` that is significant.

        A false one in about one case of a hundred: a few far out count by the first level, many less far by the other.
        """
        by_level = (self.outliers(percentile, simulation, level) for level in ALARM_P_VALUES)
        return next(
            (
                outliers
                for outliers in by_level
                if len(outliers.positions) and outliers.surprise <= ALARM_P_VALUES[outliers.level]
            ),
            None,
        )

    def outliers(self, percentile: np.ndarray, simulation: np.ndarray, level: float) -> "Outliers":
        """Those above a level; rows of one simulation, which are odd together, count as one."""
        odd = percentile > level
        _, group = np.unique(simulation, return_inverse=True)
        shares = np.bincount(group, weights=odd) / np.bincount(group)
        above = max(1, int((1 - level / 100) * (self.n_validation_simulations + 1)))  # so many of G + 1 ranks lie there
        chance = min(1 - level / 100, above / (self.n_validation_simulations + 1))
        surprise = _beta_binomial_tail(int(shares.sum() + 1e-9), len(shares), above, above / chance - above)
        return Outliers(level, np.flatnonzero(odd), len(odd) * chance, surprise)


@dataclass(frozen=True)
class Outliers:
    """positions: (k,) of the observations whose percentile exceeds the level; expected: how many there would be by
    chance; surprise: the chance of so many, where the validation rows too are a sample."""

    level: float
    positions: np.ndarray
    expected: float
    surprise: float


def fit_ood_detector(
    train: Sequence[np.ndarray],
    validation: Sequence[np.ndarray],
    train_simulation: np.ndarray,
    validation_simulation: np.ndarray,
    gaps: bool,
) -> OutOfDistribution | None:
    """Clouds from the training rows (one array a space, (N, F)), ranks from the validation rows (n, F).

    gaps: whether the first space has features that were filled. None where one simulation alone trains.
    """
    step = -(-len(train_simulation) // MAX_ROWS)
    spaces, simulation = [fold_features(space)[::step] for space in train], train_simulation[::step]
    _, group = np.unique(simulation, return_inverse=True)
    fold = group % FOLDS
    if fold.max() == 0:
        return None
    fitted = [_fit_gaussian(space, fold, number == 0 and not gaps) for number, space in enumerate(spaces)]
    gaussians = tuple(gaussian for gaussian, _ in fitted)
    statistics = np.concatenate([statistics_of_space for _, statistics_of_space in fitted], axis=1)
    scale = np.maximum(statistics.std(axis=0), 1e-3)
    blank = OutOfDistribution(gaussians, statistics.mean(axis=0), scale, np.zeros(0), np.zeros(0), MMDTest.none())
    scores, views = blank.score(validation), blank.views(validation)
    mmd_test = fit_mmd_test(blank.views(spaces), views, validation_simulation)
    _, group, counts = np.unique(validation_simulation, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    return replace(blank, scores=scores[order], shares=(1 / counts[group])[order], mmd_test=mmd_test)


def gap_counts(marks: np.ndarray) -> np.ndarray:
    """(n, 2) how many gaps a row has, and how many lie side by side; marks: (n, K), 1 where there is a gap.

    Single marks tell where gaps are, not that half of a block is missing where a quarter was at random.
    """
    return np.stack([marks.sum(axis=1), (marks[:, 1:] * marks[:, :-1]).sum(axis=1)], axis=1).astype(np.float64)


def fold_features(space: np.ndarray) -> np.ndarray:
    """(n, F) at most ``MAX_FEATURES`` features: of more, sums of every so many, with alternating signs."""
    count, size = space.shape
    if size <= MAX_FEATURES:
        return space.astype(np.float64)
    layers = -(-size // MAX_FEATURES)
    padded = np.zeros((count, layers, MAX_FEATURES))
    padded.reshape(count, -1)[:, :size] = space
    return np.einsum("nlf,l->nf", padded, (-1.0) ** np.arange(layers))


def _fit_gaussian(features: np.ndarray, fold: np.ndarray, residuals: bool) -> tuple[GaussianFit, np.ndarray]:
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
    count = next(count for count in range(LINEAR_COMPONENTS + 1) if _n_terms(count) == len(expected))
    leading = np.clip(white[:, :count], -4, 4)
    rows, columns = np.triu_indices(min(QUADRATIC_COMPONENTS, count))
    return np.concatenate([np.ones((len(white), 1)), leading, leading[:, rows] * leading[:, columns]], axis=1)


def _n_terms(count: int) -> int:
    squares = min(QUADRATIC_COMPONENTS, count)
    return 1 + count + squares * (squares + 1) // 2


def _beta_binomial_tail(count: int, trials: int, alpha: float, beta: float) -> float:
    """P(K >= count) where the chance of each trial is itself drawn, once, from Beta(alpha, beta).

    ``scipy.stats.betabinom.sf`` is 0 where this is 2e-29: it subtracts from one.
    """
    k = np.arange(count, trials + 1)
    log_choose = special.gammaln(trials + 1) - special.gammaln(k + 1) - special.gammaln(trials - k + 1)
    terms = log_choose + special.betaln(k + alpha, trials - k + beta) - special.betaln(alpha, beta)
    return float(min(1.0, np.exp(terms).sum()))
