"""Power spectra of a periodic box as vectors: whole, and with bins that were lost at random."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from cosmoinfer.errors import UserError
from cosmoinfer.simulators.gaussian_modes import Bands, GaussianModes
from cosmoinfer.simulators.simulations import DataAttributes


@dataclass(frozen=True)
class Spectrum(GaussianModes):
    """The matter power spectrum of a periodic box, in linear bins of k: d_i = P_i chi^2_nu / nu, independent bins.

    P_i = P(k_i) + shot noise at the bin's centre; nu_i: the wavevectors in the shell (a mode and its conjugate are
    one complex, that is two real numbers). Linear theory at every k, which no real universe keeps to beyond 0.1 h/Mpc.
    side: of the box, Mpc/h. bins: each one fundamental wavenumber 2 pi/side wide, the first centred on the first.
    shot_noise: one over the density of tracers, in (Mpc/h)^3; known, and not subtracted.
    """

    side: float = 250.0
    bins: int = 40
    shot_noise: float = 1000.0

    @property
    @abstractmethod
    def missing(self) -> float:
        """The probability with which a bin is lost (NaN), whatever it holds and whatever theta is."""

    def working_numbers(self, rows: int) -> int:
        """With the wavevectors, which are counted in a cube."""
        return super().working_numbers(rows) + 2 * (2 * self.bins + 3) ** 3

    @cached_property
    def bands(self) -> Bands:
        """Bin centres and wavevectors counted one by one; those on an edge, none here, would go up."""
        edges = np.arange(self.bins + 1) + 0.5
        squares = np.arange(-self.bins - 1, self.bins + 2) ** 2
        lengths = np.sqrt(squares[:, None, None] + squares[:, None] + squares)
        modes, _ = np.histogram(lengths, edges)
        return Bands(2 * np.pi / self.side * (edges[1:] + edges[:-1]) / 2, modes)

    @property
    def attributes(self) -> DataAttributes:
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
        powers = self.expected(theta) * rng.chisquare(modes, (len(theta), self.bins)) / modes
        return np.where(rng.random(powers.shape) < self.missing, np.nan, powers)

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """A density over the bins that are left, times the probability that it is exactly those."""
        half, powers, lost = self.bands.modes / 2, self.measured(data), np.isnan(data)
        log_density = (
            (half - 1) * np.log(powers) + half * np.log(half) - special.gammaln(half) + np.log1p(-self.missing)
        )
        return np.where(lost, special.xlogy(lost, self.missing), log_density).sum(axis=-1)


@dataclass(frozen=True)
class PowerSpectrum(Spectrum):
    """No bin is lost."""

    @property
    def missing(self) -> float:
        return 0.0


@dataclass(frozen=True)
class MaskedSpectrum(Spectrum):
    """Bins are lost at random: the posterior is that of the bins that are left; the mask is independent of theta."""

    missing: float = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.missing < 1:
            raise UserError(f"missing: expected a probability between 0 and 1, found {self.missing:g}")
