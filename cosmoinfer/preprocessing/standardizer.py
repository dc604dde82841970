"""Data as a network takes them: in log10 where their dynamic range is wide, and standardised."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

TRANSFORMS = ("auto", "log10", "none")
LOG_DYNAMIC_RANGE = 30.0  # positive data whose 99.9th percentile exceeds the 0.1th by this factor are taken to log10
MAX_ZERO_FRACTION = 0.01  # the share of zeros that does not turn log10 off
SAMPLE_SIZE = 10_000  # numbers of a block, about, that tell how wide data spread


@dataclass(frozen=True)
class Standardizer:
    """Data to zero mean and unit variance, in log10 where ``log`` is set: per feature of a vector, else per channel.

    log, floor, mean, std: of shape (K,) for a vector, (C, 1, ...) otherwise. ``floored`` training values lay below
    the floor, the smallest positive training value.
    """

    log: np.ndarray
    floor: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    n_floored: int = 0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(N, ...) in catalog units -> (N, ...) float32."""
        return ((self._logged(np.asarray(values, np.float64)) - self.mean) / self.std).astype(np.float32)

    def fraction_below_floor(self, values: np.ndarray) -> np.ndarray:
        """(n,) the share of a row's numbers, of those that are taken to log10, which lie below the floor."""
        low = np.logical_and(self.log, np.asarray(values) < self.floor)
        logged = np.broadcast_to(self.log, low.shape[1:]).sum()
        return low.reshape(len(low), -1).sum(axis=1) / max(1, logged)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """(N, ...) -> (N, ...) float64 in catalog units."""
        values = np.asarray(z, np.float64) * self.std + self.mean
        return np.where(self.log, 10.0**values, values) if self.log.any() else values

    def log_slope(self, values: np.ndarray) -> np.ndarray:
        """log |dz/dvalue| summed over each row, (N,), of values (N, ...) in catalog units."""
        values = np.asarray(values, np.float64)
        slope = np.broadcast_to(-np.log(self.std), values.shape)
        if self.log.any():
            slope = np.where(self.log, slope - np.log(np.maximum(values, self.floor) * np.log(10)), slope)
        return slope.reshape(len(values), -1).sum(axis=1)

    def _logged(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.log, np.log10(np.maximum(values, self.floor)), values) if self.log.any() else values


def fit_standardizer(blocks: Iterable[np.ndarray], vector: bool, transform: str) -> Standardizer:
    """From all training rows in one walk over them, (n, ...) a block. NaN is a gap, and left out.

    A logarithm requires the floor, the smallest positive number of all, before it is known: numbers that are not
    positive are counted, and each adds the floor's logarithm at the end.
    """
    plain, logged, floors, spread = _Moments(vector), _Moments(vector), [], _Spread()
    for block in blocks:
        values = np.asarray(block, np.float64)
        positive = values > 0
        floors.append(np.where(positive, values, np.inf).min(axis=plain.axes(values), keepdims=True)[0])
        plain.add(values)
        if transform != "none":
            logged.add(np.log10(np.where(positive, values, np.nan)))
            spread.add(values)
    floor = np.minimum.reduce(floors)
    use_log = transform == "log10" or (transform == "auto" and spread.wide)
    log = np.logical_and(use_log, np.isfinite(floor))
    floor = np.where(np.isfinite(floor), floor, 1.0)
    mean, squares, floored = plain.mean, plain.squares, np.zeros(1)
    if use_log:
        floored = np.where(log, plain.count - logged.count, 0)
        logged.join(floored, np.log10(floor), 0.0)
        mean, squares = (
            np.where(log, logged_value, plain_value)
            for logged_value, plain_value in ((logged.mean, mean), (logged.squares, squares))
        )
    std = np.sqrt(squares / np.maximum(plain.count, 1))
    constant = std <= 1e-7 * np.maximum(np.abs(mean), 1e-30)
    return Standardizer(log, floor, mean, np.where(constant, 1.0, std), int(floored.sum()))


class _Moments:
    """Counts, means and sums of squared deviations of what has come by so far, per feature or per channel."""

    def __init__(self, vector: bool) -> None:
        self.vector = vector
        self.count, self.mean, self.squares = np.zeros(1), np.zeros(1), np.zeros(1)

    def axes(self, values: np.ndarray) -> tuple[int, ...]:
        return (0,) if self.vector else (0, *range(2, values.ndim))

    def add(self, values: np.ndarray) -> None:
        axes = self.axes(values)
        count = (~np.isnan(values)).sum(axis=axes, keepdims=True)
        mean = np.nansum(values, axis=axes, keepdims=True) / np.maximum(count, 1)
        squares = np.nansum((values - mean) ** 2, axis=axes, keepdims=True)
        self.join(count[0], mean[0], squares[0])

    def join(self, count: np.ndarray, mean: np.ndarray, squares: np.ndarray | float) -> None:
        """With those of other numbers (Chan, Golub & LeVeque 1983, The American Statistician 37, 242)."""
        total, apart = self.count + count, mean - self.mean
        share = count / np.maximum(total, 1)
        self.squares = self.squares + squares + apart**2 * self.count * share
        self.count, self.mean = total, self.mean + apart * share


class _Spread:
    """Whether data are positive but for a few zeros, over a wide dynamic range, derived from a strided sample."""

    def __init__(self) -> None:
        self.negative, self.zeros, self.count = False, 0, 0
        self.seen: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        values = block.ravel()
        self.negative |= bool((values < 0).any())
        self.zeros += int(np.count_nonzero(values == 0))
        self.count += values.size
        self.seen.append(values[:: max(1, values.size // SAMPLE_SIZE)].copy())  # or it would keep the whole block

    @property
    def wide(self) -> bool:
        if self.negative or self.zeros > MAX_ZERO_FRACTION * self.count:
            return False
        positive = np.concatenate(self.seen)
        low, high = np.quantile(positive[positive > 0], [0.001, 0.999])
        return bool(high / low >= LOG_DYNAMIC_RANGE)
