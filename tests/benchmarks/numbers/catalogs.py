"""The catalogs that the cases read, by file name: made with numpy alone, from fixed seeds, wherever they are wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.benchmarks.numbers.spelling import CATALOG

ROWS = 160
BOX = {"Omega_m": (0.1, 0.5, "uniform"), "sigma_8": (0.6, 1.0, "uniform")}
MIXED = {
    "a": (0.1, 0.5, "uniform"),
    "b": (0.25, 4.0, "log-uniform"),
    "c": (-np.inf, np.inf, "unknown"),
    "d": (-np.inf, np.inf, "normal"),
}
Priors = dict[str, tuple[float, float, str]]


@dataclass(frozen=True)
class Universe:
    """u: (N, P) in 0..1; theta: (N, P), in the box of the priors."""

    u: np.ndarray
    theta: np.ndarray
    priors: Priors
    stream: np.random.Generator

    @classmethod
    def of(cls, seed: int, rows: int = ROWS, priors: Priors | None = None) -> "Universe":
        stream, priors = np.random.default_rng(seed), priors or BOX
        u = stream.random((rows, len(priors)))
        columns = [_quantile(u[:, place], *prior) for place, prior in enumerate(priors.values())]
        return cls(u, np.stack(columns, axis=1), priors, stream)

    def vectors(self, features: int = 8, noise: float = 1.0) -> np.ndarray:
        """A noisy linear image of u, (N, F)."""
        mixing = np.random.default_rng(7).normal(size=(self.u.shape[1], features))
        return (self.u - 0.5) @ mixing * 5 + noise * self.stream.normal(size=(len(self.u), features))

    def fields(self, *shape: int) -> np.ndarray:
        """White noise whose amplitude and mean are the parameters, (N, *shape)."""
        u = self.u.reshape(*self.u.shape, *[1] * len(shape))
        return u[:, 0] + (0.5 + u[:, 1]) * self.stream.normal(size=(len(u), *shape))

    def take(self, rows: np.ndarray) -> "Universe":
        return Universe(self.u[rows], self.theta[rows], self.priors, self.stream)


def _quantile(u: np.ndarray, low: float, high: float, prior: str) -> np.ndarray:
    if prior == "log-uniform":
        return low * (high / low) ** u
    return low + (high - low) * u if prior == "uniform" else 3 * (u - 0.5)


@dataclass(frozen=True)
class File:
    """A catalog: data by dataset, and what stands beside them."""

    universe: Universe | None
    data: dict[str, np.ndarray]
    beside: dict[str, np.ndarray] = field(default_factory=dict)
    of_data: dict[str, Any] = field(default_factory=dict)
    of_file: dict[str, Any] = field(default_factory=dict)
    declared: bool = True

    def write(self, path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name, values in {**self.data, **self.beside}.items():
                file[name] = values
            for name, value in self.of_data.items():
                file[CATALOG["data"]].attrs[CATALOG[name]] = value
            for name, value in self.of_file.items():
                file.attrs[CATALOG[name]] = value
            if self.universe is not None:
                self._write_parameters(file)

    def _write_parameters(self, file: h5py.File) -> None:
        dataset = file.create_dataset(CATALOG["parameters"], data=self.universe.theta)
        names, (low, high, prior) = list(self.universe.priors), zip(*self.universe.priors.values(), strict=True)
        dataset.attrs[CATALOG["names"]] = names
        if self.declared:
            dataset.attrs[CATALOG["low"]], dataset.attrs[CATALOG["high"]] = low, high
            dataset.attrs[CATALOG["prior"]] = prior
            dataset.attrs[CATALOG["mean"]], dataset.attrs[CATALOG["std"]] = np.zeros(len(names)), np.ones(len(names))


def _vectors(seed: int = 1, rows: int = ROWS, priors: Priors | None = None, noise: float = 1.0, **form: Any) -> File:
    """With two categorical targets, two suites and three codes, and a coordinate of the data, /k."""
    universe = Universe.of(seed, rows, priors)
    suite, code = np.arange(rows) % 2, np.arange(rows) % 3
    x = universe.vectors(noise=noise) + 2 * suite[:, None] * np.eye(8)[0] + code[:, None] * np.eye(8)[1]
    classes = {f"{CATALOG['classes']}/suite": suite, f"{CATALOG['classes']}/code": code, "k": np.linspace(0.1, 0.8, 8)}
    return File(universe, {CATALOG["data"]: x}, classes, **form)


def _shaped(*shape: int, rows: int = ROWS, kind: str | None = None, **of_data: Any) -> File:
    universe = Universe.of(2, rows)
    of_data |= {"kind": kind} if kind else {}
    return File(universe, {CATALOG["data"]: universe.fields(*shape).astype(np.float32)}, of_data=of_data)


def _positive() -> File:
    """Over decades: to be taken to log10."""
    universe = Universe.of(3)
    return File(universe, {CATALOG["data"]: np.exp(universe.vectors() * 1.5)})


def _gaps() -> File:
    universe = Universe.of(4)
    x = universe.vectors()
    x[np.random.default_rng(3).random(x.shape) < 0.2] = np.nan
    return File(universe, {CATALOG["data"]: x})


def _flawed() -> File:
    """Rows with NaN and inf, copies of rows, a constant column and a copied one."""
    universe = Universe.of(5)
    x = np.concatenate([universe.vectors(), np.ones((ROWS, 1))], axis=1)
    x = np.concatenate([x, x[:, :1]], axis=1)
    x[3, 2], x[9, 4], x[20:24] = np.nan, np.inf, x[30:34]
    return File(universe, {CATALOG["data"]: x})


def _looks(seed: int = 6, **form: Any) -> File:
    """Three rows of each simulation."""
    simulation = np.repeat(np.arange(60), 3)
    universe = Universe.of(seed, 60).take(simulation)
    return File(universe, {CATALOG["data"]: universe.vectors()}, {CATALOG["simulation"]: simulation}, **form)


def _several() -> File:
    """A vector and a map a row."""
    universe, data = Universe.of(8), CATALOG["data"]
    return File(universe, {f"{data}/spectrum": universe.vectors(), f"{data}/field": universe.fields(8, 8)})


def _suite(name: str, shift: float) -> File:
    universe = Universe.of(ord(name), 100)
    return File(universe, {CATALOG["data"]: universe.vectors() + shift}, of_file={"suite": name})


def _fixed() -> File:
    """One universe, again and again."""
    universe = Universe.of(9, 40).take(np.zeros(40, dtype=int))
    return File(universe, {CATALOG["data"]: universe.vectors()})


def _bare(shift: float = 0.0) -> File:
    universe = Universe.of(10, 60)
    return File(None, {CATALOG["data"]: universe.vectors() + shift})


def _rigid() -> File:
    """Vectors with a sum that never varies."""
    universe = Universe.of(11)
    x = universe.vectors()
    return File(universe, {CATALOG["data"]: x - x.mean(axis=1, keepdims=True)})


def _rigid_maps() -> File:
    """Maps without their mean."""
    universe = Universe.of(12)
    maps = universe.fields(8, 8)
    return File(universe, {CATALOG["data"]: maps - maps.mean(axis=(1, 2), keepdims=True)})


def _foreign() -> File:
    """Somebody else's file: parameters of each simulation, ids, no attributes."""
    universe = Universe.of(13, 60, {name: MIXED[name] for name in "ab"})
    rows = np.repeat(np.arange(60), 2)
    beside = {"LH/params": universe.theta, "LH/id": rows}
    return File(None, {"LH/x": universe.take(rows).vectors(), "LH/y": universe.take(rows).vectors(4)}, beside)


def _labelled() -> File:
    """With a /split of its own."""
    label = np.repeat([0, 1, 2], [100, 30, 30])
    universe = Universe.of(14)
    return File(universe, {CATALOG["data"]: universe.vectors()}, {"split": label})


CATALOGS: dict[str, Callable[[], File]] = {
    "vectors.h5": _vectors,
    "clean.h5": lambda: _vectors(noise=0.0),
    "single.h5": lambda: _vectors(priors={"Omega_m": BOX["Omega_m"]}),
    "mixed.h5": lambda: _vectors(priors=MIXED),
    "unbounded.h5": lambda: _vectors(declared=False),
    "many.h5": lambda: _vectors(priors={f"p{number}": (-1.0, 1.0, "uniform") for number in range(11)}),
    "fresh.h5": lambda: _vectors(seed=21, rows=80),
    "larger.h5": lambda: _vectors(seed=22, rows=1600),
    "largest.h5": lambda: _vectors(seed=23, rows=4800),
    "positive.h5": _positive,
    "gaps.h5": _gaps,
    "flawed.h5": _flawed,
    "looks.h5": _looks,
    "looks_a.h5": lambda: _looks(24, of_file={"suite": "a"}),
    "looks_b.h5": lambda: _looks(25, of_file={"suite": "b"}),
    "several.h5": _several,
    "a.h5": lambda: _suite("a", 0.0),
    "b.h5": lambda: _suite("b", 0.5),
    "c.h5": lambda: _suite("c", -0.5),
    "fixed.h5": _fixed,
    "bare.h5": _bare,
    "shifted.h5": lambda: _bare(4.0),
    "rigid.h5": _rigid,
    "rigid_maps.h5": _rigid_maps,
    "foreign.h5": _foreign,
    "labelled.h5": _labelled,
    "profiles.h5": lambda: _shaped(2, 16, kind="profile"),
    "rings.h5": lambda: _shaped(16, kind="profile", periodic=True),
    "maps.h5": lambda: _shaped(8, 8),
    "edges.h5": lambda: _shaped(8, 8, periodic=False),
    "fields.h5": lambda: _shaped(2, 8, 8, kind="map"),
    "grids.h5": lambda: _shaped(1, 8, 8, 8, rows=90),
    "large.h5": lambda: _shaped(64, 64, rows=300),
    "huge.h5": lambda: _shaped(128, 128, rows=1640),
}


def make(name: str) -> None:
    """One file of the cases, in the current folder, unless it stands there."""
    path = Path(name)
    if path.exists():
        return
    if name in CATALOGS:
        CATALOGS[name]().write(path)
    elif name == "covariance.npy":
        root = np.random.default_rng(15).normal(size=(8, 8)) / 3
        np.save(path, root @ root.T + 0.1 * np.eye(8))
    elif name == "variances.npy":
        np.save(path, np.linspace(0.2, 0.9, 8))
    elif name == "ring_variances.npy":
        np.save(path, np.linspace(0.2, 0.9, 16))
    elif name == "tests.txt":
        path.write_text(" ".join(map(str, range(0, ROWS, 6))))
