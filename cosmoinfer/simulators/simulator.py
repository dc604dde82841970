"""The interface of a problem: it simulates, and knows the exact posterior of what it simulated."""

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any, ClassVar, cast

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.simulations import DataAttributes, Simulations, latin_hypercube

MIN_ROW_NUMBERS = 8  # of data, parameters and id
COPIES = 2  # of the data while they are made, in double precision


class Simulator(ABC):
    """A prior, a law of the data given theta, and the posterior that follows, from formulas or by quadrature.

    row_axes: axes of a row of data that are as long as the largest whole number among the settings says.
    """

    row_axes: ClassVar[int] = 1

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

    def fisher_at_middle(self) -> np.ndarray | None:
        """The Fisher information, (P, P), at the middle of the prior; None where it has no formula."""
        information = self.fisher(self.parameters.quantile(np.full((1, len(self.parameters)), 0.5)))
        return None if information is None else information[0]

    def is_informative(self) -> bool:
        """Whether rows are finite in single precision, and their Fisher information constrains every parameter."""
        with np.errstate(all="ignore"):
            try:
                data, information = self.simulate(2, 0).data.astype(np.float32), self.fisher_at_middle()
            except (ValueError, IndexError, ArithmeticError):  # of numpy, for axes without length
                return False
        if np.isinf(data).any() or np.isnan(data).all():
            return False
        if information is None:
            return True
        return bool(np.isfinite(information).all() and np.linalg.matrix_rank(information) == len(information))

    def working_numbers(self, rows: int) -> int:
        """About how many numbers are in memory at once when so many rows are made."""
        settings = [getattr(self, entry.name) for entry in fields(cast(Any, self))]
        length = max([MIN_ROW_NUMBERS, *(value for value in settings if isinstance(value, int))])
        return int(COPIES * (rows * length**self.row_axes + length**2))  # data, and a matrix

    def simulate(self, count: int, seed: int, rows_per_simulation: int = 1) -> Simulations:
        """``count`` simulations on a Latin hypercube of the prior, each observed ``rows_per_simulation`` times."""
        theta = latin_hypercube(self.parameters, count, seeding.generator(seed, "parameters"))
        simulation = np.repeat(np.arange(count), rows_per_simulation)
        data = self.observe(theta[simulation], seeding.generator(seed, "data"))
        return Simulations(self.parameters, theta[simulation], data, simulation, self.coordinates, self.attributes)
