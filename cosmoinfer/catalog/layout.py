"""What stands where in a file, in our layout or as somebody else stored it: from datasets to a catalog.

Shapes are checked here, values are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.reading import AXES_OF_KIND, ReadOptions
from cosmoinfer.catalog.rows import Catalog, CatalogFile, Observable
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters, declared_priors, with_bounds

TOLD_BY_AXES = {1: "vector", 2: "map", 3: "map", 4: "grid"}  # axes of one row in the file


@dataclass(frozen=True)
class Layout:
    """Where the datasets of one catalog stand.

    path: the file, or a name for messages where there is none.
    reading: how the file is to be read.
    contents: every dataset, by path.
    data: the datasets to learn from.
    arrays: the values by path, of a catalog that was never in a file.
    """

    path: Path
    reading: ReadOptions
    contents: dict[str, storage.DatasetInfo]
    data: tuple[storage.DatasetInfo, ...]
    arrays: Mapping[str, np.ndarray] | None = None

    def load(self, name: str) -> np.ndarray:
        """All values of a dataset; text as str."""
        return storage.load(self.path, name) if self.arrays is None else self.arrays[name]

    @property
    def size(self) -> int:
        """Bytes of the data in memory, single precision at least."""
        return sum(int(np.prod(one.shape)) * max(4, one.dtype.itemsize) for one in self.data)

    @property
    def own_ids(self) -> bool:
        """Whether the file says which simulation a row belongs to."""
        name = self.reading.simulation.strip("/") or "simulation"
        return not self.reading.rows_per_simulation and name in self.contents


def read_layout(path: Path, reading: ReadOptions) -> Layout:
    """What stands where, told without reading any of it."""
    contents = storage.describe_datasets(path)
    return Layout(path, reading, contents, tuple(contents[name] for name in _data(path, contents, reading)))


def build_catalog(found: Layout, streamed: bool) -> Catalog:
    """What the file says, shapes checked, values not yet: what an audit looks at. streamed: data stay in it."""
    path, reading, contents = found.path, found.reading, found.contents
    notes: list[str] = []
    summaries = tuple(_summary(found, one, notes, streamed) for one in found.data)
    if reading.missing and not any(summary.masked for summary in summaries):
        raise UserError(f"{path}: --missing {reading.missing} is for vectors, and there is none")
    counts = {summary.name: len(summary.values) for summary in summaries}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"/{name} {count}" for name, count in counts.items())
        raise UserError(f"{path}: the summaries have different numbers of rows: {told}")
    count = next(iter(counts.values()))
    if count == 0:
        raise UserError(f"{path}: /{summaries[0].name} has no rows")
    simulation = _simulation(found, count)
    classes: tuple[str, ...] = ()
    if reading.target:
        parameters, theta, classes = _classes(found, reading.target, count)
    else:
        parameters, theta = _parameters(found, simulation, count, notes)
    label = found.load("split") if "split" in contents else None
    if label is not None and len(label) != count:
        raise UserError(f"{path}: /split has {len(label)} rows, the data have {count}")
    declared: frozenset[str] = frozenset()
    if parameters is not None and not classes:
        written = "prior" in contents[reading.parameters.strip("/") or "parameters"].attributes and not reading.names
        declared = frozenset(parameters.names if written else ()) | declared_priors(reading.bounds)
    return Catalog(
        path,
        parameters,
        theta,
        summaries,
        simulation,
        np.arange(count),
        label,
        declared,
        notes=tuple(notes),
        classes=classes,
        includes_noise=reading.data_include_noise,
        files=(CatalogFile(path, count),),
    )


def _data(path: Path, contents: dict[str, storage.DatasetInfo], reading: ReadOptions) -> list[str]:
    if reading.data:
        names = [name.strip("/") for name in reading.data]
        for name in names:
            if name not in contents:
                raise UserError(f"{path}: has no dataset /{name}; it holds {_told(contents)}")
        return names
    names = [name for name in contents if name == "data" or name.startswith("data/")]
    if not names:
        raise UserError(f"{path}: has no /data; it holds {_told(contents)}; name the data with --data")
    return names


def _told(contents: dict[str, storage.DatasetInfo]) -> str:
    return ", ".join(f"/{name} {found.shape}" for name, found in contents.items()) or "nothing"


def _summary(layout: Layout, found: storage.DatasetInfo, notes: list[str], streamed: bool) -> Observable:
    path, reading = layout.path, layout.reading
    axes, kind = len(found.shape) - 1, reading.kind
    if not kind:
        kind = str(found.attributes.get("kind", ""))
    if not kind:
        if axes not in TOLD_BY_AXES:
            raise UserError(f"{path}: /{found.path} has {axes + 1} axes; expected 2 to 5 (rows first)")
        kind = TOLD_BY_AXES[axes]
        notes.append(f"/{found.path}: taken as {kind}, told by its {axes + 1} axes")
    if kind not in AXES_OF_KIND:
        raise UserError(f"{path}: /{found.path} is of kind {kind!r}; there are {', '.join(AXES_OF_KIND)}")
    values = LazyArray((storage.DatasetHandle(path, found.path),)) if streamed else layout.load(found.path)
    if values.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{found.path} holds {values.dtype}; expected numbers")
    if axes == AXES_OF_KIND[kind] - 1 and kind in ("profile", "map", "grid"):
        values = values.with_channel_axis() if isinstance(values, LazyArray) else values[:, None]
    if values.size == 0 and len(values):
        raise UserError(f"{path}: /{found.path} has shape {found.shape}: nothing to learn from")
    if values.ndim - 1 != AXES_OF_KIND[kind]:
        raise UserError(f"{path}: /{found.path} has shape {found.shape}, which is no {kind}")
    periodic = bool(found.attributes.get("periodic", kind in ("map", "grid")))
    return Observable(found.path, kind, values, periodic, masked=reading.missing == "mask" and kind == "vector")


def _simulation(layout: Layout, count: int) -> np.ndarray:
    path, contents, reading = layout.path, layout.contents, layout.reading
    if reading.rows_per_simulation:
        if count % reading.rows_per_simulation:
            raise UserError(
                f"{path}: {count} rows are no multiple of --rows-per-simulation {reading.rows_per_simulation}"
            )
        return (np.arange(count) // reading.rows_per_simulation).astype(str)
    name = reading.simulation.strip("/") or "simulation"
    if name not in contents and not reading.simulation:
        return np.arange(count).astype(str)
    ids = layout.load(name)
    if ids.shape != (count,):
        raise UserError(f"{path}: /{name} has shape {ids.shape}; expected ({count},), one id a row")
    if ids.dtype.kind == "f":
        raise UserError(f"{path}: /{name} holds {ids.dtype}; expected integers or strings")
    return ids.astype(str)


def _classes(layout: Layout, target: str, count: int) -> tuple[Parameters | None, np.ndarray | None, tuple[str, ...]]:
    """A categorical target in the place of the parameters: its number, (N, 1), and the names of the classes."""
    path, contents = layout.path, layout.contents
    name = target.strip("/") if target.strip("/") in contents else f"classes/{target}"
    if name not in contents:
        there = [one.removeprefix("classes/") for one in contents if one.startswith("classes/")]
        if not there:
            return None, None, ()  # observations
        raise UserError(f"{path}: has no /classes/{target}; there are {', '.join(there)}")
    labels = layout.load(name)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: /{name} has shape {labels.shape} of {labels.dtype}; expected ({count},) integers")
    if labels.min() < 0:
        raise UserError(f"{path}: /{name}: class numbers count from 0, found {labels.min()}")
    given = contents[name].attributes.get("names", tuple(str(number) for number in range(labels.max() + 1)))
    classes = (given,) if isinstance(given, str) else tuple(given)
    if len(classes) < 2:
        raise UserError(f"{path}: /{name} has a single class; there is nothing to tell apart")
    if labels.max() >= len(classes):
        raise UserError(f"{path}: /{name} has numbers up to {labels.max()}, and {len(classes)} names of classes")
    return Parameters.from_names((name.rpartition("/")[2],)), labels[:, None].astype(np.float64), classes


def _parameters(
    layout: Layout, simulation: np.ndarray, count: int, notes: list[str]
) -> tuple[Parameters | None, np.ndarray | None]:
    path, contents, reading = layout.path, layout.contents, layout.reading
    name = reading.parameters.strip("/") or "parameters"
    if name not in contents and not reading.parameters:
        return None, None
    theta = layout.load(name)
    theta = theta[:, None] if theta.ndim == 1 else theta
    if theta.ndim != 2 or theta.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{name} has shape {theta.shape} of {theta.dtype}; expected (N, P) numbers")
    theta = _a_row_each(path, name, theta.astype(np.float64), simulation, count, reading)
    attributes = dict(contents[name].attributes)
    if reading.names:
        attributes = {"names": reading.names}  # another person's names void what stood under the old ones
    elif "names" not in attributes:
        attributes["names"] = tuple(f"parameter_{column}" for column in range(theta.shape[1]))
        notes.append(f"/{name}: has no names; called {', '.join(attributes['names'])}")
    named = np.size(attributes["names"])
    if named != theta.shape[1]:
        given = "--names" if reading.names else "the attribute names"
        raise UserError(f"{path}: /{name} has {theta.shape[1]} columns, {given} has {named}")
    parameters = Parameters.from_attributes(attributes)
    if reading.bounds:
        parameters = with_bounds(parameters, reading.bounds)
    free = [
        one
        for one, low, high in zip(parameters.names, parameters.low, parameters.high, strict=True)
        if not np.isfinite([low, high]).all()
    ]
    if free:
        notes.append(f"no box known for {', '.join(free)}: taken as unbounded (--bounds declares one)")
    return parameters, theta


def _a_row_each(
    path: Path, name: str, theta: np.ndarray, simulation: np.ndarray, count: int, reading: ReadOptions
) -> np.ndarray:
    """One row of parameters a row of data; parameters per simulation are repeated."""
    per = reading.rows_per_simulation
    if len(theta) == count:
        return theta
    if per and len(theta) * per == count:
        return np.repeat(theta, per, axis=0)
    numbered = all(one.isdigit() and int(one) < len(theta) for one in simulation.tolist())
    if not per and numbered and len(set(simulation.tolist())) == len(theta):
        return theta[simulation.astype(int)]
    raise UserError(
        f"{path}: /{name} has {len(theta)} rows, the data have {count}; expected as many, or one a simulation "
        "(--rows-per-simulation, or --simulation with row numbers)"
    )
