"""How often each class comes true at each probability that was given to it: the reliability diagram as numbers."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from cosmoinfer.metrics.bootstrap import INTERVAL_LEVEL, Clusters
from cosmoinfer.metrics.evaluation_data import EvaluationData
from cosmoinfer.posterior import Posterior

MAX_BINS = 15
MIN_ROWS_PER_BIN = 20  # at least: a share of fewer rows is mostly noise


@dataclass(frozen=True)
class Reliability:
    """One class in M bins of about equally many rows, (M,) each: a right classifier has ``found`` equal ``promised``.

    promised: mean probability of the class; found: share of rows that are of it, with its 68.3 % interval low, high:
    binomial (Wilson 1927), the trials being simulations, since the rows of one tell hardly more than one of them.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def reliability(posterior: Posterior) -> dict[str, Reliability]:
    """By class; empty where there are no probabilities, or no truths."""
    if posterior.classes is None or posterior.truth is None:
        return {}
    data = EvaluationData(posterior)
    assert data.predictions is not None
    promised, true = data.predictions.probabilities.T, data.predictions.one_hot.T
    columns = zip(data.predictions.class_names, promised, true, strict=True)
    return {name: _binned(one, other, data.clusters) for name, one, other in columns}


def equal_mass(values: np.ndarray) -> np.ndarray:
    """The bin of each of (n,) values, 0..M-1, of about equally many rows each; equal values share a bin."""
    bins = int(np.clip(len(values) // MIN_ROWS_PER_BIN, 1, MAX_BINS))
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]


def _binned(promised: np.ndarray, true: np.ndarray, clusters: Clusters) -> Reliability:
    member = equal_mass(promised)
    rows = np.bincount(member)
    found = np.bincount(member, true) / rows
    simulations = np.bincount(np.unique(np.stack([member, clusters.simulation_of_row]), axis=1)[0])
    return Reliability(np.bincount(member, promised) / rows, found, *_wilson(found, simulations))


def _wilson(share: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval of a binomial share that stays in 0..1, and has a width at both ends."""
    z = special.ndtri(0.5 + INTERVAL_LEVEL / 2)
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)
