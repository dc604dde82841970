"""How unlike a model's training rows observations are: of each a percentile, of all of them a p-value.

The feature spaces in which they are compared come from the model, as a function of a catalog and rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.ood.detector import OutOfDistribution, fit_ood_detector, gap_counts
from cosmoinfer.ood.mmd import MIN_OBSERVATIONS
from cosmoinfer.preprocessing.noise import add_noise
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.ridge_regression import summary_features
from cosmoinfer.split import Split

BELOW_RANGE_FRACTION = 0.5  # of a row's log10 numbers below all training values, from which on the row is flagged
FeatureSpaces = Callable[[Catalog, np.ndarray], list[np.ndarray]]  # catalog, rows (n,) -> one array (n, F) a space


@dataclass(frozen=True)
class OODScores:
    """percentile: (n,) in 0..100, of each observation. set_p_value: of all unseen ones as a set, if they are many."""

    percentile: np.ndarray | None = None
    set_p_value: float | None = None


def data_features(preprocessing: Preprocessing, catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """The feature spaces of the data themselves, (n, F) each: scaled and not compressed, and, where gaps are marked,
    how many there are."""
    data, gaps = [], []
    for summary, blocks in zip(preprocessing.inputs, add_noise(catalog, rows, preprocessing.noise), strict=True):
        features, counts = [], []
        for block in blocks:  # which is let go before the next one comes
            scaled = summary.scaled(block)
            features.append(summary_features(scaled))
            counts += [gap_counts(scaled[:, summary.shape[0] :])] if summary.masked else []
        data.append(np.concatenate(features))
        gaps += [np.concatenate(counts)] if summary.masked else []
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
        any(summary.masked for summary in preprocessing.inputs),
    )
    chance = _chance_below_range(preprocessing, n_training_rows, split.sizes[0])
    return None if detector is None else replace(detector, chance_below_range=chance)


def ood_scores(
    detector: OutOfDistribution | None,
    preprocessing: Preprocessing,
    feature_spaces: FeatureSpaces,
    catalog: Catalog,
    rows: np.ndarray,
    unseen: np.ndarray,
    seed: int,
) -> OODScores:
    """Of rows (n,), by position. unseen: (n,) bool, which of them the model has not learned from."""
    if detector is None:
        return OODScores()
    spaces = feature_spaces(catalog, rows)
    p_value = None
    if unseen.sum() >= MIN_OBSERVATIONS:
        p_value = detector.set_p_value([space[unseen] for space in spaces], catalog.simulation[rows][unseen], seed)
    below = below_training_range(preprocessing, catalog, rows)
    floor = np.where(below, 100 * (1 - detector.chance_below_range), 0.0)
    return OODScores(np.maximum(detector.percentile(spaces), floor), p_value)


def below_training_range(preprocessing: Preprocessing, catalog: Catalog, rows: np.ndarray) -> np.ndarray:
    """(n,) bool: whether half or more of the numbers that are taken to log10 lie below all training values.

    There they are all taken for the least of these, so that the network and the distances see no difference
    between them: negative numbers, other units, a logarithm that was taken before.
    """
    fraction = np.zeros(len(rows))
    for summary, blocks in zip(preprocessing.inputs, add_noise(catalog, rows, preprocessing.noise), strict=True):
        if summary.standardizer.log.any():
            below = np.concatenate([summary.standardizer.fraction_below_floor(block) for block in blocks])
            fraction = np.maximum(fraction, below)
    return fraction >= BELOW_RANGE_FRACTION


def _chance_below_range(preprocessing: Preprocessing, n_training_rows: int, n_simulations: int) -> float:
    """At most, that a row like the training rows is flagged by ``below_training_range``.

    A number of it is less than all of G simulations' with a chance of 1 / (G + 1) at most, or is not positive as often
    as in the training rows; half of all numbers, by Markov's inequality, with twice that chance.
    """
    logged = [int(summary.standardizer.log.any()) * int(np.prod(summary.shape)) for summary in preprocessing.inputs]
    n_floored = sum(summary.standardizer.n_floored for summary in preprocessing.inputs)
    floored = n_floored / max(1, n_training_rows * sum(logged))
    return min(1.0, (1 / (1 + n_simulations) + floored) / BELOW_RANGE_FRACTION)
