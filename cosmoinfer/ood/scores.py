"""Out-of-distribution scores of observations: of each a percentile, of all unseen ones a p-value."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.memory import filled_blocks
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
    compared: np.ndarray,
    seed: int,
    block_size: int,
) -> OODScores:
    """The percentiles of rows (n,), by position, and the test of others as a set.

    compared: (m,) rows of the set, each in features of which there are finite ones only, if at least MIN_OBSERVATIONS.
    block_size: rows that are computed at once, always as many, so that no row's percentile depends on other rows.
    """
    if detector is None:
        return OODScores()
    all_rows = np.concatenate([rows, np.setdiff1d(compared, rows)])
    percentiles, views, comparable = [], [], []
    for block, count in filled_blocks(all_rows, block_size):
        spaces = feature_spaces(catalog, block)
        floor = 100 * (1 - detector.chance_below_range) * below_training_range(preprocessing, catalog, block)
        percentiles.append(np.maximum(detector.percentile(spaces), floor)[:count])
        finite = np.logical_and.reduce([np.isfinite(space).all(axis=1) for space in spaces])
        chosen = np.flatnonzero((finite & np.isin(block, compared))[:count])
        if len(chosen):
            views.append([view[chosen] for view in detector.views([np.nan_to_num(space) for space in spaces])])
            comparable.append(block[chosen])
    return OODScores(
        np.concatenate(percentiles)[: len(rows)], _set_p_value(detector, catalog, views, comparable, compared, seed)
    )


def _set_p_value(
    detector: OutOfDistribution,
    catalog: Catalog,
    views: list[list[np.ndarray]],
    rows: list[np.ndarray],
    order: np.ndarray,
    seed: int,
) -> float | None:
    """Of the views (k, F) of rows (k,), block by block, in the order of rows (m,) that hold them all."""
    if sum(map(len, rows)) < MIN_OBSERVATIONS:
        return None
    joined = np.concatenate(rows)
    by_number = np.argsort(joined)
    ordered = order[np.isin(order, joined)]
    places = by_number[np.searchsorted(joined, ordered, sorter=by_number)]
    spaces = [np.concatenate(space)[places] for space in zip(*views, strict=True)]
    return detector.mmd_test.p_value(spaces, catalog.simulation[ordered], seed)


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
