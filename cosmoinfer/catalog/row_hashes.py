"""Hashes of rows: of their values as a file holds them, and in single precision, in which catalogs are often copied."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from cosmoinfer.memory import slices

MAX_BLOCK_NUMBERS = 1 << 15  # hashed at once: they stay in the cache of a processor
GOLDEN, MIX = np.uint64(0x9E3779B97F4A7C15), (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class RowHashes:
    """Of n rows, uint64; rows with the same values have the same hashes, whatever the type that stores them.

    theta, theta_single: (n,) of the parameters, and of the same in single precision; 0 where they are not known.
    data, data_single: (n, 2) of the features with even and those with odd numbers, and in single precision.
    """

    theta: np.ndarray
    theta_single: np.ndarray
    data: np.ndarray
    data_single: np.ndarray

    @classmethod
    def from_values(cls, theta: np.ndarray | None, data: Sequence[np.ndarray]) -> "RowHashes":
        """theta: (n, P), NaN where it is not known. data: (n, ...) of each observable."""
        exact, single = _hash_halves(data)
        return cls(*hash_theta(theta, len(exact)), exact, single)

    @classmethod
    def concatenate(cls, several: Sequence["RowHashes"]) -> "RowHashes":
        """The rows of all, one after the other."""
        return cls(*(np.concatenate([getattr(hashes, item.name) for hashes in several]) for item in fields(cls)))

    def __len__(self) -> int:
        return len(self.theta)

    def select(self, rows: np.ndarray) -> "RowHashes":
        """These rows, by position or as a mask."""
        return RowHashes(*(getattr(self, item.name)[rows] for item in fields(self)))

    @cached_property
    def features(self) -> np.ndarray:
        """(n,) of all data."""
        return combine(self.data[:, 0], self.data[:, 1])

    @cached_property
    def features_single(self) -> np.ndarray:
        """(n,) of all data in single precision."""
        return combine(self.data_single[:, 0], self.data_single[:, 1])


def hash_theta(theta: np.ndarray | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) of theta (n, P), and (n,) of it in single precision; 0 where it is not known."""
    if theta is None:
        return np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.uint64)
    has_theta = ~np.isnan(theta).all(axis=1)
    exact, single = (np.where(has_theta, combine(*halves.T) | np.uint64(1), 0) for halves in _hash_halves([theta]))
    return exact.astype(np.uint64), single.astype(np.uint64)


def _hash_halves(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) of the features with even and with odd numbers, of arrays (n, ...) side by side; the same in single."""
    flat = [array.reshape(len(array), int(np.prod(array.shape[1:]))) for array in arrays]
    multipliers = _mix(GOLDEN * np.arange(1, 1 + sum(array.shape[1] for array in flat), dtype=np.uint64)) | np.uint64(1)
    exact, single = (np.zeros((len(flat[0]), 2), dtype=np.uint64) for _ in range(2))
    offset = 0
    for array in flat:
        used = multipliers[offset : offset + array.shape[1]]
        columns = [offset % 2, 1 - offset % 2]  # the halves to which features 0, 2, 4, ... and 1, 3, 5, ... belong
        for rows in slices(len(array), MAX_BLOCK_NUMBERS // max(1, len(used))):
            of_values, of_rounded = _hash_block(array[rows], used)
            exact[rows] += of_values[:, columns]
            single[rows] += of_rounded[:, columns]
        offset += array.shape[1]
    return _mix(exact), _mix(single)


def _hash_block(values: np.ndarray, multipliers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) -> (n, 2), (n, 2): of what the values are, and of what is left of them in single precision."""
    wide = values.astype(np.float64) + 0.0  # -0 is 0
    if (missing := np.isnan(wide)).any():
        wide[missing] = np.nan  # one of many
    exact = _sum_products(wide, multipliers)
    if values.dtype.itemsize >= 8 and values.dtype != np.float64:
        exact += _sum_products(_remainder(values, wide), multipliers << np.uint64(1))
    with np.errstate(over="ignore"):
        rounded = wide.astype(np.float32).astype(np.float64)
    changed = (rounded != wide) & ~missing
    if not changed.any():
        return exact, exact.copy()
    single = _sum_products(rounded, multipliers)
    lost = changed.any(axis=1) & ((rounded == 0) | ~np.isfinite(rounded)).all(axis=1)
    single[lost] = exact[lost]  # no number is left by which these rows could be told apart
    return exact, single


def _remainder(values: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """What double precision leaves of long integers and long doubles, (n, K); 0 where it holds all."""
    with np.errstate(invalid="ignore"):
        remainder = values - wide.astype(values.dtype)
    return (remainder.astype(np.int64) if values.dtype.kind in "iu" else remainder).astype(np.float64)


def _sum_products(values: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """(n, K) -> (n, 2): sums modulo 2^64 of the bits of each number times a multiplier (K,), over even and odd k."""
    bits = values.view(np.uint64)
    products = (bits ^ (bits >> np.uint64(32))) * multipliers
    return np.stack([products[:, ::2].sum(axis=1), products[:, 1::2].sum(axis=1)], axis=1)


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Spread over all bits, as SplitMix64 does (Steele, Lea & Flood 2014); 0 stays 0."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX[0]
    numbers = (numbers ^ (numbers >> np.uint64(27))) * MIX[1]
    return numbers ^ (numbers >> np.uint64(31))


def combine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One hash (n,) of two, in this order."""
    return _mix(first * GOLDEN + second)
