"""Periodic Gaussian random fields in one, two and three dimensions: profiles, maps and grids."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from cosmoinfer.memory import slices
from cosmoinfer.simulators.gaussian_modes import Bands, GaussianModes
from cosmoinfer.simulators.simulations import DataAttributes

CELLS_PER_BLOCK = 4_000_000  # cells transformed at once: 64 MB as complex numbers


@dataclass(frozen=True, kw_only=True)
class GaussianField(GaussianModes):
    """Periodic Gaussian random fields in d dimensions with the matter power spectrum, plus white noise of known power.

    A field is the overdensity of a periodic box, averaged along the 3 - d axes that it lacks. Only modes without a
    wavenumber along those survive that, with P_d(k) = P(k)/across in (Mpc/h)^d: exactly for a periodic box, and for a
    deep one by Limber's argument. Noise is added in every cell, then the mean is taken out: P_d(0) = 0. A cell of
    volume V has variance sum_k P_d(k) / (pixels^d V). Fields of one simulation share theta only; their modes are
    independent.
    pixels: along an axis. side: of the field, Mpc/h. noise: power N_0 in (Mpc/h)^d, without which the smallest
    scales would be known too well.
    """

    dimensions: ClassVar[int]

    pixels: int
    side: float
    noise: float

    @property
    @abstractmethod
    def across(self) -> float:
        """What is averaged over, (Mpc/h)^(3-d)."""

    @property
    @abstractmethod
    def row(self) -> tuple[int, ...]:
        """The shape of one field in a catalog."""

    @property
    def grid(self) -> tuple[int, ...]:
        return (self.pixels,) * self.dimensions

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(-self.dimensions, 0))

    @property
    def cell(self) -> float:
        """The volume of a cell, (Mpc/h)^d."""
        return (self.side / self.pixels) ** self.dimensions

    @property
    def attributes(self) -> DataAttributes:
        kind = {1: "profile", 2: "map", 3: "grid"}[self.dimensions]
        return {"kind": kind, "periodic": True, "channels": ("overdensity",)}

    @cached_property
    def bands(self) -> Bands:
        """All modes of equal |k| together, which loses nothing; k = 0 is left out."""
        squares, modes = np.unique(self._squares, return_counts=True)
        return Bands(2 * np.pi / self.side * np.sqrt(squares[1:]), modes[1:])

    def signal(self, theta: np.ndarray) -> np.ndarray:
        """P_d(k_i) of the matter alone, in (Mpc/h)^d: (..., 2) -> (..., K)."""
        return self.linear(self.bands.k, theta) / self.across

    def expected(self, theta: np.ndarray) -> np.ndarray:
        """In (Mpc/h)^d."""
        return self.signal(theta) + self.noise

    def measured(self, data: np.ndarray) -> np.ndarray:
        """The periodogram |FFT|^2 V / pixels^d, averaged over the modes of equal |k|.

        A mode and its conjugate are two of them, one that is its own conjugate is one: as many as real numbers.
        """
        rows = data.shape[: data.ndim - len(self.row)]
        fields = data.reshape(-1, *self.grid)
        powers = np.empty((len(fields), len(self.bands.k)))
        for block in self._blocks(len(fields)):
            values = np.fft.fftn(np.asarray(fields[block], dtype=np.float64), axes=self.axes)
            flat = (np.abs(values) ** 2 * self.cell / self.pixels**self.dimensions).reshape(len(values), -1)
            powers[block] = np.add.reduceat(flat[:, self._order], self._starts, axis=-1) / self.bands.modes
        return powers.reshape(*rows, -1)

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.realise(self.expected(theta), rng)

    def realise(self, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Fields of mean zero with this power in their modes: (N, K) -> (N, *row)."""
        fields = np.empty((len(power), *self.row))
        for block in self._blocks(len(power)):
            fields[block] = self.colour(self.spread(power[block]), rng).reshape(-1, *self.row)
        return fields

    def spread(self, power: np.ndarray) -> np.ndarray:
        """From the distinct |k| to every mode of the grid, zero for k = 0: (N, K) -> (N, *grid)."""
        return np.concatenate([np.zeros((len(power), 1)), power], axis=-1)[:, self._shell]

    def colour(self, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """White noise given the power P(k) = P(-k), mode by mode: (N, *grid) -> (N, *grid)."""
        white = np.fft.fftn(rng.standard_normal(power.shape), axes=self.axes)
        return np.fft.ifftn(white * np.sqrt(power / self.cell), axes=self.axes).real

    def log_measure(self, data: np.ndarray) -> np.ndarray:
        """The density is one over fields of mean zero: their real modes, orthonormal in the cells."""
        rows = data.shape[: data.ndim - len(self.row)]
        return np.full(rows, -0.5 * self.bands.modes.sum() * np.log(2 * np.pi / self.cell))

    def _blocks(self, count: int) -> Iterator[slice]:
        """So many fields, some at a time."""
        return slices(count, CELLS_PER_BLOCK // self.pixels**self.dimensions)

    @cached_property
    def _squares(self) -> np.ndarray:
        """|n|^2 of the integer wavevector of every mode, (*grid)."""
        integer = np.rint(np.fft.fftfreq(self.pixels, 1 / self.pixels)).astype(int)
        return np.sum(np.meshgrid(*[integer**2] * self.dimensions, indexing="ij"), axis=0)

    @cached_property
    def _shell(self) -> np.ndarray:
        """Which of the ascending |k| a mode has, 0 for k = 0: (*grid)."""
        return np.unique(self._squares, return_inverse=True)[1].reshape(self.grid)

    @cached_property
    def _order(self) -> np.ndarray:
        """The modes by ascending |k|, without k = 0."""
        return np.argsort(self._squares, axis=None, kind="stable")[1:]

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where in that order each |k| begins, (K,)."""
        return np.concatenate([[0], np.cumsum(self.bands.modes)[:-1]])


@dataclass(frozen=True)
class GaussianProfiles(GaussianField):
    """(N, 1, pixels): the overdensity along a periodic beam, averaged over its square cross-section.

    width: of the beam, Mpc/h.
    """

    dimensions: ClassVar[int] = 1
    row_axes: ClassVar[int] = 1

    pixels: int = 256
    side: float = 2560.0
    noise: float = 0.1
    width: float = 100.0

    @property
    def across(self) -> float:
        return self.width**2

    @property
    def row(self) -> tuple[int, ...]:
        return (1, *self.grid)


@dataclass(frozen=True)
class GaussianMaps(GaussianField):
    """(N, pixels, pixels): the overdensity of a periodic slab, averaged along its whole depth.

    depth: of the slab, Mpc/h.
    """

    dimensions: ClassVar[int] = 2
    row_axes: ClassVar[int] = 2

    pixels: int = 32
    side: float = 320.0
    noise: float = 1.0
    depth: float = 320.0

    @property
    def across(self) -> float:
        return self.depth

    @property
    def row(self) -> tuple[int, ...]:
        return self.grid


@dataclass(frozen=True)
class GaussianGrids(GaussianField):
    """(N, pixels, pixels, pixels): the overdensity of a periodic box."""

    dimensions: ClassVar[int] = 3
    row_axes: ClassVar[int] = 3

    pixels: int = 32
    side: float = 320.0
    noise: float = 3000.0

    @property
    def across(self) -> float:
        return 1.0

    @property
    def row(self) -> tuple[int, ...]:
        return self.grid
