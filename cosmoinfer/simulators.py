"""Problems whose exact posterior is known: they return arrays and densities. Writing a file is somebody else's work.

Both problems here measure the power of Gaussian modes; what differs is whether the modes come as bands or as a map.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.parameters import Parameters

OMEGA_M_SIGMA_8 = Parameters.of(("Omega_m", "sigma_8"), (0.1, 0.6), (0.5, 1.0), labels=(r"\Omega_m", r"\sigma_8"))
RADIUS = 8.0  # Mpc/h, of the sphere that sigma_8 is about
WAVENUMBERS = np.geomspace(1e-4, 20, 192)  # h/Mpc, for the integral over that sphere: sigma_8 to better than 1e-6
BLOCK = 4_000_000  # numbers held at once while many rows meet many nodes: 32 MB


@dataclass(frozen=True)
class LinearPower:
    """The linear matter power spectrum today of a flat universe without neutrinos or acoustic oscillations.

    Transfer function: Eisenstein & Hu 1998 (ApJ 496, 605; arXiv:astro-ph/9709112), equations 26 and 28 to 31, good
    to a few per cent outside the oscillations. ``omega_b``: Omega_b; ``temperature``: of the CMB, in K.
    """

    h: float = 0.6711
    n_s: float = 0.9624
    omega_b: float = 0.049
    temperature: float = 2.7255

    def __call__(self, k: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """P(k; Omega_m, sigma_8) in (Mpc/h)^3; k: (K,) in h/Mpc; theta: (..., 2) -> (..., K)."""
        # P is sigma_8^2 times a shape that Omega_m alone sets; on grids and among maps of one simulation few differ.
        omega_m, which = np.unique(theta[..., 0].ravel(), return_inverse=True)
        shape = self._shape(k, omega_m) / self._variance(omega_m)[:, None]
        return theta[..., 1:] ** 2 * shape[which.ravel()].reshape(*theta.shape[:-1], len(k))

    def transfer(self, k: np.ndarray, omega_m: np.ndarray) -> np.ndarray:
        """T(k), one on the largest scales; k: (K,) in h/Mpc; omega_m: (...) -> (..., K)."""
        omega_m = np.asarray(omega_m)[..., None]
        matter, baryons, fraction = omega_m * self.h**2, self.omega_b * self.h**2, self.omega_b / omega_m
        sound = 44.5 * np.log(9.83 / matter) / np.sqrt(1 + 10 * baryons**0.75)  # Mpc
        alpha = 1 - 0.328 * np.log(431 * matter) * fraction + 0.38 * np.log(22.3 * matter) * fraction**2
        gamma = omega_m * self.h * (alpha + (1 - alpha) / (1 + np.square(0.43 * k * self.h * sound) ** 2))
        q = k * (self.temperature / 2.7) ** 2 / gamma
        logarithm = np.log(2 * np.e + 1.8 * q)
        return logarithm / (logarithm + (14.2 + 731 / (1 + 62.5 * q)) * q**2)

    def _shape(self, k: np.ndarray, omega_m: np.ndarray) -> np.ndarray:
        return k**self.n_s * self.transfer(k, omega_m) ** 2

    def _variance(self, omega_m: np.ndarray) -> np.ndarray:
        """The variance of the unnormalised shape in spheres: int dln k k^3 P(k) W(k R)^2 / (2 pi^2)."""
        weight = WAVENUMBERS**3 * top_hat(WAVENUMBERS * RADIUS) ** 2 / (2 * np.pi**2)
        # Both ends vanish, so the plain sum in ln k converges faster than any power of its step.
        return self._shape(WAVENUMBERS, omega_m) @ weight * np.log(WAVENUMBERS[1] / WAVENUMBERS[0])


def top_hat(x: np.ndarray) -> np.ndarray:
    """The Fourier transform of a sphere of unit volume, 3 (sin x - x cos x) / x^3, with x = k R > 0."""
    return 3 * special.spherical_jn(1, x) / x


# ----------------------------------------------------------------------------------------------- the exact posterior
@dataclass(frozen=True)
class GridPosterior:
    """p(theta | x) in a box under a uniform prior, for any likelihood that can be evaluated; meant for P <= 3.

    The evidence is a Gauss-Legendre sum over ``nodes`` points an axis: it needs a node every standard deviation or
    so of the narrowest direction, and loses nothing where the box cuts the posterior off.
    log_likelihood: of theta (..., P) and x (..., K), broadcast against each other -> (...).
    tabulate: of theta (G, P), gives the function that takes x (N, K) to the likelihood of all pairs, (N, G).
    Both may leave out the same terms free of theta.
    """

    parameters: Parameters
    log_likelihood: Callable[[np.ndarray, np.ndarray], np.ndarray]
    tabulate: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
    nodes: int = 128

    def log_prob(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Natural log density in catalog units, -inf outside the box: (..., P) and (..., K), broadcast -> (...)."""
        evidence = self.log_evidence(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])
        return np.where(self.parameters.inside(theta), self.log_likelihood(theta, x) - evidence, -np.inf)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """ln of the integral of the likelihood over the box (not divided by its volume): (N, K) -> (N,)."""
        log_weight = self._grid[1]
        parts = [special.logsumexp(block + log_weight, axis=1) for block in self._blocks(x)]
        return np.concatenate([np.empty(0), *parts])

    def sample(self, x: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Exact independent draws, (N, K) -> (N, S, P); row i has a stream of its own, keyed by (seed, i)."""
        rows = (row for block in self._blocks(x) for row in block)
        samples = [
            self._reject(x[index], row, draws, seeding.generator(seed, "posterior", index))
            for index, row in enumerate(rows)
        ]
        return np.stack(samples) if samples else np.empty((0, draws, len(self.parameters)))

    def _reject(self, x: np.ndarray, table: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Rejection from a Student t of the posterior's own moments; table: its log-likelihood at the nodes, (G,)."""
        theta, log_weight = self._grid
        proposal = _Proposal.like(theta, np.exp(table + log_weight - special.logsumexp(table + log_weight)))
        # The ratio is smooth on the scale of the posterior, which the nodes resolve: 5 % cover what lies between them.
        bound = np.max(table - proposal.log_density(theta)) + np.log(1.05)
        accepted = np.empty((0, len(self.parameters)))
        while len(accepted) < draws:
            trial = proposal.draw(2 * draws, rng)
            trial = trial[self.parameters.inside(trial)]
            ratio = self.log_likelihood(trial, x) - proposal.log_density(trial) - bound
            accepted = np.concatenate([accepted, trial[np.log(rng.random(len(trial))) < ratio]])
        return self.parameters.clip(accepted[:draws])

    def _blocks(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """The log-likelihood at every node, some rows at a time: (B, G)."""
        rows = max(1, BLOCK // len(self._grid[0]))
        for start in range(0, len(x), rows):
            yield self._table(x[start : start + rows])

    @cached_property
    def _table(self) -> Callable[[np.ndarray], np.ndarray]:
        return self.tabulate(self._grid[0])

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (G, P) and the logarithms of their weights (G,), which sum to the volume of the box."""
        points, weights = np.polynomial.legendre.leggauss(self.nodes)
        low, high = self.parameters.low, self.parameters.high
        axes = (low + (high - low) * (points[:, None] + 1) / 2).T
        logs = np.log(weights)[:, None] + np.log((high - low) / 2)
        theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
        return theta, np.sum(np.meshgrid(*logs.T, indexing="ij"), axis=0).reshape(-1)


@dataclass(frozen=True)
class _Proposal:
    """A multivariate Student t of few degrees of freedom: wider in its tails than what it stands in for."""

    mean: np.ndarray
    root: np.ndarray
    freedom: float = 5.0

    @classmethod
    def like(cls, theta: np.ndarray, weight: np.ndarray) -> "_Proposal":
        """With the moments of weighted points: theta (G, P), weight (G,) of sum one."""
        mean = weight @ theta
        return cls(mean, np.linalg.cholesky((theta - mean).T * weight @ (theta - mean)))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        stretch = np.sqrt(self.freedom / rng.chisquare(self.freedom, (count, 1)))
        return self.mean + stretch * rng.standard_normal((count, len(self.mean))) @ self.root.T

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Up to a constant."""
        squares = np.square((theta - self.mean) @ np.linalg.inv(self.root).T).sum(axis=-1)
        return -0.5 * (self.freedom + len(self.mean)) * np.log1p(squares / self.freedom)


# ------------------------------------------------------------------------------------------------------ the problems
@dataclass(frozen=True)
class Simulations:
    """N rows: theta (N, P), data (N, ...), the simulation that each came from (N,), and what a file says of the data.

    ``coordinates``: arrays along an axis of the data, by name. ``attributes``: of the data.
    """

    parameters: Parameters
    theta: np.ndarray
    data: np.ndarray
    simulation: np.ndarray
    coordinates: dict[str, np.ndarray]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Bands:
    """Sets of Gaussian modes that share one expected power. k: (K,) in h/Mpc; modes: (K,), how many real numbers."""

    k: np.ndarray
    modes: np.ndarray


@dataclass(frozen=True)
class GaussianModes(ABC):
    """Real Gaussian modes, nu_i of them of variance P_i(theta): their mean squares d_i are all that can be known.

    ln p(d | theta) = - sum_i nu_i/2 (ln P_i + d_i / P_i) + terms free of theta, exactly. Prior: uniform on the box.
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
        power = self.expected(theta)
        return -0.5 * (np.log(power) + measured / power) @ self.bands.modes

    def _tabulate(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """All rows against all theta is one matrix product: (G, 2), then (N, K) -> (N, G)."""
        power, modes = self.expected(theta), self.bands.modes
        logarithm, inverse = -0.5 * np.log(power) @ modes, (-0.5 * modes / power).T
        return lambda measured: logarithm + measured @ inverse


@dataclass(frozen=True)
class PowerSpectrum(GaussianModes):
    """The matter power spectrum of a periodic box, in linear bins of k: d_i = P_i chi^2_nu / nu, independent bins.

    P_i = P(k_i) + shot noise at the bin's centre; nu_i: the wavevectors in the shell (a mode and its conjugate are
    one complex, that is two real numbers). Linear theory at every k, which no real universe keeps to beyond 0.1 h/Mpc.
    side: of the box, Mpc/h. bins: each one fundamental wavenumber 2 pi/side wide, the first centred on the first.
    shot_noise: one over the density of tracers, in (Mpc/h)^3; known, and not subtracted.
    """

    side: float = 250.0
    bins: int = 40
    shot_noise: float = 1000.0

    @cached_property
    def bands(self) -> Bands:
        """Bin centres and wavevectors counted one by one; those on an edge, none here, would go up."""
        edges = np.arange(self.bins + 1) + 0.5
        squares = np.arange(-self.bins - 1, self.bins + 2) ** 2
        lengths = np.sqrt(squares[:, None, None] + squares[:, None] + squares)
        modes, _ = np.histogram(lengths, edges)
        return Bands(2 * np.pi / self.side * (edges[1:] + edges[:-1]) / 2, modes)

    @property
    def attributes(self) -> dict[str, Any]:
        return {"kind": "vector", "units": "(Mpc/h)^3"}

    @property
    def coordinates(self) -> dict[str, np.ndarray]:
        """Bin centres, in h/Mpc."""
        return {"k": self.bands.k}

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """In (Mpc/h)^3."""
        return self.linear(self.bands.k, theta) + self.shot_noise

    def measured(self, data: np.ndarray) -> np.ndarray:
        return np.asarray(data, dtype=np.float64)

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        modes = self.bands.modes
        return self.expected(theta) * rng.chisquare(modes, (len(theta), self.bins)) / modes

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        half = self.bands.modes / 2
        return ((half - 1) * np.log(self.measured(data)) + half * np.log(half) - special.gammaln(half)).sum(axis=-1)


@dataclass(frozen=True)
class GaussianMaps(GaussianModes):
    """Periodic Gaussian random maps with the matter power spectrum, plus white noise of known power.

    A map is the overdensity of a periodic slab, averaged along its whole depth L. Only modes in the plane survive
    that, with P_2D(k) = P(k)/L in (Mpc/h)^2: exactly for a periodic slab, and for a thick one by Limber's argument.
    Noise is added in every pixel, then the mean is taken out: P_2D(0) = 0. A pixel of area A has variance
    sum_k P_2D(k) / (pixels^2 A). Maps of one simulation share theta only; their modes are independent.
    side: of the map, Mpc/h. depth: of the slab, Mpc/h. noise: power N_0 in (Mpc/h)^2, without which the smallest
    scales would be known too well.
    """

    pixels: int = 32
    side: float = 320.0
    depth: float = 320.0
    noise: float = 1.0

    @property
    def area(self) -> float:
        """Of a pixel, (Mpc/h)^2."""
        return (self.side / self.pixels) ** 2

    @cached_property
    def bands(self) -> Bands:
        """All modes of equal |k| together, which loses nothing; k = 0 is left out."""
        squares, modes = np.unique(self._squares, return_counts=True)
        return Bands(2 * np.pi / self.side * np.sqrt(squares[1:]), modes[1:])

    @property
    def attributes(self) -> dict[str, Any]:
        return {"kind": "map", "periodic": True, "channels": ("overdensity",)}

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """In (Mpc/h)^2."""
        return self.linear(self.bands.k, theta) / self.depth + self.noise

    def measured(self, data: np.ndarray) -> np.ndarray:
        """The periodogram |FFT|^2 A / pixels^2, averaged over the modes of equal |k|: (..., H, W) -> (..., K)."""
        periodogram = np.abs(np.fft.fft2(np.asarray(data, dtype=np.float64))) ** 2 * self.area / self.pixels**2
        flat = periodogram.reshape(*data.shape[:-2], -1)[..., self._order]
        return np.add.reduceat(flat, self._starts, axis=-1) / self.bands.modes

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        power = np.concatenate([np.zeros((len(theta), 1)), self.expected(theta)], axis=-1)
        amplitude = np.sqrt(power / self.area)[:, self._shell]  # (N, H, W)
        white = rng.standard_normal((len(theta), self.pixels, self.pixels))
        return np.fft.ifft2(np.fft.fft2(white) * amplitude).real

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """The density is one over maps of mean zero: the N^2 - 1 real modes, orthonormal in the pixels."""
        return np.full(data.shape[:-2], -0.5 * (self.pixels**2 - 1) * np.log(2 * np.pi / self.area))

    @cached_property
    def _squares(self) -> np.ndarray:
        """|n|^2 of the integer wavevector of every mode, (H, W)."""
        integer = np.rint(np.fft.fftfreq(self.pixels, 1 / self.pixels)).astype(int)
        return integer[:, None] ** 2 + integer**2

    @cached_property
    def _shell(self) -> np.ndarray:
        """Which of the ascending |k| a mode has, 0 for k = 0: (H, W)."""
        return np.unique(self._squares, return_inverse=True)[1].reshape(self._squares.shape)

    @cached_property
    def _order(self) -> np.ndarray:
        """The modes by ascending |k|, without k = 0."""
        return np.argsort(self._squares, axis=None, kind="stable")[1:]

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where in that order each |k| begins, (K,)."""
        return np.concatenate([[0], np.cumsum(self.bands.modes)[:-1]])


def latin_hypercube(parameters: Parameters, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, P): every slice of 1/count of each prior holds one point (McKay, Beckman & Conover 1979)."""
    cells = np.stack([rng.permutation(count) for _ in parameters.names], axis=-1)
    return parameters.quantile((cells + rng.random(cells.shape)) / count)


SIMULATORS: dict[str, GaussianModes] = {
    "power-spectrum": PowerSpectrum(),
    "gaussian-maps": GaussianMaps(),
}
