"""The datasets of a file made into a catalog.

Shapes are checked here, values are not.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.catalog import Catalog, CatalogFile, Observable
from cosmoinfer.catalog.datasets import Layout
from cosmoinfer.catalog.declarations import Declarations
from cosmoinfer.catalog.kinds import (
    AXES_OF_KIND,
    AxisMeaning,
    arrange_axes,
    check_names,
    declared_word,
    describe_channels,
    interpret_axes,
)
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.catalog.packing import packed_encoding
from cosmoinfer.catalog.row_axis import ModelRow, RowShape, choose_row_axis, describe_row_axis, reversed_axes_hint
from cosmoinfer.catalog.row_labels import read_classes, read_simulation, read_split_labels, read_weights
from cosmoinfer.catalog.tables import read_table
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.parameters import Parameters, declared_priors, with_bounds
from cosmoinfer.priors import UNDECLARED
from cosmoinfer.storage.encoding import ComplexForm, Encoding, is_complex


def build_catalog(layout: Layout, streamed: bool, model_rows: Sequence[ModelRow] = ()) -> Catalog:
    """The catalog in one file, its shapes checked and its values not.

    streamed: data stay in the file. model_rows: rows of each observable as a model takes them, if it is for one.

    Raises UserError when shapes, types or attributes are not those of a catalog.
    """
    path, read_options = layout.path, layout.read_options
    notes: list[str] = []
    for setting in ("kind", "channels"):
        check_names(setting, getattr(read_options, setting), [dataset.path for dataset in layout.data])
    conversions: list[str] = []
    rows_of_model = model_rows if len(model_rows) == len(layout.data) else [None] * len(layout.data)
    observables = tuple(
        _read_observable(layout, dataset, row, streamed, notes, conversions)
        for dataset, row in zip(layout.data, rows_of_model, strict=True)
    )
    counts = {observable.name: len(observable.values) for observable in observables}
    if len(set(counts.values())) > 1:
        rows = ", ".join(f"/{name} {count}" for name, count in counts.items())
        hint = reversed_axes_hint(layout.data, (max(counts.values()),))
        raise UserError(f"{path}: the observables have different numbers of rows: {rows}{hint}")
    count = next(iter(counts.values()))
    if count == 0:
        raise UserError(f"{path}: /{observables[0].name} has no rows")
    simulation = read_simulation(layout, count)
    classes: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()
    if read_options.target:
        parameters, theta, classes = read_classes(layout, read_options.target, count)
    else:
        parameters, theta, declared = _read_parameters(layout, simulation, count, notes, conversions)
    labels = read_split_labels(layout, count)
    return Catalog(
        path,
        parameters,
        theta,
        observables,
        simulation,
        np.arange(count),
        labels,
        declared,
        notes=tuple(conversions + notes),
        conversions=tuple(conversions),
        classes=classes,
        includes_noise=read_options.data_include_noise,
        files=(CatalogFile(path, count),) if layout.arrays is None else (),
        weights=read_weights(layout, count),
    )


def _choose_encoding(
    layout: Layout, dataset: storage.DatasetInfo, model_row: ModelRow | None, conversions: list[str]
) -> Encoding:
    """How the values of a dataset are stored; conversions: gets a line for each thing that is not as usual."""
    source = f"{layout.path}: /{dataset.path}"
    transpose = layout.read_options.transpose
    row_axis = choose_row_axis(dataset, source, transpose, model_row, _row_counts(layout))
    if note := describe_row_axis(dataset.path, dataset, row_axis):
        conversions.append(note)
    return packed_encoding(layout.declarations(dataset.path), dataset.dtype, row_axis, conversions)


def _row_counts(layout: Layout) -> list[int]:
    """The numbers of rows of the parameters and of the ids, as far as their datasets tell without being read."""
    contents, name = layout.contents, layout.parameters_name
    tables = [contents[name]] if name in contents else []
    columns = [info for path, info in contents.items() if path.startswith((f"{name}/", "classes/"))]
    ids = [contents[layout.simulation_name]] if layout.has_ids else []
    shapes = [info.shape[::-1] if layout.read_options.transpose else info.shape for info in (*tables, *columns, *ids)]
    return list(dict.fromkeys(shape[0] for shape in shapes if shape))


def _read_observable(
    layout: Layout,
    dataset: storage.DatasetInfo,
    model_row: ModelRow | None,
    streamed: bool,
    notes: list[str],
    conversions: list[str],
) -> Observable:
    path, read_options, name = layout.path, layout.read_options, dataset.path
    encoding = _choose_encoding(layout, dataset, model_row, conversions)
    meaning = _read_axes(layout, dataset, encoding.shape(dataset.shape)[1:], model_row)
    kind, declarations = meaning.kind, layout.declarations(name)
    if is_complex(dataset.dtype):
        encoding = replace(encoding, complex_form=_complex_form(layout, dataset, meaning, encoding))
        conversions.append(f"/{name}: complex, taken as {read_options.complex}")
    elif encoding.dtype(dataset.dtype).kind not in "fiu":
        columns = dataset.dtype.names
        holds = f"is a table of {join_first(columns)}" if columns else f"has type {dataset.dtype}"
        raise UserError(f"{path}: /{name} {holds}; expected numbers")
    values: np.ndarray | LazyArray
    stored_rows = layout.stored_rows(name, encoding) if streamed else None
    if stored_rows is not None:
        values = LazyArray((stored_rows,)).with_axes(meaning)
    else:
        values = arrange_axes(encoding.decode(layout.load(name)), meaning)
    if values.size == 0 and len(values):
        raise UserError(f"{path}: /{name} has shape {dataset.shape}: nothing to learn from")
    periodic = declarations.flags("periodic") or (kind in ("map", "grid"),)
    if any(periodic) and not all(periodic):
        notes.append(f"/{name}: is periodic along some axes only; taken as a {kind} with edges")
    masked = read_options.missing == "mask"
    if meaning.guessed and not meaning.question:
        edges = ", opposite edges joined" if all(periodic) else ""
        text = describe_channels(values.shape[1:]) + edges if kind != "vector" else ""
        notes.append(
            f"/{name}: taken as {kind}, from its {len(encoding.shape(dataset.shape))} axes"
            + (f": {text}" if text else "")
        )
    elif meaning.note:
        notes.append(f"/{name}: {meaning.note}")
    features = _feature_names(declarations, values.shape[1:]) if kind == "vector" else ()
    return Observable(name, kind, values, all(periodic), masked, meaning.question, meaning.channels_last, features)


def _feature_names(declarations: Declarations, row: RowShape) -> tuple[str, ...]:
    """Of a vector, one for each of its numbers; none where other tools mean something else by the attribute."""
    declared = declarations.attributes.get("features", ())
    names = tuple(np.ravel(np.asarray(declared)).tolist())
    return names if (len(names),) == row and all(isinstance(name, str) for name in names) else ()


def _read_axes(layout: Layout, dataset: storage.DatasetInfo, row: RowShape, model_row: ModelRow | None) -> AxisMeaning:
    """What the axes of rows of that shape mean, as declared by an option, by the file, as of the model, or by shape."""
    declarations, read_options, name = layout.declarations(dataset.path), layout.read_options, dataset.path
    kind = declared_word(read_options.kind, name) or declarations.text("kind")
    if kind and kind not in AXES_OF_KIND:
        raise UserError(f"{layout.path}: /{name} is of kind {kind!r}; {list_choices(kind, AXES_OF_KIND)}")
    channels, channel_names = declared_word(read_options.channels, name), declarations.texts("channels") or ()
    if not channel_names and model_row is not None and model_row.has_channels_last(row):
        channels = channels or "last"
    try:
        return interpret_axes(row, kind, channels, channel_names)
    except UserError as error:
        raise UserError(f"{layout.path}: /{name} {error.message}") from error


def _complex_form(
    layout: Layout, dataset: storage.DatasetInfo, meaning: AxisMeaning, encoding: Encoding
) -> ComplexForm:
    """What stands for complex numbers, as the user chose it."""
    if not layout.read_options.complex:
        raise UserError(
            f"{layout.path}: /{dataset.path} holds complex numbers; `complex=parts` reads real and imaginary parts, "
            "`complex=amplitude` absolute values"
        )
    if layout.read_options.complex == ComplexForm.AMPLITUDE.value:
        return ComplexForm.AMPLITUDE
    if meaning.channels_last:
        return ComplexForm.LAST_PARTS
    lacks_channels = len(encoding.shape(dataset.shape)) == AXES_OF_KIND[meaning.kind]
    return ComplexForm.CHANNELS if lacks_channels else ComplexForm.PARTS


def _read_parameters(
    layout: Layout, simulation: np.ndarray, count: int, notes: list[str], conversions: list[str]
) -> tuple[Parameters | None, np.ndarray | None, frozenset[str]]:
    """Parameters and theta (N, P), and the names of those whose prior is declared; all empty for observations."""
    path, read_options, name = layout.path, layout.read_options, layout.parameters_name
    table = read_table(layout, conversions)
    if table is None:
        return None, None, frozenset()
    theta = table.values
    if theta.ndim not in (1, 2) or theta.dtype.kind not in "fiu":
        raise UserError(f"{path}: /{name} has shape {theta.shape} of {theta.dtype}; expected (N, P) numbers")
    attributes = _with_names(layout, table.attributes, notes)
    n_names = np.size(attributes.get("names", ()))
    theta = _orient(layout, theta.astype(np.float64), simulation, count, n_names, conversions)
    theta = _repeat_per_row(layout, name, theta, simulation, count)
    if theta.shape[1] == 0:
        raise UserError(f"{path}: /{name} has no columns; expected (N, P) numbers")
    if "names" not in attributes:
        attributes["names"] = tuple(f"parameter_{column}" for column in range(theta.shape[1]))
        notes.append(f"/{name}: has no names; called {', '.join(attributes['names'])}")
    elif n_names != theta.shape[1]:
        source = "`names`" if read_options.names else "the attribute names"
        hint = reversed_axes_hint(layout.data, theta.shape, n_names)
        if not hint and n_names == 1 and not read_options.names:
            hint = f", {attributes['names'][0]!r}; `names=a,b` says what they are"
        raise UserError(f"{path}: /{name} has {theta.shape[1]} columns, {source} has {n_names}{hint}")
    try:
        parameters = Parameters.from_attributes(attributes)
    except UserError as error:
        raise UserError(f"{path}: /{name}: {error.message}") from error
    pairs = zip(parameters.names, attributes.get("prior", ()), strict=False)
    declared = frozenset(parameter for parameter, prior in pairs if prior != UNDECLARED)
    declared |= declared_priors(read_options.bounds)
    if read_options.bounds:
        parameters = with_bounds(parameters, read_options.bounds)
    if read_options.where:
        parameters = parameters.with_where(read_options.where)
    edges = zip(parameters.names, parameters.low, parameters.high, strict=True)
    unbounded = [parameter for parameter, low, high in edges if not np.isfinite([low, high]).all()]
    if unbounded:
        notes.append(f"no box known for {', '.join(unbounded)}: taken as unbounded (`bounds` declares one)")
    return parameters, theta, declared


def _with_names(layout: Layout, attributes: storage.Attributes, notes: list[str]) -> storage.Attributes:
    """The attributes under the names that the user gives to the columns, in their order; box and prior are kept.

    Raises UserError where these are names of other columns in the file.
    """
    names, old_names = layout.read_options.names, tuple(attributes.get("names", ()))
    if not names or names == old_names:
        return dict(attributes)
    moved = [name for name, old in zip(names, old_names, strict=False) if name != old and name in old_names]
    if moved:
        raise UserError(
            f"calls another column {join_first(moved)} than /{layout.parameters_name} of {layout.path} does, whose "
            f"columns are {', '.join(old_names)}: it renames columns in their order; `infer` picks and orders them",
            setting="names",
        )
    if old_names and "where" in attributes:
        raise UserError(
            f"renames parameters, of which /{layout.parameters_name} of {layout.path} declares a region "
            f"({', '.join(attributes['where'])})",
            setting="names",
        )
    if old_names:
        notes.append(f"/{layout.parameters_name}: the columns {', '.join(old_names)} are called {', '.join(names)}")
    return {key: value for key, value in attributes.items() if key != "labels"} | {"names": names}


def _orient(
    layout: Layout, theta: np.ndarray, simulation: np.ndarray, count: int, n_names: int, conversions: list[str]
) -> np.ndarray:
    """Parameters (G, P) from an array of one axis, or with its axes in reverse order where that is declared."""
    if theta.ndim == 1:
        return theta[None] if count == 1 and len(theta) in (n_names, 1) else theta[:, None]
    if not layout.read_options.transpose or n_names == theta.shape[1] != theta.shape[0]:
        return theta
    if not _is_row_count(layout, theta.shape[1], simulation, count) and _is_row_count(
        layout, len(theta), simulation, count
    ):
        return theta
    conversions.append(f"/{layout.parameters_name}: {theta.shape} in the file, whose axes are turned (`transpose`)")
    return np.ascontiguousarray(theta.T)


def _is_row_count(layout: Layout, length: int, simulation: np.ndarray, count: int) -> bool:
    """Whether parameters of that many rows are one for each row, or one for each simulation."""
    per_simulation = layout.read_options.rows_per_simulation
    return length == count or length * per_simulation == count or length == len(set(simulation.tolist()))


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
        + reversed_axes_hint(layout.data, theta.shape)
    )
