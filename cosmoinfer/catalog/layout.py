"""The datasets of a file, in our layout or any other, made into a catalog.

Shapes are checked here, values are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.catalog import Catalog, CatalogFile, Observable, ReadOptions
from cosmoinfer.catalog.declarations import Declarations
from cosmoinfer.catalog.kinds import AXES_OF_KIND, AxisMeaning, arrange_axes, check_names, declared_word, interpret_axes
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.parameters import Parameters, declared_priors, with_bounds
from cosmoinfer.priors import UNDECLARED

MAX_DATASETS_IN_ERROR = 10


@dataclass(frozen=True)
class Layout:
    """Where the datasets of one catalog stand.

    path: the file, or a name for messages where there is none.
    read_options: how the file is to be read.
    contents: every dataset, by path.
    data: the datasets to learn from.
    arrays: the values by path, of a catalog that was never in a file.
    """

    path: Path
    read_options: ReadOptions
    contents: dict[str, storage.DatasetInfo]
    data: tuple[storage.DatasetInfo, ...]
    arrays: Mapping[str, np.ndarray] | None = None

    def load(self, name: str) -> np.ndarray:
        """All values of a dataset; text as str. Raises UserError when it cannot be read."""
        if self.arrays is not None:
            return self.arrays[name]
        require_dataset(self.path, self.contents, name)
        return storage.load(self.path, name, self.read_options.follow_links)

    def declarations(self, name: str) -> Declarations:
        """What the attributes of a dataset declare."""
        dataset = self.contents[name]
        return Declarations(f"{self.path}: /{name}", dataset.attributes, dataset.unreadable)

    @property
    def size(self) -> int:
        """Bytes of the data in memory, single precision at least."""
        return sum(int(np.prod(dataset.shape)) * max(4, dataset.dtype.itemsize) for dataset in self.data)

    @property
    def has_ids(self) -> bool:
        """Whether the file says which simulation a row belongs to."""
        name = self.read_options.simulation.strip("/") or "simulation"
        return not self.read_options.rows_per_simulation and name in self.contents


def read_layout(path: Path, read_options: ReadOptions) -> Layout:
    """The datasets of a file; no values are read. Raises UserError when it is no catalog, or has no data."""
    if storage.file_kind(path) not in (None, "catalog"):
        raise UserError(f"{path}: expected a catalog, found {storage.describe_file(path)}")
    contents = storage.describe_datasets(path, read_options.follow_links)
    names = _data_names(path, contents, read_options)
    return Layout(path, read_options, contents, tuple(require_dataset(path, contents, name) for name in names))


def require_dataset(path: Path, contents: Mapping[str, storage.DatasetInfo], name: str) -> storage.DatasetInfo:
    """The dataset of that name. Raises UserError where there is none, or its values cannot be read."""
    problems = [
        dataset for dataset in contents.values() if dataset.problem and f"{name}/".startswith(f"{dataset.path}/")
    ]
    if problems:
        raise UserError(f"{path}: /{problems[0].path} {problems[0].problem}")
    if name not in contents:
        raise UserError(f"{path}: has no dataset /{name}; it holds {_describe_contents(contents)}")
    return contents[name]


def build_catalog(layout: Layout, streamed: bool) -> Catalog:
    """The catalog in one file, its shapes checked and its values not. streamed: data stay in the file.

    Raises UserError when shapes, types or attributes are not those of a catalog.
    """
    path, read_options, contents = layout.path, layout.read_options, layout.contents
    notes: list[str] = []
    for setting in ("kind", "channels"):
        check_names(setting, getattr(read_options, setting), [dataset.path for dataset in layout.data])
    observables = tuple(_read_observable(layout, dataset, notes, streamed) for dataset in layout.data)
    counts = {observable.name: len(observable.values) for observable in observables}
    if len(set(counts.values())) > 1:
        rows = ", ".join(f"/{name} {count}" for name, count in counts.items())
        raise UserError(f"{path}: the observables have different numbers of rows: {rows}")
    count = next(iter(counts.values()))
    if count == 0:
        raise UserError(f"{path}: /{observables[0].name} has no rows")
    simulation = _read_simulation(layout, count)
    classes: tuple[str, ...] = ()
    if read_options.target:
        parameters, theta, classes = _read_classes(layout, read_options.target, count)
    else:
        parameters, theta = _read_parameters(layout, simulation, count, notes)
    labels = layout.load("split") if "split" in contents else None
    if labels is not None and len(labels) != count:
        raise UserError(f"{path}: /split has {len(labels)} rows, the data have {count}")
    declared: frozenset[str] = frozenset()
    if parameters is not None and not classes:
        dataset = contents[read_options.parameters.strip("/") or "parameters"]
        if "prior" in dataset.attributes and not read_options.names:
            priors = np.atleast_1d(dataset.attributes["prior"]).tolist()
            pairs = zip(parameters.names, priors, strict=True)
            declared = frozenset(name for name, prior in pairs if prior != UNDECLARED)
        declared |= declared_priors(read_options.bounds)
    return Catalog(
        path,
        parameters,
        theta,
        observables,
        simulation,
        np.arange(count),
        labels,
        declared,
        notes=tuple(notes),
        classes=classes,
        includes_noise=read_options.data_include_noise,
        files=(CatalogFile(path, count),) if layout.arrays is None else (),
    )


def _data_names(path: Path, contents: dict[str, storage.DatasetInfo], read_options: ReadOptions) -> list[str]:
    if read_options.data:
        return [name.strip("/") for name in read_options.data]
    names = [name for name in contents if name == "data" or name.startswith("data/")]
    if not names:
        raise UserError(f"{path}: has no /data; it holds {_describe_contents(contents)}; `data` names the datasets")
    return names


def _describe_contents(contents: Mapping[str, storage.DatasetInfo]) -> str:
    datasets = [
        f"/{name} ({info.problem})" if info.problem else f"/{name} {info.shape}" for name, info in contents.items()
    ]
    return join_first(datasets, MAX_DATASETS_IN_ERROR) or "nothing"


def _read_observable(layout: Layout, dataset: storage.DatasetInfo, notes: list[str], streamed: bool) -> Observable:
    path, read_options, name = layout.path, layout.read_options, dataset.path
    meaning = _read_axes(layout, dataset)
    kind, declarations = meaning.kind, layout.declarations(name)
    values = (
        LazyArray((storage.DatasetHandle(path, name, read_options.follow_links),)) if streamed else layout.load(name)
    )
    if values.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{name} has type {values.dtype}; expected numbers")
    values = values.with_axes(meaning) if isinstance(values, LazyArray) else arrange_axes(values, meaning)
    if values.size == 0 and len(values):
        raise UserError(f"{path}: /{name} has shape {dataset.shape}: nothing to learn from")
    periodic = declarations.flags("periodic") or (kind in ("map", "grid"),)
    if any(periodic) and not all(periodic):
        notes.append(f"/{name}: is periodic along some axes only; taken as a {kind} with edges")
    masked = read_options.missing == "mask"
    if meaning.guessed and not meaning.question:
        edges = ", opposite edges joined" if all(periodic) else ""
        text = f"{meaning.note}{edges}"
        notes.append(f"/{name}: taken as {kind}, from its {len(dataset.shape)} axes" + (f": {text}" if text else ""))
    elif meaning.note:
        notes.append(f"/{name}: {meaning.note}")
    return Observable(name, kind, values, all(periodic), masked, meaning.question)


def _read_axes(layout: Layout, dataset: storage.DatasetInfo) -> AxisMeaning:
    """What the axes of the rows of a dataset mean, as declared by an option, by the file, or from its shape."""
    declarations, read_options, name = layout.declarations(dataset.path), layout.read_options, dataset.path
    kind = declared_word(read_options.kind, name) or declarations.text("kind")
    if kind and kind not in AXES_OF_KIND:
        raise UserError(f"{layout.path}: /{name} is of kind {kind!r}; {list_choices(kind, AXES_OF_KIND)}")
    channels = declared_word(read_options.channels, name)
    try:
        return interpret_axes(dataset.shape[1:], kind, channels, declarations.texts("channels") or ())
    except UserError as error:
        raise UserError(f"{layout.path}: /{name} {error.message}") from error


def _read_simulation(layout: Layout, count: int) -> np.ndarray:
    """(N,) ids as text."""
    path, read_options = layout.path, layout.read_options
    if per_simulation := read_options.rows_per_simulation:
        if count % per_simulation:
            raise UserError(f"{path}: {count} rows are no multiple of `rows_per_simulation={per_simulation}`")
        return (np.arange(count) // per_simulation).astype(str)
    name = read_options.simulation.strip("/") or "simulation"
    if name not in layout.contents and not read_options.simulation:
        return np.arange(count).astype(str)
    ids = layout.load(name)
    if ids.shape != (count,):
        raise UserError(f"{path}: /{name} has shape {ids.shape}; expected ({count},), one id a row")
    if ids.dtype.kind == "f":
        raise UserError(f"{path}: /{name} has type {ids.dtype}; expected integers or strings")
    return ids.astype(str)


def _read_classes(
    layout: Layout, target: str, count: int
) -> tuple[Parameters | None, np.ndarray | None, tuple[str, ...]]:
    """A categorical target in the place of the parameters: its class numbers, (N, 1), and the names of the classes."""
    path, contents = layout.path, layout.contents
    name = target.strip("/") if target.strip("/") in contents else f"classes/{target}"
    if name not in contents:
        targets = [dataset.removeprefix("classes/") for dataset in contents if dataset.startswith("classes/")]
        if not targets:
            return None, None, ()  # observations
        raise UserError(f"{path}: has no /classes/{target}; {list_choices(target, targets)}")
    labels = layout.load(name)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: /{name} has shape {labels.shape} of {labels.dtype}; expected ({count},) integers")
    if labels.min() < 0:
        raise UserError(f"{path}: /{name}: class numbers count from 0, found {labels.min()}")
    numbered = tuple(str(number) for number in range(labels.max() + 1))
    classes = layout.declarations(name).texts("names") or numbered
    if len(classes) < 2:
        raise UserError(f"{path}: /{name} has a single class; a classifier needs two")
    if labels.max() >= len(classes):
        raise UserError(f"{path}: /{name} has class numbers up to {labels.max()}, and {len(classes)} names of classes")
    return Parameters.from_names((name.rpartition("/")[2],)), labels[:, None].astype(np.float64), classes


def _read_parameters(
    layout: Layout, simulation: np.ndarray, count: int, notes: list[str]
) -> tuple[Parameters | None, np.ndarray | None]:
    path, contents, read_options = layout.path, layout.contents, layout.read_options
    name = read_options.parameters.strip("/") or "parameters"
    if name not in contents and not read_options.parameters:
        return None, None
    theta = layout.load(name)
    theta = theta[:, None] if theta.ndim == 1 else theta
    if theta.ndim != 2 or theta.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{name} has shape {theta.shape} of {theta.dtype}; expected (N, P) numbers")
    theta = _repeat_per_row(layout, name, theta.astype(np.float64), simulation, count)
    attributes = layout.declarations(name).parameters()
    if read_options.names:
        attributes = {"names": read_options.names}  # new names void what the file says of the old ones
    elif "names" not in attributes:
        attributes["names"] = tuple(f"parameter_{column}" for column in range(theta.shape[1]))
        notes.append(f"/{name}: has no names; called {', '.join(attributes['names'])}")
    n_names = np.size(attributes["names"])
    if n_names != theta.shape[1]:
        source = "`names`" if read_options.names else "the attribute names"
        raise UserError(f"{path}: /{name} has {theta.shape[1]} columns, {source} has {n_names}")
    try:
        parameters = Parameters.from_attributes(attributes)
    except UserError as error:
        raise UserError(f"{path}: /{name}: {error.message}") from error
    if read_options.bounds:
        parameters = with_bounds(parameters, read_options.bounds)
    if read_options.where:
        parameters = parameters.with_where(read_options.where)
    edges = zip(parameters.names, parameters.low, parameters.high, strict=True)
    unbounded = [parameter for parameter, low, high in edges if not np.isfinite([low, high]).all()]
    if unbounded:
        notes.append(f"no box known for {', '.join(unbounded)}: taken as unbounded (`bounds` declares one)")
    return parameters, theta


def _repeat_per_row(layout: Layout, name: str, theta: np.ndarray, simulation: np.ndarray, count: int) -> np.ndarray:
    """Parameters of each row, (N, P), from those of each row or of each simulation, (G, P)."""
    per_simulation = layout.read_options.rows_per_simulation
    if len(theta) == count:
        return theta
    if per_simulation and len(theta) * per_simulation == count:
        return np.repeat(theta, per_simulation, axis=0)
    ids = simulation.tolist()
    ids_are_rows = all(text.isdigit() and int(text) < len(theta) for text in ids)
    if not per_simulation and ids_are_rows and len(set(ids)) == len(theta):
        return theta[simulation.astype(int)]
    raise UserError(
        f"{layout.path}: /{name} has {len(theta)} rows, the data have {count}; expected the same number, or one row a "
        "simulation (`rows_per_simulation`, or `simulation` with row numbers)"
    )
