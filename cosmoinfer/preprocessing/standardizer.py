"""Data as a network takes them: in log10 where their dynamic range is wide, and standardised.

Units do not matter: all is shifted and scaled in double precision, and a feature is constant where it varies by less
than its own precision. Single numbers do not rule a scaling (``outliers``): they have no part in it, and what lies far
beyond all others is clipped, so that it rules no gradient either. Sound data lose nothing and are not clipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from cosmoinfer.preprocessing.outliers import Walk, find_outliers

TRANSFORMS = ("auto", "log10", "none")
LOG_DYNAMIC_RANGE = 30.0  # positive data whose 99.9th percentile exceeds the 0.1th by this factor are taken to log10
MAX_ZERO_FRACTION = 0.01  # the share of zeros that does not turn log10 off
SAMPLE_SIZE = 10_000  # numbers of a block, about, that tell how wide data spread
MIN_SAMPLE_ROWS = 16  # of a block of vectors, that tell the median of a feature
MAX_SOUND_SIGMA = 6.0  # a few numbers that hold most of a sum of squares lie beyond, and
MAX_SOUND_WIDTHS = 15.0  # from the median to a quartile: so do many that are one value
CLIP_FACTOR, MIN_CLIP = 10.0, 100.0  # numbers are clipped at so many times the largest of the training rows, and sigma
OUTLIER_CLIP_FACTOR = 2.0  # the same where training rows have outliers: these then stand out, and rule nothing
CODE_ROUNDING = 1e-6  # of a code for missing values, in single or double precision
MAX_FITS = 5  # of one standardizer, each without the outliers that the one before showed
SAFE_STD = (1e-120, 1e120)  # beyond, squares in double precision overflow, or lose digits


@dataclass(frozen=True)
class Standardizer:
    """Data to zero mean and unit variance, in log10 where ``log`` is set: per feature of a vector, else per channel.

    log, floor, mean, std, clip, code: of shape (K,) for a vector, (C, 1, ...) otherwise. ``n_floored`` training values
    lay below the floor, the smallest positive training value. clip: the largest magnitude of a standardised number.
    code: a number that stands for missing values and becomes zero, the mean; NaN for none.
    """

    log: np.ndarray
    floor: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    clip: np.ndarray
    code: np.ndarray
    n_floored: int = 0

    def __post_init__(self) -> None:
        np.stack([self.log, self.floor, self.mean, self.std, self.clip, self.code])  # which must be of one shape

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(N, ...) in catalog units -> (N, ...) float32; infinite where single precision cannot hold a number."""
        with np.errstate(over="ignore"):
            z = ((self._logged(np.asarray(values, np.float64)) - self.mean) / self.std).astype(np.float32)
        if np.isfinite(self.code).any():
            z[np.isclose(values, self.code, rtol=CODE_ROUNDING, atol=0)] = 0
        if not (np.abs(z) > self.clip).any():
            return z
        return np.where(np.isinf(z), z, np.clip(z, -self.clip, self.clip)).astype(np.float32)

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


def fit_standardizer(walk: Walk, vector: bool, transform: str) -> Standardizer:
    """From all training rows, (n, ...) a block. NaN is a gap, and left out; so are outliers.

    One walk over the rows is enough, unless some of them may be outliers.
    """
    kept = _Kept()
    for _ in range(MAX_FITS):
        standardizer, statistics = _fit(walk, vector, transform, kept)
        narrower = kept.without_outliers(walk, standardizer.log, statistics) or kept.with_safe_unit(statistics)
        if narrower is None:
            break
        kept = narrower
    factor = np.where(kept.is_partial, OUTLIER_CLIP_FACTOR, CLIP_FACTOR)
    largest = (
        np.fmax(np.abs(statistics.low - statistics.mean), np.abs(statistics.high - statistics.mean)) / standardizer.std
    )
    clip = factor * np.nan_to_num(largest, posinf=0.0)
    clip = np.where(kept.is_partial, clip, np.maximum(clip, MIN_CLIP))
    return replace(standardizer, clip=clip, code=np.broadcast_to(kept.code, clip.shape).copy())


@dataclass(frozen=True)
class _Kept:
    """Which numbers take part in a fit, and the unit in which they are summed.

    low, high: these and what lies between take part, (K,) or (C, 1, ...). floored: where what is not positive takes
    part too, since a logarithm floors it. code: of missing values, NaN for none. unit: powers of two, which change no
    digit.
    """

    low: np.ndarray | float = -np.inf
    high: np.ndarray | float = np.inf
    floored: np.ndarray | bool = False
    code: np.ndarray | float = np.nan
    unit: np.ndarray | float = 1.0

    @property
    def is_partial(self) -> np.ndarray:
        """Whether there are outliers, by feature or channel."""
        return np.isfinite(self.low) | np.isfinite(self.high)

    def apply_to(self, block: np.ndarray) -> np.ndarray:
        """(n, ...) float64 in catalog units, with NaN in the place of outliers."""
        values = np.asarray(block, np.float64)
        if not self.is_partial.any():
            return values
        is_low = (values < self.low) & ~(self.floored & (values <= 0))
        return np.where(is_low | (values > self.high), np.nan, values)

    def with_safe_unit(self, statistics: "_Statistics") -> "_Kept | None":
        """None where double precision holds all squares."""
        std, varies = statistics.std, statistics.high > statistics.low
        is_safe = np.isfinite(std) & (~varies | ((std >= SAFE_STD[0]) & (std <= SAFE_STD[1])))
        if is_safe.all() or np.ndim(self.unit):
            return None
        largest = np.fmax(np.abs(statistics.low), np.abs(statistics.high))
        exponents = np.frexp(np.where(np.isfinite(largest) & (largest > 0), largest, 1.0))[1]
        return replace(self, unit=np.ldexp(1.0, np.minimum(exponents, 1023)))

    def without_outliers(self, walk: Walk, log: np.ndarray, statistics: "_Statistics") -> "_Kept | None":
        """None where there are none. statistics: of the logarithm where ``log`` is set."""
        columns, centre = np.flatnonzero(statistics.may_have_outliers), statistics.quartiles[1]
        if not len(columns):
            return None

        def suspects() -> Iterator[np.ndarray]:
            for block in walk():
                values = self.apply_to(block)
                yield np.where(log, _log10(values), values)[:, columns]

        distance, code = np.full(log.size, np.inf), np.full(log.size, np.nan)
        distance[columns], code[columns] = find_outliers(suspects, centre.ravel()[columns])
        if np.isinf(distance).all():
            return None
        ends = [centre + sign * distance.reshape(log.shape) for sign in (-1, 1)]
        with np.errstate(over="ignore"):
            low, high, values = (np.where(log, 10.0**end, end) for end in (*ends, code.reshape(log.shape)))
        kept = replace(self, low=np.fmax(self.low, low), high=np.fmin(self.high, high), floored=log)
        return replace(kept, code=np.where(np.isnan(values), self.code, values))


def _fit(walk: Walk, vector: bool, transform: str, kept: _Kept) -> tuple[Standardizer, "_Statistics"]:
    """Of the numbers that take part, as yet without a clip; and the statistics that it is made of.

    A logarithm requires the floor, the smallest positive number of all, before it is known: numbers that are not
    positive are counted, and each adds the floor's logarithm at the end.
    """
    plain, logged, floors, spread = _Moments(vector, kept.unit), _Moments(vector), [], _Spread()
    precision = np.finfo(np.float64).eps
    for block in walk():
        if block.dtype.kind == "f":
            precision = max(precision, min(np.finfo(block.dtype).eps, np.finfo(np.float32).eps))
        values = kept.apply_to(block)
        floors.append(np.where(values > 0, values, np.inf).min(axis=plain.axes(values), keepdims=True)[0])
        plain.add(values)
        if transform != "none":
            logged.add(_log10(values))
            spread.add(values)
    floor = np.minimum.reduce(floors)
    use_log = transform == "log10" or (transform == "auto" and spread.wide)
    log = np.logical_and(use_log, np.isfinite(floor))
    floor = np.where(np.isfinite(floor), floor, 1.0)
    statistics, floored = plain.statistics(), np.zeros(1)
    if use_log:
        floored = np.where(log, plain.count - logged.count, 0)
        logged.join(floored, np.log10(floor), 0.0)
        statistics = logged.statistics().where(log, statistics)
    # the relative precision of a number is the absolute one of its logarithm
    resolution = precision * np.where(log, 1 / np.log(10), np.abs(statistics.mean))
    constant = ~(statistics.high > statistics.low) | (statistics.std <= resolution)
    std = np.where(constant, 1.0, statistics.std)
    return Standardizer(
        log, floor, statistics.mean, std, np.full(std.shape, np.inf), np.full(std.shape, np.nan), int(floored.sum())
    ), statistics


def _log10(values: np.ndarray) -> np.ndarray:
    """NaN for what is not positive."""
    return np.log10(np.where(values > 0, values, np.nan))


@dataclass(frozen=True)
class _Statistics:
    """Of each feature or channel, (K,) or (C, 1, ...): of the logarithm where one is taken.

    quartiles: (3, ...) of a sample.
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    quartiles: np.ndarray

    def where(self, use: np.ndarray, other: "_Statistics") -> "_Statistics":
        """These where ``use`` is set, else those of the other."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return _Statistics(*(np.where(use, mine, others) for mine, others in pairs))

    @property
    def may_have_outliers(self) -> np.ndarray:
        """Whether it is worth another walk over the rows to know."""
        lower, median, upper = self.quartiles
        with np.errstate(invalid="ignore", over="ignore"):
            widest = np.fmax(self.high - median, median - self.low)
            narrower = np.fmin(upper - median, median - lower)  # a code for what is missing lies on one side
            is_far = ~(widest <= MAX_SOUND_SIGMA * self.std) | (widest > MAX_SOUND_WIDTHS * narrower)
        return is_far & (self.high > self.low)


class _Moments:
    """Counts, means and sums of squared deviations of what has come by so far, per feature or per channel.

    unit: of the sums.
    """

    def __init__(self, vector: bool, unit: np.ndarray | float = 1.0) -> None:
        self.vector, self.unit = vector, unit
        self.count, self.mean, self.squares = np.zeros(1), np.zeros(1), np.zeros(1)
        self.low, self.high = np.full(1, np.inf), np.full(1, -np.inf)
        self.samples: list[np.ndarray] = []  # (K, n) each

    def axes(self, values: np.ndarray) -> tuple[int, ...]:
        return (0,) if self.vector else (0, *range(2, values.ndim))

    def add(self, values: np.ndarray) -> None:
        axes = self.axes(values)
        self.low = np.fmin(self.low, np.fmin.reduce(values, axis=axes, keepdims=True)[0])
        self.high = np.fmax(self.high, np.fmax.reduce(values, axis=axes, keepdims=True)[0])
        self.samples.append(self._sample(values))
        values = values if np.ndim(self.unit) == 0 else values / self.unit
        with np.errstate(over="ignore", invalid="ignore"):  # ``with_safe_unit`` looks for it
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

    def statistics(self) -> _Statistics:
        """In catalog units."""
        samples = np.concatenate(self.samples, axis=1)
        samples = np.where(np.isnan(samples).all(axis=1, keepdims=True), 0.0, samples)  # of a feature without any
        quartiles = np.nanquantile(samples, [0.25, 0.5, 0.75], axis=1).reshape(3, *self.low.shape)
        std = self.unit * np.sqrt(self.squares / np.maximum(self.count, 1))
        return _Statistics(self.unit * self.mean, std, self.low, self.high, quartiles)

    def _sample(self, values: np.ndarray) -> np.ndarray:
        columns = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
        size = max(MIN_SAMPLE_ROWS, SAMPLE_SIZE // len(columns)) if self.vector else SAMPLE_SIZE
        return columns[:, :: max(1, columns.shape[1] // size)].copy()


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
        return float(high) / float(low) >= LOG_DYNAMIC_RANGE
