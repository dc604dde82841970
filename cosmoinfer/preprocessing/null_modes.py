"""Noise on what does not vary at all: a mode of zero variance would let a density grow without bound.

The mean of mean-subtracted maps is such a mode, and so is all that lies beyond the cut of band-limited ones. Only
these modes get noise, as strong as that of the nearest mode that varies; it is drawn anew for every epoch, its own
density is taken off every log_prob, and it is taken out of what is generated.
"""

from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.memory import slices

NULL_VARIANCE_FRACTION = 1e-6  # of the median variance of a mode: what has less does not vary
MAPS_PER_CHUNK = 256  # maps that are transformed at once
ROUNDING_FRACTION = 1e-12  # of the largest: what numbers kept in float32 leave of nothing, with room


@dataclass(frozen=True)
class NullModeNoise:
    """std: of each mode's noise, 0 where the data vary: (K,) along the columns of ``basis`` (K, K), the principal
    axes of a vector; (C, H, W) in the unitary Fourier modes of maps, with no basis. In standardised units.
    mean: (K,) or (C, H, W), what the null modes hold in every row.
    """

    std: np.ndarray
    basis: np.ndarray
    mean: np.ndarray

    @property
    def description(self) -> str:
        """What is done, in words."""
        noisy = self.std[self.std > 0]
        return (
            f"{len(noisy)} of {self.std.size} modes of the data never vary: noise of standard deviation "
            f"{noisy.min():.2g} to {noisy.max():.2g} (standardised) is added in them, and taken out again"
        )

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """(count, ...) noise, which lies in the null modes only."""
        return self._values(self.std * self._modes(generator.standard_normal((count, *self.std.shape))))

    def fixed(self, index: np.ndarray) -> np.ndarray:
        """(n, ...), the same for the same row of a catalog, whichever others are asked for."""
        return np.concatenate([self.draw(1, seeding.generator(0, "jitter", int(row))) for row in index])

    def remove(self, values: np.ndarray) -> np.ndarray:
        """With the null modes as they are in every row of the data."""
        return self._values(np.where(self.std > 0, 0, self._modes(values))) + self.mean

    def log_prob(self, noise: np.ndarray) -> np.ndarray:
        """Natural log density of noise (n, ...) over the null modes, (n,)."""
        null = self.std > 0
        z = np.abs(self._modes(noise)[:, null]) / self.std[null]
        return (-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(self.std[null])).sum(axis=1)

    def log_volume(self, scale: np.ndarray) -> float:
        """Log of the volume, in the units of ``scale``, of a unit cube of the null modes.

        scale: (K,) or (C, 1, 1), by which data were divided. What does not vary has no units in a density: where that
        of all numbers is divided by the scale of each, this gives back what the null modes took.
        """
        if self.std.ndim > 1:
            return float((np.log(scale) * (self.std > 0)).sum())
        varying = self.basis[:, self.std == 0]  # (K, R)
        _, log_det = np.linalg.slogdet(varying.T @ (scale[:, None] ** 2 * varying))
        return float(np.log(scale).sum() - 0.5 * log_det)

    def _modes(self, values: np.ndarray) -> np.ndarray:
        return np.fft.fft2(values, norm="ortho") if self.std.ndim > 1 else values @ self.basis

    def _values(self, modes: np.ndarray) -> np.ndarray:
        return np.fft.ifft2(modes, norm="ortho").real if self.std.ndim > 1 else modes @ self.basis.T


def fit_null_mode_noise(values: np.ndarray) -> NullModeNoise | None:
    """From standardised training rows, vectors (N, K) or maps (N, C, H, W); None where every mode varies.

    Raises UserError where a density has no bound even with the noise: for vectors no more rows than numbers a row, for
    maps pixels that never vary, or a channel that is a linear function of the others.
    """
    centre = values.mean(axis=0, dtype=np.float64)
    if values.ndim > 2:
        _check_pixels(values)
    if values.ndim == 2:
        count, size = values.shape
        if count <= size:
            raise UserError(
                f"a density of {size} numbers a row requires more than {size} training rows, found {count}; "
                "`scale_cut` keeps fewer"
            )
        variance, basis = np.linalg.eigh(np.cov(values.T, bias=True).reshape(values.shape[1], -1))
        std = np.where(_null(variance), np.sqrt(variance[~_null(variance)].min()), 0.0)
    else:
        blocks = (values[rows] - centre for rows in slices(len(values), MAPS_PER_CHUNK))
        variance = sum((np.abs(np.fft.fft2(block, norm="ortho")) ** 2).sum(axis=0) for block in blocks) / len(values)
        std, basis = np.stack([np.sqrt(_nearest(channel)) for channel in variance]), np.empty((0, 0))
    blank = NullModeNoise(std, basis, np.zeros_like(centre))
    return replace(blank, mean=centre - blank.remove(centre)) if (std > 0).any() else None


def _check_pixels(maps: np.ndarray) -> None:
    """Noise in Fourier modes does not reach a pixel that never varies, nor a channel that follows from others."""
    blank = int((np.ptp(maps, axis=0) == 0).sum())
    if blank:
        raise UserError(f"{blank} pixels are the same in every training map (masked?): the density is unbounded there")
    channels = maps[:, :, ::2, ::2].transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    spread = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(channels)))
    if spread[0] < NULL_VARIANCE_FRACTION:
        raise UserError("one channel of the maps follows from the others: their joint density is unbounded")


def _null(variance: np.ndarray) -> np.ndarray:
    """Which modes do not vary, beside the median of those that do."""
    return variance < NULL_VARIANCE_FRACTION * np.median(variance[variance > ROUNDING_FRACTION * variance.max()])


def _nearest(variance: np.ndarray) -> np.ndarray:
    """(H, W), of one channel: 0 where a mode varies, else the mean power of those of nearest |k| that do."""
    null, power = _null(variance), np.zeros(variance.shape)
    k = np.hypot(*np.meshgrid(*(np.fft.fftfreq(size) for size in variance.shape), indexing="ij"))
    for mode in map(tuple, np.argwhere(null)):
        distance = np.abs(k[~null] - k[mode])
        power[mode] = variance[~null][distance < distance.min() + 1e-9].mean()
    return power
