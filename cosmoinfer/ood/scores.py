"""Out-of-distribution scores of observations: of each a percentile, of all unseen ones a p-value."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.ood.detector import BELOW_RANGE_FRACTION, FeatureSpaces, OutOfDistribution
from cosmoinfer.ood.distances import MIN_OBSERVATIONS
from cosmoinfer.preprocessing.noise import add_noise
from cosmoinfer.preprocessing.state import Preprocessing


@dataclass(frozen=True)
class OODScores:
    """percentile: (n,) in 0..100, of each observation. set_p_value: of all unseen ones as a set, if they are many."""

    percentile: np.ndarray | None = None
    set_p_value: float | None = None


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
    for observable, blocks in zip(preprocessing.inputs, add_noise(catalog, rows, preprocessing.noise), strict=True):
        if observable.standardizer.log.any():
            below = np.concatenate([observable.standardizer.fraction_below_floor(block) for block in blocks])
            fraction = np.maximum(fraction, below)
    return fraction >= BELOW_RANGE_FRACTION
