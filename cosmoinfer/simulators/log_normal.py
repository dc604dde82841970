"""Log-normal fields: those whose exact posterior is a Gaussian field's, and those with a Gaussian field's power."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.simulators.gaussian_fields import GaussianField, GaussianMaps
from cosmoinfer.simulators.gaussian_modes import Bands, GaussianModes
from cosmoinfer.simulators.simulations import DataAttributes


@dataclass(frozen=True)
class LogNormalMaps(GaussianModes):
    """(N, pixels, pixels): exp(g) - 1 of a Gaussian map g of mean zero, its noise included.

    The exponential holds nothing of theta, so p(theta | map) is p(theta | g) exactly; the power spectrum of the map
    itself contains less information, because the map is not Gaussian.
    pixels, side, noise, depth: as of ``GaussianMaps``; the slab is thin, so that g has a standard deviation of 0.6.
    """

    row_axes: ClassVar[int] = 2

    pixels: int = 32
    side: float = 320.0
    noise: float = 4.0
    depth: float = 80.0

    @cached_property
    def logarithm(self) -> GaussianMaps:
        """The law of g."""
        return GaussianMaps(self.linear, pixels=self.pixels, side=self.side, noise=self.noise, depth=self.depth)

    @property
    def bands(self) -> Bands:
        return self.logarithm.bands

    @property
    def attributes(self) -> DataAttributes:
        return self.logarithm.attributes

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """Of g, in (Mpc/h)^2."""
        return self.logarithm.expected(theta)

    def measured(self, data: np.ndarray) -> np.ndarray:
        return self.logarithm.measured(np.log1p(np.asarray(data, dtype=np.float64)))

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.expm1(self.logarithm.observe(theta, rng))

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """Of g, and the Jacobian of the logarithm."""
        g = np.log1p(np.asarray(data, dtype=np.float64))
        return self.logarithm.log_measure(g) - g.sum(axis=(-2, -1))


@dataclass(frozen=True)
class LogNormalPairs(GaussianModes):
    """(N, 2, pixels, pixels): exp(g) - 1 of the matter and of a biased tracer of it, the g being Gaussian maps.

        g_matter = m + n,     g_tracer = bias m + n',     n, n' white noise of the known powers N and N',

    m: the map of ``GaussianMaps`` without its noise. The exponential holds nothing of theta, so p(theta | maps) is
    p(theta | g_matter, g_tracer); a power spectrum of the maps themselves contains less information. Both channels
    contain the same m, and all information on it is in their mean with weights inverse to the noise,

        y = (g_matter/N + bias g_tracer/N') / W,     W = 1/N + bias^2/N',     of power P_2D(k) + 1/W.

    What is left, g_tracer - bias g_matter, is noise alone and independent of y: the periodogram of y is sufficient.
    The mean of a g, which is noise alone too, stays in.
    pixels, side, depth: as of ``GaussianMaps``; the slab is thin, so that g has a standard deviation of 0.6 and 0.8
    and the maps are plainly not Gaussian. noise, tracer_noise: N and N', in (Mpc/h)^2.
    """

    row_axes: ClassVar[int] = 2

    pixels: int = 32
    side: float = 320.0
    depth: float = 80.0
    noise: float = 4.0
    bias: float = 1.3
    tracer_noise: float = 8.0

    @cached_property
    def combined(self) -> GaussianMaps:
        """The law of y, its mean taken out."""
        noise = 1 / (1 / self.noise + self.bias**2 / self.tracer_noise)
        return GaussianMaps(linear=self.linear, pixels=self.pixels, side=self.side, depth=self.depth, noise=noise)

    @property
    def bands(self) -> Bands:
        return self.combined.bands

    @property
    def attributes(self) -> DataAttributes:
        return {"kind": "map", "periodic": True, "channels": ("matter", "tracer")}

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """Of y, in (Mpc/h)^2."""
        return self.combined.expected(theta)

    def measured(self, data: np.ndarray) -> np.ndarray:
        return self.combined.measured(self._split(data)[0])

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        matter = self.combined.realise(self.combined.signal(theta), rng)
        maps = rng.standard_normal((len(theta), 2, *self.combined.row))
        for channel, (bias, noise) in enumerate([(1.0, self.noise), (self.bias, self.tracer_noise)]):
            maps[:, channel] *= np.sqrt(noise / self.combined.cell)
            maps[:, channel] += bias * matter
        return np.expm1(maps, out=maps)

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """A density over all pixels: of the mean of y, of the noise, and the Jacobian of the two logarithms.

        (g_matter, g_tracer) -> (y, g_tracer - bias g_matter) has determinant one.
        """
        y, noise_map = self._split(data)
        mean = y.mean(axis=(-2, -1)) * self.pixels  # of unit norm, as every mode
        noise_power = self.tracer_noise + self.bias**2 * self.noise
        return (
            self.combined.log_measure(y)
            + self._log_white(mean[..., None], self.combined.noise)
            + self._log_white(noise_map.reshape(*mean.shape, -1), noise_power)
            - np.log1p(np.asarray(data, dtype=np.float64)).sum(axis=(-3, -2, -1))
        )

    def _log_white(self, values: np.ndarray, power: float) -> np.ndarray:
        """The log density of white noise of this power: (..., M) -> (...)."""
        variance = power / self.combined.cell
        return -0.5 * (values**2 / variance + np.log(2 * np.pi * variance)).sum(axis=-1)

    def _split(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """y, and what is noise alone: (..., 2, H, W) -> (..., H, W) each."""
        maps = np.log1p(np.asarray(data, dtype=np.float64))
        matter, tracer = maps[..., 0, :, :], maps[..., 1, :, :]
        y = self.combined.noise * (matter / self.noise + self.bias * tracer / self.tracer_noise)
        return y, tracer - self.bias * matter


def log_normal_twins(field: GaussianField, theta: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Log-normal fields with the power spectrum of the Gaussian ``field``, noise included: (N, 2) -> (N, *row).

    exp(g - s^2/2) - 1 has the correlation xi where g is Gaussian with correlation ln(1 + xi) and variance s^2 (Coles
    & Jones 1991, MNRAS 248, 1). sigma: the standard deviation of such a field, hence its skewness 3 sigma + sigma^3;
    it is then scaled to the power of ``field``, and its mean is taken out.

    Raises UserError for a sigma that no log-normal field of this power has.
    """
    origin = (slice(None), *(slice(1),) * field.dimensions)
    correlation = np.fft.ifftn(field.spread(field.expected(theta)), axes=field.axes).real / field.cell  # (N, *grid)
    scale = np.sqrt(correlation[origin]) / sigma
    logarithm = _centred_logarithm(correlation / scale**2, field.axes)
    power = np.fft.fftn(logarithm, axes=field.axes).real * field.cell
    if not power.min() >= -1e-9 * power.max():  # NaN where 1 + xi itself is negative
        raise UserError(f"sigma: no log-normal field of this power has a standard deviation of {sigma:g}; lower it")
    density = np.exp(field.colour(np.clip(power, 0, None), rng) - logarithm[origin] / 2)
    return (scale * (density - density.mean(axis=field.axes, keepdims=True))).reshape(-1, *field.row)


def _centred_logarithm(xi: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """ln(1 + xi + c), with the c for which it sums to zero.

    Where xi sums to zero its logarithm sums to less, and no field has negative power at k = 0. A constant in xi
    changes the power there only, which goes with the mean. Newton's method; from below, on a concave function.
    """
    constant = np.zeros((1,) * xi.ndim)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(12):
            excess = np.log1p(xi + constant).sum(axis=axes, keepdims=True)
            constant = constant - excess / (1 / (1 + xi + constant)).sum(axis=axes, keepdims=True)
        return np.log1p(xi + constant)
