"""What every problem here shares: real Gaussian modes, and parameters that the data know by their power alone."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.grid_posterior import GridPosterior
from cosmoinfer.simulators.linear_power import OMEGA_M_SIGMA_8, LinearPower
from cosmoinfer.simulators.simulations import Simulations, latin_hypercube


@dataclass(frozen=True)
class Bands:
    """Sets of Gaussian modes that share one expected power. k: (K,) in h/Mpc; modes: (K,), how many real numbers."""

    k: np.ndarray
    modes: np.ndarray


@dataclass(frozen=True)
class GaussianModes(ABC):
    """Real Gaussian modes, nu_i of them of variance P_i(theta): their mean squares d_i are all that can be known.

    ln p(d | theta) = - sum_i nu_i/2 (ln P_i + d_i / P_i) + terms free of theta, exactly. Prior: uniform on the box.
    A d_i that is NaN was not measured, and drops out of the sum.
    """

    parameters: ClassVar[Parameters] = OMEGA_M_SIGMA_8

    linear: LinearPower = field(default_factory=LinearPower)

    @property
    @abstractmethod
    def bands(self) -> Bands:
        """Where the modes are, and how many."""

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """What a file says of the data."""

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Arrays along an axis of the data, by name."""
        return {}

    @abstractmethod
    def expected(self, theta: np.ndarray) -> np.ndarray:
        """P_i(theta), noise included: (..., 2) -> (..., K)."""

    @abstractmethod
    def measured(self, data: np.ndarray) -> np.ndarray:
        """d_i, the sufficient statistics of one row of data: (..., *row) -> (..., K)."""

    @abstractmethod
    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row of data for every theta: (N, 2) -> (N, *row)."""

    @abstractmethod
    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """The terms of ln p(data | theta) that are free of theta: (..., *row) -> (...)."""

    def simulate(self, count: int, seed: int, rows_per_simulation: int = 1) -> Simulations:
        """``count`` universes on a Latin hypercube, each observed so many times with noise of its own."""
        theta = latin_hypercube(self.parameters, count, seeding.generator(seed, "parameters"))
        simulation = np.repeat(np.arange(count), rows_per_simulation)
        data = self.observe(theta[simulation], seeding.generator(seed, "data"))
        return Simulations(self.parameters, theta[simulation], data, simulation, self.coordinates, self.attributes)

    def log_likelihood(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        """ln p(data | theta), a density over the data: (..., 2) and (..., *row), broadcast -> (...)."""
        return self._log_modes(theta, self.measured(data)) + self.log_measure(data)

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        """ln p(theta | data), normalised over the box: (..., 2) and (..., *row), broadcast -> (...)."""
        return self.posterior.log_prob(theta, self.measured(data))

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Exact posterior draws: (N, *row) -> (N, S, 2)."""
        return self.posterior.sample(self.measured(data), draws, seed)

    @cached_property
    def posterior(self) -> GridPosterior:
        """Of the measured powers, (N, K): what the rest of the data adds does not depend on theta."""
        return GridPosterior(self.parameters, self._log_modes, self._tabulate)

    def _log_modes(self, theta: np.ndarray, measured: np.ndarray) -> np.ndarray:
        power, lost = self.expected(theta), np.isnan(measured)
        return -0.5 * np.where(lost, 0.0, np.log(power) + measured / power) @ self.bands.modes

    def _tabulate(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """All rows against all theta are two matrix products: (G, 2), then (N, K) -> (N, G)."""
        power, modes = self.expected(theta), self.bands.modes
        logarithm, inverse = (-0.5 * modes * np.log(power)).T, (-0.5 * modes / power).T
        return lambda measured: ~np.isnan(measured) @ logarithm + np.nan_to_num(measured) @ inverse
