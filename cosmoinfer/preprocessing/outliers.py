"""Numbers so far from all others of their feature, or channel, that they alone would rule its mean and width.

A gap tells them apart: what lies beyond it is more than ``MIN_GAP`` times as far from the median as anything before it,
is most of the sum of squares, and is a few numbers, or one value many times (a code for what is missing). A long tail
has no such gap, so that sound data lose nothing.
"""

from collections.abc import Callable, Iterable

import numpy as np

MIN_GAP = 5  # powers of two
MAX_FRACTION = 0.01  # of the numbers of a feature that are a few
MAX_CODE_FRACTION = 0.5  # of the numbers that are a code for what is missing
MIN_SQUARES_FRACTION = 0.5  # of the sum of squares, that outliers hold
LOWEST_EXPONENT, N_EXPONENTS = -1075, 2150  # of double precision, as numpy.frexp gives them
Walk = Callable[[], Iterable[np.ndarray]]  # each call walks over all rows, (n, ...) a block


def find_outliers(walk: Walk, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K,) the distance from the centre beyond which numbers are outliers, inf where there are none; and (K,) the code
    for what is missing where they are many and one value, else NaN.

    walk: over blocks (n, K, ...) with NaN for a gap. centre: (K,) a median of each feature, or channel.
    """
    counts, n_numbers = _distance_exponents(walk, centre)
    few, code = (_last_kept_exponent(counts, n_numbers, share) for share in (MAX_FRACTION, MAX_CODE_FRACTION))
    if not (code < few).any():
        return _beyond(few), np.full(len(few), np.nan)
    value = np.where(code < few, _only_value(walk, centre, _beyond(code)), np.nan)
    return _beyond(np.where(np.isnan(value), few, code)), value


def _distance_exponents(walk: Walk, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many numbers lie at a distance of each power of two, (K, E), and how many there are, (K,)."""
    counts, n_numbers = np.zeros(len(centre) * N_EXPONENTS, dtype=np.int64), np.zeros(len(centre), dtype=np.int64)
    for block in walk():
        distance = _distance(block, centre)
        is_apart = distance > 0
        exponents = np.frexp(np.minimum(distance, np.finfo(np.float64).max))[1] - LOWEST_EXPONENT
        cells = exponents + N_EXPONENTS * np.arange(len(centre))[:, None]
        counts += np.bincount(cells[is_apart], minlength=len(counts))
        n_numbers += (~np.isnan(distance)).sum(axis=1)
    return counts.reshape(len(centre), N_EXPONENTS), n_numbers


def _distance(block: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(n, K, ...) -> (K, numbers)."""
    with np.errstate(over="ignore"):
        return np.abs(np.moveaxis(block, 1, 0).reshape(len(centre), -1).astype(np.float64) - centre[:, None])


def _last_kept_exponent(counts: np.ndarray, n_numbers: np.ndarray, max_fraction: float) -> np.ndarray:
    """(K,) that before the lowest gap with at most this share of the numbers beyond it; all are kept without a gap."""
    kept = np.full(len(counts), N_EXPONENTS)
    for feature in range(len(counts)):
        occupied = np.flatnonzero(counts[feature])
        numbers = counts[feature, occupied]
        squares = numbers * 4.0 ** (occupied - occupied.max(initial=0))  # in units of the largest
        for place in np.flatnonzero(np.diff(occupied) > MIN_GAP):
            is_few = numbers[place + 1 :].sum() <= max(1, max_fraction * n_numbers[feature])
            if is_few and squares[place + 1 :].sum() > MIN_SQUARES_FRACTION * squares.sum():
                kept[feature] = occupied[place]
                break
    return kept


def _beyond(exponents: np.ndarray) -> np.ndarray:
    """(K,) a distance inside the gap, behind the last exponent that is kept; inf where all are."""
    is_kept = exponents >= N_EXPONENTS
    return np.where(is_kept, np.inf, np.ldexp(1.0, np.where(is_kept, 0, exponents + LOWEST_EXPONENT + MIN_GAP // 2)))


def _only_value(walk: Walk, centre: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(K,) that of all numbers beyond the distance, NaN where they differ."""
    low, high = np.full(len(centre), np.inf), np.full(len(centre), -np.inf)
    for block in walk():
        values = np.moveaxis(block, 1, 0).reshape(len(centre), -1)
        is_beyond = _distance(block, centre) > distance[:, None]
        low = np.minimum(low, np.where(is_beyond, values, np.inf).min(axis=1))
        high = np.maximum(high, np.where(is_beyond, values, -np.inf).max(axis=1))
    return np.where(low == high, low, np.nan)
