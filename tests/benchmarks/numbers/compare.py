"""Two records beside each other: which numbers differ, and by how much where the arrays were kept."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.numbers.record import SCATTERED, Numbers, digest

Record = dict[str, dict[str, Any]]  # key: sha256, count
MOST = 1 << 20  # values of an array that is kept
SHOWN = 3  # of numbers that stand in no order


def keep(folder: Path, case: str, numbers: Numbers) -> None:
    """Every array of a case but the largest, under its role and a number."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"{role}#{place}": array for role, arrays in numbers.items() for place, array in enumerate(arrays)}
    np.savez(_path(folder, case), **{name: array for name, array in named.items() if array.size <= MOST})


def differing(before: Record, after: Record) -> list[str]:
    """Keys of both whose numbers are not the same."""
    return [key for key in sorted(before.keys() & after.keys()) if before[key] != after[key]]


def difference(key: str, before: Path, after: Path) -> str:
    """Of the arrays of a key, in two folders, in words."""
    arrays = [_kept(folder, key) for folder in (before, after)]
    if not all(arrays):
        return "no arrays"
    if key.rpartition("/")[2] in SCATTERED:
        arrays = [[np.array(value) for array in group for value in array] for group in arrays]
    first, second = _unmatched(arrays[0], arrays[1]), _unmatched(arrays[1], arrays[0])
    shown = ", ".join(f"{a:g} and {b:g}" for a, b in zip(first[:SHOWN], second[:SHOWN], strict=False) if not a.shape)
    if [array.shape for array in first] != [array.shape for array in second]:
        return f"{len(first)} arrays became {len(second)} of other shapes" + (f" ({shown})" if shown else "")
    return _largest(first, second) + (f" ({shown})" if shown else "")


def _largest(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> str:
    """Of pairs of arrays, both taken as double precision; NaN beside a number is infinitely far."""
    first, second = (np.concatenate([array.ravel().astype(np.float64) for array in group]) for group in (before, after))
    changed = (first != second) & ~(np.isnan(first) & np.isnan(second))
    if not changed.any():
        return "equal values of other types or in another order"
    first, second = first[changed], second[changed]
    gap, size = np.abs(first - second), np.maximum(np.abs(first), np.abs(second))
    gap = np.where(np.isnan(gap), np.inf, gap)
    with np.errstate(invalid="ignore"):
        relative = np.max(gap / np.where(size > 0, size, 1))
    return f"{len(gap)} values, largest difference {gap.max():.3g}, relative {relative:.3g}"


def _unmatched(arrays: Sequence[np.ndarray], counterparts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Those without an equal counterpart, by type and shape, then in their order."""
    left, remaining = Counter(map(digest, counterparts)), []
    for array in arrays:
        left[digest(array)] -= 1
        if left[digest(array)] < 0:
            remaining.append(array)
    return sorted(remaining, key=lambda array: (array.dtype.kind, array.dtype.itemsize, array.shape))


def _kept(folder: Path, key: str) -> list[np.ndarray]:
    case, _, role = key.partition("/")
    path = _path(folder, case)
    if not path.exists():
        return []
    with np.load(path) as arrays:
        return [arrays[name] for name in arrays.files if name.rpartition("#")[0] == role]


def _path(folder: Path, case: str) -> Path:
    return folder / (re.sub(r"[^\w=.-]+", "_", case) + ".npz")
