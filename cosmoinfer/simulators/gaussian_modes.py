"""What problems of Gaussian fields share: real modes, whose power alone depends on the parameters."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.grid_posterior import GridPosterior
from cosmoinfer.simulators.linear_power import OMEGA_M_SIGMA_8, LinearPower
from cosmoinfer.simulators.simulator import Simulator

DERIVATIVE_STEP = 1e-4  # of the box's width


@dataclass(frozen=True)
class Bands:
    """Sets of Gaussian modes that share one expected power.

    k: (K,) wavenumbers, h/Mpc.
    modes: (K,) numbers of real modes.
    """

    k: np.ndarray
    modes: np.ndarray


@dataclass(frozen=True)
class GaussianModes(Simulator):
    """Real Gaussian modes, nu_i of them of variance P_i(theta): their mean squares d_i are sufficient statistics.

    ln p(d | theta) = - sum_i nu_i/2 (ln P_i + d_i / P_i) + terms free of theta, exactly. Prior: uniform on the box.
    A d_i that is NaN was not measured, and drops out of the sum. theta is (..., 2), in catalog units.
    """

    linear: LinearPower = field(default_factory=LinearPower)

    @property
    def parameters(self) -> Parameters:
        return OMEGA_M_SIGMA_8

    @property
    @abstractmethod
    def bands(self) -> Bands:
        """Wavenumbers and numbers of the modes, by band."""

    @abstractmethod
    def expected(self, theta: np.ndarray) -> np.ndarray:
        """P_i(theta), noise included: (..., 2) -> (..., K)."""

    @abstractmethod
    def measured(self, data: np.ndarray) -> np.ndarray:
        """d_i, the sufficient statistics of one row of data: (..., *row) -> (..., K)."""

    @abstractmethod
    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """The terms of ln p(data | theta) that are free of theta: (..., *row) -> (...)."""

    def log_likelihood(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        """ln p(data | theta), a density over the data: (..., 2) and (..., *row), broadcast -> (...)."""
        return self._log_modes(theta, self.measured(data)) + self.log_measure(data)

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        """ln p(theta | data), (n,), natural, of theta (n, P) and data (n, ...), normalised over the box."""
        return self.posterior.log_prob(theta, self.measured(data))

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Draws (n, draws, P) from the exact posterior of data (n, ...)."""
        return self.posterior.sample(self.measured(data), draws, seed)

    def fisher(self, theta: np.ndarray) -> np.ndarray:
        """F_ab = 1/2 sum_i nu_i d_a ln P_i d_b ln P_i (Tegmark, Taylor & Heavens 1997, arXiv:astro-ph/9603021).

        Of all modes: lost bins reduce it by their share.
        """
        steps = DERIVATIVE_STEP * np.diag(self.parameters.high - self.parameters.low)
        slopes = [
            (np.log(self.expected(theta + step)) - np.log(self.expected(theta - step))) / (2 * step.sum())
            for step in steps
        ]
        slope = np.stack(slopes, axis=-2)  # (..., 2, K)
        return 0.5 * (slope * self.bands.modes) @ np.swapaxes(slope, -1, -2)

    @cached_property
    def posterior(self) -> GridPosterior:
        """Of the measured powers, (N, K): all other terms of the data are independent of theta."""
        return GridPosterior(self.parameters, self._log_modes, self._tabulate)

    def _log_modes(self, theta: np.ndarray, measured: np.ndarray) -> np.ndarray:
        power, lost = self.expected(theta), np.isnan(measured)
        return -0.5 * np.where(lost, 0.0, np.log(power) + measured / power) @ self.bands.modes

    def _tabulate(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """All rows against all theta are two matrix products: (G, 2), then (N, K) -> (N, G)."""
        power, modes = self.expected(theta), self.bands.modes
        logarithm, inverse = (-0.5 * modes * np.log(power)).T, (-0.5 * modes / power).T
        return lambda measured: ~np.isnan(measured) @ logarithm + np.nan_to_num(measured) @ inverse
