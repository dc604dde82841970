"""The interface of a problem: it simulates, and knows the exact posterior of what it simulated."""

from abc import ABC, abstractmethod

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.simulations import DataAttributes, Simulations, latin_hypercube


class Simulator(ABC):
    """A prior, a law of the data given theta, and the posterior that follows, from formulas or by quadrature."""

    @property
    @abstractmethod
    def parameters(self) -> Parameters:
        """The P parameters and their prior."""

    @property
    @abstractmethod
    def attributes(self) -> DataAttributes:
        """Of the dataset of the data in a file: kind, units, channels."""

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Arrays along an axis of the data, by name."""
        return {}

    @abstractmethod
    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row of data for every theta: (N, P) -> (N, *row)."""

    @abstractmethod
    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        """ln p(theta | data), normalised, in catalog units, -inf outside the box: (..., P), (..., *row) -> (...)."""

    @abstractmethod
    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Exact independent posterior draws, (N, *row) -> (N, S, P); row i has a stream of its own, (seed, i)."""

    def fisher(self, theta: np.ndarray) -> np.ndarray | None:
        """The Fisher information of the data, (..., P) -> (..., P, P), in catalog units; None where it has no formula.

        A posterior that its box does not cut has at least the covariance of its inverse (Cramer & Rao).
        """
        return None

    def simulate(self, count: int, seed: int, rows_per_simulation: int = 1) -> Simulations:
        """``count`` simulations on a Latin hypercube of the prior, each observed ``rows_per_simulation`` times."""
        theta = latin_hypercube(self.parameters, count, seeding.generator(seed, "parameters"))
        simulation = np.repeat(np.arange(count), rows_per_simulation)
        data = self.observe(theta[simulation], seeding.generator(seed, "data"))
        return Simulations(self.parameters, theta[simulation], data, simulation, self.coordinates, self.attributes)
