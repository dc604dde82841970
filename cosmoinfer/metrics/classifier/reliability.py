"""Reliability diagram: observed frequency of each class against its predicted probability."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, Clusters
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.posterior import Posterior

MAX_BINS = 15
MIN_ROWS_PER_BIN = 20  # the frequency of fewer rows is mostly noise


@dataclass(frozen=True)
class Reliability:
    """Of one class, in M bins of about equally many rows: a calibrated classifier has ``observed`` equal ``predicted``.

    predicted: (M,), mean probability of the class.
    observed: (M,), fraction of rows of the class.
    low, high: (M,), 68.3 % interval of ``observed``, binomial (Wilson 1927) with simulations as trials.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reliability(posterior: Posterior) -> dict[str, Reliability]:
    """By name of the class; empty without probabilities or true classes."""
    if posterior.classes is None or posterior.truth is None:
        return {}
    data = EvaluationData(posterior)
    assert data.predictions is not None
    probabilities, is_class = data.predictions.probabilities.T, data.predictions.one_hot.T
    columns = zip(data.predictions.class_names, probabilities, is_class, strict=True)
    return {name: _reliability(probability, of_class, data.clusters) for name, probability, of_class in columns}


def equal_mass(values: np.ndarray) -> np.ndarray:
    """The bin of each of (n,) values, 0..M-1, of about equally many rows each; equal values share a bin."""
    bins = int(np.clip(len(values) // MIN_ROWS_PER_BIN, 1, MAX_BINS))
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]


def _reliability(probability: np.ndarray, of_class: np.ndarray, clusters: Clusters) -> Reliability:
    bin_of_row = equal_mass(probability)
    rows = np.bincount(bin_of_row)
    observed = np.bincount(bin_of_row, of_class) / rows
    simulations = np.bincount(np.unique(np.stack([bin_of_row, clusters.simulation_of_row]), axis=1)[0])
    return Reliability(np.bincount(bin_of_row, probability) / rows, observed, *_wilson(observed, simulations))


def _wilson(fraction: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """68.3 % interval of a binomial fraction (Wilson 1927), which stays in 0..1."""
    z = special.ndtri(0.5 + INTERVAL_LEVEL / 2)
    centre = (fraction + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(fraction * (1 - fraction) / trials + z**2 / (4 * trials**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)
