"""One case: its command lines called in this process, and the numbers that they leave, by product and role."""

import fnmatch
import hashlib
import json
import os
import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from tests.benchmarks.numbers.catalogs import CATALOGS, make
from tests.benchmarks.numbers.spelling import DOCUMENT, PRODUCTS, role_of, spelled
from tests.command_line import call

ALLOWED = {"inspect": (0, 1)}  # an audit that finds an error exits with 1
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
Numbers = dict[str, list[np.ndarray]]  # by product/role


def numbers_of(lines: tuple[str, ...]) -> Numbers:
    """Of all products of a case, which is run in a folder of its own."""
    found: Numbers = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for line in lines:
            found |= _numbers_of_line(line)
    return found


def sha256(arrays: list[np.ndarray]) -> str:
    """Of a multiset: the order and the names of the arrays do not matter."""
    digests = sorted(digest(array) for array in arrays)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def digest(array: np.ndarray) -> str:
    head = f"{array.dtype.kind}{array.dtype.itemsize} {array.shape} "
    return hashlib.sha256(head.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _numbers_of_line(line: str) -> Numbers:
    words = shlex.split(line)
    environment = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]{2,}=", word))
    words = [word for word in words if not re.match(r"[A-Z_]{2,}=", word)]
    stem = Path(words[words.index("-o") + 1]).with_suffix("") if "-o" in words else Path(words[0])
    for word in words:
        for name in fnmatch.filter(CATALOGS, word) or [word]:
            make(name)
    with mock.patch.dict(os.environ, environment):
        status, out, err = call(*spelled([*words, "--json"]))
    if status not in ALLOWED.get(words[0], (0,)):
        raise AssertionError(f"{line}: {err.splitlines()[-1] if err else status}")
    found: Numbers = {}
    for product, kind, path in PRODUCTS[words[0]]:
        file = Path(path.format(stem))
        if file.exists():
            name = f"{stem}/{product}" if product else str(stem)
            found |= {f"{name}/{role}": arrays for role, arrays in _numbers_of_file(file, kind).items()}
    if not any(key.endswith(f"/{DOCUMENT}") for key in found):
        found |= {f"{stem}/{role}": arrays for role, arrays in _printed(out).items()}
    return found


def _numbers_of_file(path: Path, kind: str) -> Numbers:
    """By role; strings and what is said of the file are left out."""
    found: Numbers = {}
    with h5py.File(path) as file:
        for name, dataset in _datasets(file):
            if name == DOCUMENT:
                found["document"] = [_sorted(_numbers_in(json.loads(dataset.asstr()[()])))]
            elif dataset.dtype.kind in "fiub":
                found.setdefault(role_of(kind, name), []).append(np.asarray(dataset[()]))
            for value in dataset.attrs.values():
                if np.asarray(value).dtype.kind in "fiu":
                    found.setdefault("attributes", []).append(np.asarray(value))
    return found


def _datasets(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for name in sorted(group):
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from ((f"{name}/{inner}", dataset) for inner, dataset in _datasets(item))
        else:
            yield name, item


def _printed(out: str) -> Numbers:
    """Numbers of the JSON on stdout, and those that its words tell."""
    try:
        document = json.loads(out)
    except json.JSONDecodeError:
        return {}
    words = [float(text.replace(",", "")) for line in _words_in(document) for text in NUMBER.findall(line)]
    return {"printed": [_sorted(_numbers_in(document))]} | ({"in words": [_sorted(words)]} if words else {})


def _sorted(values: Any) -> np.ndarray:
    return np.sort(np.array(list(values), dtype=np.float64))


def _numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers_in(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def _words_in(value: Any) -> Iterator[str]:
    """Of findings and ranges; not of /meta."""
    if isinstance(value, dict | list):
        inner = (
            [one for key, one in value.items() if key not in ("meta", "output")] if isinstance(value, dict) else value
        )
        for one in inner:
            yield from _words_in(one)
    elif isinstance(value, str):
        yield value


def differences(before: list[np.ndarray], after: list[np.ndarray]) -> str:
    """The largest absolute and relative difference of two multisets, what is equal left out."""
    first, second = _unmatched(before, after), _unmatched(after, before)
    if [one.shape for one in first] != [one.shape for one in second]:
        return f"shapes {[one.shape for one in first]} and {[one.shape for one in second]}"
    absolute, relative, count = 0.0, 0.0, 0
    for one, two in zip(first, second, strict=True):
        one, two = one.astype(np.float64), two.astype(np.float64)
        changed = (one != two) & ~(np.isnan(one) & np.isnan(two))
        if not changed.any():
            continue
        apart = np.abs(one - two)[changed]
        apart = np.where(np.isnan(apart), np.inf, apart)
        size = np.maximum(np.abs(one), np.abs(two))[changed]
        absolute, count = max(absolute, apart.max()), count + int(changed.sum())
        relative = max(relative, (apart / np.where(size > 0, size, 1)).max())
    return f"{count} values, at most {absolute:.3g} apart, {relative:.3g} of their size"


def _unmatched(arrays: list[np.ndarray], among: list[np.ndarray]) -> list[np.ndarray]:
    """Those that the second list lacks, by type and shape, and then in their order."""
    there = Counter(digest(array) for array in among)
    left = []
    for array in arrays:
        there[digest(array)] -= 1
        if there[digest(array)] < 0:
            left.append(array)
    return sorted(left, key=lambda array: (array.dtype.kind, array.dtype.itemsize, array.shape))
