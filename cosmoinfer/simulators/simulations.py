"""What a simulator returns, and the design of its simulations in the prior's box."""

from dataclasses import dataclass

import numpy as np

from cosmoinfer.parameters import Parameters

DataAttributes = dict[str, str | bool | tuple[str, ...]]  # of the dataset of the data: kind, units, periodic, channels


@dataclass(frozen=True)
class Simulations:
    """N rows.

    theta: (N, P) in catalog units.
    data: (N, *row).
    simulation: (N,) integers; rows of one simulation share theta.
    coordinates: arrays along an axis of the data, by name.
    attributes: of the dataset of the data in a file.
    """

    parameters: Parameters
    theta: np.ndarray
    data: np.ndarray
    simulation: np.ndarray
    coordinates: dict[str, np.ndarray]
    attributes: DataAttributes


def latin_hypercube(parameters: Parameters, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, P): every slice of 1/count of each prior holds one point (McKay, Beckman & Conover 1979).

    Not scipy.stats.qmc.LatinHypercube, whose points differ for the same seed.
    """
    cells = np.stack([rng.permutation(count) for _ in parameters.names], axis=-1)
    return parameters.quantile((cells + rng.random(cells.shape)) / count)
