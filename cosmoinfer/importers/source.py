"""A source: what an importer reads from files of another format, and how it becomes a catalog.

It knows no format.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.datasets import Layout
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage import StoredRows

SourceArray: TypeAlias = np.ndarray | StoredRows


@dataclass(frozen=True)
class SourceParameters:
    """The parameters of a source, one row a row of the data or a simulation.

    name: of their file or array, for messages. values: (G, P) float64. names: (P,), or none.
    attributes: labels, box and priors, as of /parameters. ids: (G,) of the simulations, or none.
    """

    name: str
    values: np.ndarray
    names: tuple[str, ...] = ()
    attributes: storage.Attributes = field(default_factory=dict)
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceData:
    """values: (N, ...) of one observable, in memory or in a file. attributes: as of a dataset of /data."""

    values: SourceArray
    attributes: storage.Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What was read from files of another format.

    path: as it was given, for messages. data: the observables by name. parameters: None of observations.
    simulation: (N,) ids of the rows, as text. rows_per_simulation: how many consecutive rows share one.
    coordinates: (K,) what features lie at, by name. extra: other datasets of its catalog, by name.
    weights: (N,) of the rows.
    channel: the name of a field that is one channel of a map or grid, whose other channels are in other files.
    attributes: of the file. notes: what had to be assumed, a line each.
    """

    path: Path
    data: Mapping[str, SourceData]
    parameters: SourceParameters | None = None
    simulation: np.ndarray | None = None
    rows_per_simulation: int = 0
    coordinates: Mapping[str, np.ndarray] = field(default_factory=dict)
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: np.ndarray | None = None
    channel: str = ""
    attributes: storage.Attributes = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """How a source is to be read. model_rows: of the model that it is for, if any."""

    read_options: ReadOptions
    model_rows: tuple[ModelRow, ...] = ()


@dataclass(frozen=True)
class Importer:
    """One format. recognises: whether a path, or a pattern of paths, is of it, and ``read`` can be asked."""

    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Request], Source]


class ChannelRows(storage.StoredRows):
    """Rows (N, C, ...) of C arrays (N, ...) of the same shape, each of which stays where it is."""

    def __init__(self, channels: Sequence[SourceArray]) -> None:
        self.channels = tuple(channels)
        self.shape = (channels[0].shape[0], len(channels), *channels[0].shape[1:])
        self.dtype = np.result_type(*(channel.dtype for channel in channels))

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, C, ...)."""
        for number, channel in enumerate(self.channels):
            values = channel[start:stop] if isinstance(channel, np.ndarray) else channel.read(start, stop)
            rows[:, number] = values


def combine(path: Path, sources: Sequence[Source]) -> Source:
    """Several sources of the same rows as one: fields as channels, all others as observables side by side.

    Raises UserError where their rows, parameters or ids differ.
    """
    if len(sources) == 1:
        return sources[0]
    first = sources[0]
    if all(source.channel for source in sources):
        data: dict[str, SourceData] = {"data": _stack_channels(sources)}
    else:
        data = {}
        for source in sources:
            for name, entry in source.data.items():
                stem = source.path.stem if name == "data" else name
                data[stem if stem not in data else f"{source.path.parent.name}-{stem}"] = entry
        if len(data) < sum(len(source.data) for source in sources):
            raise UserError(f"{join_first([source.path for source in sources])}: two files have the same name")
    ids = [source.simulation for source in sources if source.simulation is not None]
    different = [source for source in sources if source.simulation is not None]
    for source, simulation in zip(different, ids, strict=True):
        if not np.array_equal(simulation, ids[0]):
            missing = set(ids[0].tolist()) ^ set(simulation.tolist())
            detail = f": {join_first(sorted(missing))} is in one of them only" if missing else ", in another order"
            raise UserError(f"{source.path}: has other simulations than {different[0].path}{detail}")
    parameters = [source.parameters for source in sources if source.parameters is not None]
    coordinates = {name: values for source in reversed(sources) for name, values in source.coordinates.items()}
    return replace(
        first,
        path=path,
        data=data,
        parameters=parameters[0] if parameters else None,
        simulation=ids[0] if ids else None,
        rows_per_simulation=max(source.rows_per_simulation for source in sources),
        coordinates=coordinates,
        channel="",
        notes=tuple(dict.fromkeys(note for source in sources for note in source.notes)),
    )


def _stack_channels(sources: Sequence[Source]) -> SourceData:
    entries = [next(iter(source.data.values())) for source in sources]
    shapes = {entry.values.shape for entry in entries}
    kinds = {(source.attributes.get("suite"), source.attributes.get("set")) for source in sources}
    if len(shapes) > 1 or len(kinds) > 1:
        found = ", ".join(
            f"{source.path.name} {entry.values.shape}" for source, entry in zip(sources, entries, strict=True)
        )
        raise UserError(f"fields that become channels must be of the same suite, set and shape; found {found}")
    names = tuple(source.channel for source in sources)
    return SourceData(ChannelRows([entry.values for entry in entries]), {**entries[0].attributes, "channels": names})


def number_rows(source: Source) -> Source:
    """With ids of the rows of parameters where they are more than the simulations, whose ids number them: from 0, or
    from 1 where the last row has a simulation so."""
    parameters, simulation = source.parameters, source.simulation
    if parameters is None or parameters.ids or simulation is None:
        return source
    ids, rows = list(dict.fromkeys(simulation.tolist())), len(parameters.values)
    numbers = [re.findall(r"\d+", name) for name in ids]
    if rows < len(ids) or len(ids) < rows == len(simulation) or not all(len(number) == 1 for number in numbers):
        return source
    id_of = {int(number[0]): name for number, name in zip(numbers, ids, strict=True)}
    if rows == len(ids):
        gaps = sorted(set(range(min(id_of), max(id_of))) - id_of.keys())
        order = f"the rows of {parameters.name} are taken in the order of the simulations"
        note = f"{order}, of which {join_first(gaps)} is missing"
        return replace(source, notes=(*source.notes, note)) if gaps else source
    first = int(max(id_of) == rows)
    if len(id_of) < len(ids) or min(id_of) < first or max(id_of) >= rows + first:
        return source
    row_ids = tuple(id_of.get(row + first, f"row {row}") for row in range(rows))
    missing = [row + first for row in range(rows) if row + first not in id_of]
    note = (
        f"the rows of {parameters.name} are simulations {first} to {rows - 1 + first}; "
        f"without data: {len(missing)} ({join_first(missing)})"
    )
    return replace(source, parameters=replace(parameters, ids=row_ids), notes=(*source.notes, note))


def to_layout(source: Source, read_options: ReadOptions) -> Layout:
    """The datasets of a source as those of a catalog; large arrays stay in their files.

    Raises UserError where parameters and data do not belong together.
    """
    arrays: dict[str, SourceArray] = {}
    attributes: dict[str, storage.Attributes] = {}
    single = len(source.data) == 1
    for name, entry in source.data.items():
        path = "data" if single else f"data/{name}"
        arrays[path], attributes[path] = entry.values, entry.attributes
    names = tuple(arrays)
    shapes = [values.shape for values in arrays.values()]
    count = shapes[0][0] if shapes[0] else 1
    if len({shape[:1] for shape in shapes}) > 1:
        rows = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise UserError(f"{source.path}: the observables have different numbers of rows: {rows}")
    per_simulation = read_options.rows_per_simulation or source.rows_per_simulation
    simulation = source.simulation
    if simulation is None and per_simulation and len(shapes[0]) > 1:
        if count % per_simulation:
            raise UserError(f"{source.path}: {count} rows are no multiple of `rows_per_simulation={per_simulation}`")
        simulation = (np.arange(count) // per_simulation).astype(str)
    if source.parameters is not None:
        parameters = source.parameters
        if len(shapes[0]) == 1 and len(parameters.values) == 1:
            count = 1
        theta, simulation = _align(source.path, parameters, simulation, count)
        arrays["parameters"] = theta
        attributes["parameters"] = {**parameters.attributes, "names": parameters.names or None}
        attributes["parameters"] = {key: value for key, value in attributes["parameters"].items() if value is not None}
    if simulation is not None:
        arrays["simulation"] = simulation
    contents = {
        name: storage.DatasetInfo(name, values.shape, values.dtype, None, None, attributes.get(name, {}))
        for name, values in arrays.items()
    }
    return Layout(
        source.path,
        replace(without_paths(read_options), names=(), columns=""),
        contents,
        tuple(contents[name] for name in names),
        arrays,
    )


def data_attributes(
    source: Source, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> dict[str, storage.Attributes]:
    """Those of the datasets of a catalog, by path: what the source declares, and that channels are first.

    names: the datasets. shapes: of a row of each, channels first.
    """
    described: dict[str, storage.Attributes] = {}
    for name, shape, entry in zip(names, shapes, source.data.values(), strict=True):
        channels = {"channels": "first"} if len(shape) > 1 else {}
        described[name] = channels | dict(entry.attributes)
    return described


def without_paths(read_options: ReadOptions) -> ReadOptions:
    """The options without those that name files or datasets, and without what ids and parameters per row replace."""
    return replace(read_options, parameters="", data=(), simulation="", rows_per_simulation=0)


def _align(
    path: Path, parameters: SourceParameters, simulation: np.ndarray | None, count: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Parameters (N, P) and ids (N,) of each row, from those of each row or of each simulation."""
    theta, rows = parameters.values, len(parameters.values)
    if simulation is None:
        if rows != count:
            raise UserError(f"{parameters.name}: {_expected_rows(count, None)}, found {rows}")
        return theta, np.array(parameters.ids) if parameters.ids else None
    ids = list(dict.fromkeys(simulation.tolist()))
    if parameters.ids and set(ids) & set(parameters.ids):
        row_of = {name: row for row, name in enumerate(parameters.ids)}
        if len(row_of) < rows and rows != count:
            raise UserError(f"{parameters.name}: two rows have the same id")
        if missing := [name for name in ids if name not in row_of]:
            raise UserError(f"{parameters.name}: has no row of simulation {join_first(missing)}, which {path} has")
        return theta[[row_of[name] for name in simulation.tolist()]], simulation
    if rows == count:
        return theta, simulation
    if rows == len(ids):
        order = {name: row for row, name in enumerate(ids)}
        renamed = np.array([parameters.ids[order[name]] for name in simulation.tolist()]) if parameters.ids else None
        return theta[[order[name] for name in simulation.tolist()]], simulation if renamed is None else renamed
    raise UserError(f"{parameters.name}: {_expected_rows(count, len(ids))}, found {rows}")


def _expected_rows(count: int, simulations: int | None) -> str:
    """``expected 60 or 900 rows``."""
    if simulations in (None, count):
        return f"expected {count} rows, one a row of the data"
    return f"expected {simulations} or {count} rows (one a simulation, or one a row of the data)"
