"""How unlike a model's training rows observations are: of each a percentile, of all of them a p-value.

Distances in feature spaces are ranked among validation rows. A network's own embedding is blind to what it did not need
for theta, so the data themselves are always one of the spaces; the others come from the model, as a function of a
catalog and rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError
from cosmoinfer.ood.distances import GaussianFit, MMDTest, fit_gaussian, fit_mmd_test
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.ridge_regression import summary_features
from cosmoinfer.split import Split

MAX_FEATURES = 1000
MAX_ROWS = 5000  # training rows that one gaussian is fitted to
FOLDS = 3
ALARM_P_VALUES = {
    99.0: 0.01,
    95.0: 0.001,
}  # percentile: the chance at which so many observations above it are no accident
EXTREME_P_VALUE = 0.01  # the chance at which the most unlike of all observations is no accident
ROUNDING = 1e-9  # by which a chance that is computed may exceed one that is meant
BELOW_RANGE_FRACTION = 0.5  # of a row's log10 numbers below all training values, from which on the row is flagged
FeatureSpaces = Callable[[Catalog, np.ndarray], list[np.ndarray]]  # catalog, rows (n,) -> one array (n, F) a space


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
        """(n,) the largest statistic, in standard deviations over the training rows; spaces: (n, F) each.

        Infinite where a statistic is NaN: what cannot be compared with the training rows is the most unlike them.
        """
        largest = self._standardised(self._folded(spaces)).max(axis=1)
        return np.where(np.isnan(largest), np.inf, largest)

    def _folded(self, spaces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(n, F) each, as of the gaussians. Raises UserError where there are more or fewer, spaces or features."""
        folded = [fold_features(space) for space in spaces]
        sizes, expected = [space.shape[1] for space in folded], [len(gaussian.mean) for gaussian in self.gaussians]
        if sizes != expected:
            raise UserError(
                f"the out-of-distribution detector takes features {expected}, those of the data are {sizes}"
            )
        return folded

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

    def views(self, spaces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """In which sets are compared: the first space as it is, each at unit covariance, and the statistics of the
        rows, in which more noise in many features is one number."""
        spaces = self._folded(spaces)
        white = [gaussian.white(space) for gaussian, space in zip(self.gaussians, spaces, strict=True)]
        return [spaces[0], *white, self._standardised(spaces)]

    def excess_outliers(self, percentile: np.ndarray, simulation: np.ndarray) -> "Outliers | None":
        """More outliers than expected, at the first level of ``ALARM_P_VALUES`` that is significant; else the extreme.

        A false one in about one case of a hundred: a few far out count by the first level, many less far by the other,
        a single one by how far it lies beyond all validation rows.
        """
        for level, p_value in ALARM_P_VALUES.items():
            outliers = self.outliers(percentile, simulation, level)
            if len(outliers.positions) and outliers.surprise <= p_value + ROUNDING:
                return outliers
        extreme = extreme_outliers(percentile)
        return extreme if len(extreme.positions) else None

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


def extreme_outliers(percentile: np.ndarray) -> Outliers:
    """Those of n observations, percentile (n,), that would be too far out for the largest of n (Bonferroni).

    With G validation simulations a rank alone says 1 / (G + 1), too much for one observation beside fewer than 100 of
    them, or for one in ten beside fewer than 1000; the percentile beyond all ranks says by how much it exceeds them.
    """
    level = 100 * (1 - EXTREME_P_VALUE / len(percentile))
    positions = np.flatnonzero(percentile >= level - ROUNDING)
    surprise = min(1.0, len(percentile) * (1 - float(percentile.max()) / 100))
    return Outliers(level, positions, EXTREME_P_VALUE, surprise)


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
    fitted = [fit_gaussian(space, fold, number == 0 and not gaps) for number, space in enumerate(spaces)]
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
    """(n, 2) how many gaps a row has, and how many lie side by side in it; marks: (n, K, ...), 1 for a gap.

    Single marks tell where gaps are, not that half of a block is missing where a quarter was at random.
    """
    flat, pairs = marks.reshape(len(marks), -1), marks[..., 1:] * marks[..., :-1]
    return np.stack([flat.sum(axis=1), pairs.reshape(len(marks), -1).sum(axis=1)], axis=1).astype(np.float64)


def fold_features(space: np.ndarray) -> np.ndarray:
    """(n, F) at most ``MAX_FEATURES`` features: of more, sums of every so many, with alternating signs."""
    count, size = space.shape
    if size <= MAX_FEATURES:
        return space.astype(np.float64)
    layers = -(-size // MAX_FEATURES)
    padded = np.zeros((count, layers, MAX_FEATURES))
    padded.reshape(count, -1)[:, :size] = space
    return np.einsum("nlf,l->nf", padded, (-1.0) ** np.arange(layers))


def _beta_binomial_tail(count: int, trials: int, alpha: float, beta: float) -> float:
    """P(K >= count) where the chance of each trial is itself drawn, once, from Beta(alpha, beta).

    ``scipy.stats.betabinom.sf`` is 0 where this is 2e-29: it subtracts from one.
    """
    k = np.arange(count, trials + 1)
    log_choose = special.gammaln(trials + 1) - special.gammaln(k + 1) - special.gammaln(trials - k + 1)
    terms = log_choose + special.betaln(k + alpha, trials - k + beta) - special.betaln(alpha, beta)
    return float(min(1.0, np.exp(terms).sum()))


def data_features(preprocessing: Preprocessing, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """The feature spaces of the data themselves, (n, F) each: scaled and not compressed, and, where gaps are marked,
    how many there are."""
    data, gaps = [], []
    for observable, blocks in zip(preprocessing.inputs, preprocessing.scaled_blocks(catalog, rows), strict=True):
        features, counts = [], []
        for scaled in blocks:  # which is let go before the next one comes
            features.append(summary_features(scaled))
            counts += [gap_counts(scaled[:, observable.shape[0] :])] if observable.masked else []
        data.append(np.concatenate(features))
        gaps += [np.concatenate(counts)] if observable.masked else []
    return [np.concatenate(data, axis=1), *([np.concatenate(gaps, axis=1)] if gaps else [])]


def fit_detector(
    preprocessing: Preprocessing, feature_spaces: FeatureSpaces, catalog: Catalog, split: Split, n_training_rows: int
) -> OutOfDistribution | None:
    """From the training rows of a split, ranked among its validation rows; None where one simulation alone trains.

    n_training_rows: of all catalogs that the model has learned from.
    """
    train, validation = (split.select_rows(catalog.simulation, partition) for partition in ("train", "validation"))
    detector = fit_ood_detector(
        feature_spaces(catalog, train),
        feature_spaces(catalog, validation),
        catalog.simulation[train],
        catalog.simulation[validation],
        any(observable.masked for observable in preprocessing.inputs),
    )
    chance = _chance_below_range(preprocessing, n_training_rows, split.sizes[0])
    return None if detector is None else replace(detector, chance_below_range=chance)


def _chance_below_range(preprocessing: Preprocessing, n_training_rows: int, n_simulations: int) -> float:
    """At most, that a row like the training rows is flagged by ``scores.below_training_range``.

    A number of it is less than all of G simulations' with a chance of 1 / (G + 1) at most, or is not positive as often
    as in the training rows; half of all numbers, by Markov's inequality, with twice that chance.
    """
    logged = [
        int(observable.standardizer.log.any()) * int(np.prod(observable.shape)) for observable in preprocessing.inputs
    ]
    n_floored = sum(observable.standardizer.n_floored for observable in preprocessing.inputs)
    floored = n_floored / max(1, n_training_rows * sum(logged))
    return min(1.0, (1 / (1 + n_simulations) + floored) / BELOW_RANGE_FRACTION)
