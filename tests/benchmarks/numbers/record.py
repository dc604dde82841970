"""One case: its command lines called in this process, and the numbers that they leave, by product and role."""

import fnmatch
import hashlib
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np

from tests.benchmarks.numbers.catalogs import CATALOGS, make
from tests.benchmarks.numbers.spelling import CONFIG, DOCUMENT, PRODUCTS, SCALARS, role_of, spelled
from tests.command_line import call

STATUSES = {"inspect": (0, 1), "evaluate": (0, 3)}  # an audit that finds an error, and a gate that fails
NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
VARIABLE = re.compile(r"[A-Z_]{2,}=")
SCATTERED = ("document", "printed", "in words")  # roles of numbers that stand in no order
Numbers = dict[str, list[np.ndarray]]  # by product/role


def numbers_of(lines: Iterable[str]) -> Numbers:
    """Of all products of a case, which is run in a folder of its own."""
    numbers: Numbers = {}
    with _folder():
        for line in lines:
            numbers |= _numbers_of_line(line)
    return numbers


def sha256(arrays: Iterable[np.ndarray]) -> str:
    """Of a multiset: neither the order nor the names of the arrays matter."""
    return hashlib.sha256("".join(sorted(map(digest, arrays))).encode()).hexdigest()


def digest(array: np.ndarray) -> str:
    head = f"{array.dtype.kind}{array.dtype.itemsize} {array.shape} "
    return hashlib.sha256(head.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


@contextmanager
def _folder() -> Iterator[None]:
    """Names of files without a path: they are part of what a command says."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _numbers_of_line(line: str) -> Numbers:
    words = shlex.split(line)
    environment = dict(word.split("=", 1) for word in words if VARIABLE.match(word))
    command, *words = [word for word in words if not VARIABLE.match(word)]
    output = words[words.index("-o") + 1] if "-o" in words else command
    for word in words:
        for name in fnmatch.filter(CATALOGS, word) or [word]:
            if name != output:
                make(name)
    with mock.patch.dict(os.environ, environment):
        status, printed, errors = call(*spelled([command, *words, "--json"]))
    if status not in STATUSES.get(command, (0,)):
        raise AssertionError(f"{line}: {errors.splitlines()[-1] if errors else status}")
    stem = Path(output).with_suffix("")
    numbers: Numbers = {f"{stem}/status": [np.array(status)]} if command in STATUSES else {}
    for product, kind, pattern in PRODUCTS[command]:
        path, name = Path(pattern.format(stem)), f"{stem}/{product}" if product else str(stem)
        if path.exists():
            numbers |= {f"{name}/{role}": arrays for role, arrays in _numbers_of_file(path, kind).items()}
    if printed and not any(key.endswith("/document") for key in numbers):
        numbers |= {f"{stem}/{role}": arrays for role, arrays in _numbers_of_text(printed).items()}
    return numbers


def _numbers_of_file(path: Path, kind: str) -> Numbers:
    """By role; strings, names and /meta are left out."""
    numbers: Numbers = {}
    with h5py.File(path) as file:
        for name, dataset in _datasets(file):
            if name == CONFIG:
                scalars = list(_scalars_of_config(json.loads(dataset.asstr()[()])))
                numbers.setdefault("else", []).extend(scalars)
            elif name == DOCUMENT:
                numbers["document"] = [_sorted(_numbers_in(json.loads(dataset.asstr()[()])))]
            elif dataset.dtype.kind in "fiub":
                numbers.setdefault(role_of(kind, name), []).append(np.asarray(dataset[()]))
            for value in map(np.asarray, dataset.attrs.values()):
                if value.dtype.kind in "fiub":
                    numbers.setdefault("attributes", []).append(value)
    return numbers


def _datasets(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """By path, in the order of their names."""
    for name in sorted(group):
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from ((f"{name}/{path}", dataset) for path, dataset in _datasets(item))
        else:
            yield name, item


def _scalars_of_config(config: Any) -> Iterator[np.ndarray]:
    """Those of ``SCALARS``, as arrays without an axis."""
    if isinstance(config, list):
        for item in config:
            yield from _scalars_of_config(item)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        names = (key, f"{config.get('kind')}/{key}")
        if f"{key}/*" in SCALARS and isinstance(value, dict):
            yield from map(np.asarray, value.values())
        elif any(name in SCALARS for name in names) and not isinstance(value, dict | list):
            yield np.asarray(value)
        else:
            yield from _scalars_of_config(value)


def _numbers_of_text(text: str) -> Numbers:
    """Numbers of the JSON on stdout, and those that stand in its words."""
    document = json.loads(text)
    words = [float(word.replace(",", "")) for line in _words_in(document) for word in NUMBER.findall(line)]
    return {"printed": [_sorted(_numbers_in(document))]} | ({"in words": [_sorted(words)]} if words else {})


def _sorted(values: Iterable[float]) -> np.ndarray:
    return np.sort(np.array(list(values), dtype=np.float64))


def _numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers_in(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def _words_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _words_in(item)
    elif isinstance(value, str):
        yield value
