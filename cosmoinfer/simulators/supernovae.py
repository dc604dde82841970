"""Distance moduli of supernovae, binned in redshift: a flat universe with dark energy of constant equation of state."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosmoinfer import seeding, truncated_normal
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.grid_posterior import GridPosterior
from cosmoinfer.simulators.simulations import DataAttributes
from cosmoinfer.simulators.simulator import Simulator

HUBBLE_DISTANCE = 2997.92458  # c / (100 km/s/Mpc), in Mpc/h
LABELS = (r"\Omega_m", "w", r"\Delta M")


@dataclass(frozen=True)
class Supernovae(Simulator):
    """mu_i = 5 log10(d_L(z_i) / 10 pc) + offset + e_i, e_i ~ N(0, error^2), in magnitudes.

    Flat, d_L = (1 + z) c/H_0 int_0^z dz'/E, E^2 = Omega_m (1 + z)^3 + (1 - Omega_m) (1 + z)^(3 (1 + w)) (Hogg 1999,
    arXiv:astro-ph/9905116; Turner & White 1997, arXiv:astro-ph/9701138), radiation left out. ``offset`` holds the
    absolute magnitude and H_0, which supernovae cannot tell apart; it enters linearly, so its integral over its box is
    a formula and the posterior needs a grid in (Omega_m, w) only.
    bins: evenly spaced in the logarithm of z from ``nearest`` to ``farthest``. h: for the distances alone.
    """

    bins: int = 30
    nearest: float = 0.02
    farthest: float = 1.4
    error: float = 0.04
    h: float = 0.7

    @property
    def parameters(self) -> Parameters:
        return Parameters.from_names(("Omega_m", "w", "offset"), (0.1, -2.0, -0.2), (0.6, -0.4, 0.2), labels=LABELS)

    @property
    def attributes(self) -> DataAttributes:
        return {"kind": "vector", "units": "mag"}

    @cached_property
    def redshifts(self) -> np.ndarray:
        return np.geomspace(self.nearest, self.farthest, self.bins)

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        return {"z": self.redshifts}

    def modulus(self, cosmology: np.ndarray) -> np.ndarray:
        """mu(z_i) in magnitudes, without the offset: (..., 2) of Omega_m and w -> (..., K)."""
        omega_m, w = cosmology[..., :1, None], cosmology[..., 1:, None]
        nodes, weights = np.polynomial.legendre.leggauss(10)  # 1/E is smooth: better than 1e-6 mag at these redshifts
        one_plus_z = 1 + self.redshifts[:, None] * (nodes + 1) / 2  # (K, nodes)
        squared = omega_m * one_plus_z**3 + (1 - omega_m) * one_plus_z ** (3 * (1 + w))
        comoving = (weights / np.sqrt(squared)).sum(axis=-1) * self.redshifts / 2
        distance = (1 + self.redshifts) * comoving * HUBBLE_DISTANCE / self.h  # Mpc
        return 5 * np.log10(distance) + 25

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = self.error * rng.standard_normal((len(theta), self.bins))
        return self.modulus(theta[..., :2]) + theta[..., 2:] + noise

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        data = np.asarray(data, np.float64)
        offset = self._best_offset(data - self.modulus(theta[..., :2]))
        normal = -0.5 * ((theta[..., 2] - offset) / self._width) ** 2 - np.log(self._width * np.sqrt(2 * np.pi))
        inside = self.parameters.inside(theta)
        return np.where(inside, self._grid.log_prob(theta[..., :2], data) + normal - self._log_mass(offset), -np.inf)

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """(Omega_m, w) by rejection under their marginal posterior, then the offset from its truncated normal."""
        data = np.asarray(data, np.float64)
        cosmology = self._grid.sample(data, draws, seed)
        samples = np.empty((len(data), draws, 3))
        for row, x in enumerate(data):
            offset = self._best_offset(x - self.modulus(cosmology[row]))
            u = seeding.generator(seed, "offset", row).random(draws)
            drawn = offset + self._width * truncated_normal.quantile(u, *self._edges(offset))
            samples[row] = self.parameters.clip(np.column_stack([cosmology[row], drawn]))
        return samples

    @property
    def _width(self) -> float:
        """The standard deviation of the offset where the cosmology is known, before its box cuts it."""
        return self.error / float(np.sqrt(self.bins))

    def _best_offset(self, residual: np.ndarray) -> np.ndarray:
        """The best offset for mu - mu(z): (..., K) -> (...)."""
        return residual.mean(axis=-1)

    def _edges(self, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.parameters.low[2], self.parameters.high[2]
        return (low - offset) / self._width, (high - offset) / self._width

    def _log_mass(self, offset: np.ndarray) -> np.ndarray:
        """ln of the share of the offset's normal inside its box."""
        return truncated_normal.log_mass(*self._edges(offset))

    @cached_property
    def _grid(self) -> GridPosterior:
        """Of (Omega_m, w), the offset integrated out; a likelihood of the moduli, (N, K)."""
        return GridPosterior(self.parameters.select(("Omega_m", "w")), self._log_marginal, self._tabulate)

    def _log_marginal(self, cosmology: np.ndarray, data: np.ndarray) -> np.ndarray:
        residual = data - self.modulus(cosmology)
        offset = self._best_offset(residual)
        chi = np.square(residual - offset[..., None]).sum(axis=-1) / self.error**2
        return -0.5 * chi + self._log_mass(offset)

    def _tabulate(self, cosmology: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """All rows against all cosmologies are one matrix product: (G, 2), then (N, K) -> (N, G)."""
        model = self.modulus(cosmology)
        mean, shape = model.mean(axis=-1), model - model.mean(axis=-1, keepdims=True)

        def table(data: np.ndarray) -> np.ndarray:
            data_mean = data.mean(axis=-1, keepdims=True)
            residual = data - data_mean
            chi = np.square(residual).sum(axis=-1)[:, None] - 2 * residual @ shape.T + np.square(shape).sum(axis=-1)
            return -0.5 * chi / self.error**2 + self._log_mass(data_mean - mean)

        return table
