"""Linear Gaussian problems, whose posterior is a formula: with a normal prior, and in a box."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosmoinfer import seeding, truncated_normal
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.simulations import DataAttributes
from cosmoinfer.simulators.simulator import Simulator


def _names(dimensions: int) -> tuple[str, ...]:
    return tuple(f"theta_{number}" for number in range(1, dimensions + 1))


@dataclass(frozen=True)
class LinearGaussian(Simulator):
    """x = A theta + e, e ~ N(0, noise^2), theta ~ N(0, 1): the posterior is normal, and its parameters correlate.

    A has ones on its diagonal and ``mixing`` beside it, so that x_i sees theta_i and theta_(i-1). Conjugate:
    covariance S = (1 + A^T A / noise^2)^-1, mean S A^T x / noise^2 (Bishop 2006, section 2.3.3).
    """

    dimensions: int = 4
    noise: float = 0.5
    mixing: float = 0.5

    @property
    def parameters(self) -> Parameters:
        return Parameters.from_names(_names(self.dimensions), prior=("normal",) * self.dimensions)

    @property
    def attributes(self) -> DataAttributes:
        return {"kind": "vector"}

    @cached_property
    def response(self) -> np.ndarray:
        """A, (P, P)."""
        return np.eye(self.dimensions) + self.mixing * np.eye(self.dimensions, k=-1)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Of the posterior, (P, P), the same for every x."""
        return np.linalg.inv(np.eye(self.dimensions) + self.response.T @ self.response / self.noise**2)

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return theta @ self.response.T + self.noise * rng.standard_normal(theta.shape)

    def mean(self, data: np.ndarray) -> np.ndarray:
        """Of the posterior: (..., P) -> (..., P)."""
        return np.asarray(data, np.float64) @ self.response @ self.covariance / self.noise**2

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        white = (theta - self.mean(data)) @ np.linalg.inv(self._root).T
        log_root = np.log(np.diag(self._root)).sum()
        return -0.5 * (white**2).sum(axis=-1) - log_root - 0.5 * self.dimensions * np.log(2 * np.pi)

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        streams = [seeding.generator(seed, "posterior", row) for row in range(len(data))]
        white = np.stack([stream.standard_normal((draws, self.dimensions)) for stream in streams])
        return self.mean(data)[:, None] + white @ self._root.T

    def fisher(self, theta: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.response.T @ self.response / self.noise**2, (*theta.shape, self.dimensions))

    @cached_property
    def _root(self) -> np.ndarray:
        return np.linalg.cholesky(self.covariance)


@dataclass(frozen=True)
class BoxedLinearGaussian(Simulator):
    """x = theta + e, e ~ N(0, noise^2), theta uniform on -1..1: the posterior is a product of truncated normals.

    With ten parameters and noise^2 = 0.1, "Gaussian linear uniform" of Lueckmann et al. 2021 (arXiv:2101.04653).
    """

    dimensions: int = 10
    noise: float = float(np.sqrt(0.1))

    @property
    def parameters(self) -> Parameters:
        edge = np.ones(self.dimensions)
        return Parameters.from_names(_names(self.dimensions), -edge, edge)

    @property
    def attributes(self) -> DataAttributes:
        return {"kind": "vector"}

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return theta + self.noise * rng.standard_normal(theta.shape)

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        data = np.asarray(data, np.float64)
        log_mass = np.log(truncated_normal.mass(*self._edges(data)))
        terms = -0.5 * ((theta - data) / self.noise) ** 2 - log_mass - np.log(self.noise * np.sqrt(2 * np.pi))
        return np.where(self.parameters.inside(theta), terms.sum(axis=-1), -np.inf)

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """By the inverse of the distribution function."""
        data = np.asarray(data, np.float64)
        low, high = (edge[:, None] for edge in self._edges(data))
        streams = [seeding.generator(seed, "posterior", row) for row in range(len(data))]
        u = np.stack([stream.random((draws, self.dimensions)) for stream in streams])
        return self.parameters.clip(data[:, None] + self.noise * truncated_normal.quantile(u, low, high))

    def fisher(self, theta: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.eye(self.dimensions) / self.noise**2, (*theta.shape, self.dimensions))

    def _edges(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The edges of the box seen from x, in units of the noise."""
        return (-1 - data) / self.noise, (1 - data) / self.noise
