"""A table of text, .txt or .csv: rows of data, with or without the parameters in columns of the same table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.formatting import count_text
from cosmoinfer.importers import parameter_tables
from cosmoinfer.importers.columns import COORDINATE, PARAMETERS, SIMULATION, names_column, parse_columns, select_columns
from cosmoinfer.importers.source import Importer, Request, Source, SourceData, SourceParameters
from cosmoinfer.quoting import write
from cosmoinfer.storage import TextTable

SUFFIXES = (".txt", ".csv", ".dat", ".tsv")
MAX_NAMED_FEATURES = 1000  # whose names an attribute of HDF5 has room for
ROLES = (PARAMETERS, SIMULATION, COORDINATE)


def _recognises(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _read(path: Path, request: Request) -> Source:
    table, read_options = storage.load_table(path), request.read_options
    count = table.values.shape[1]
    roles = parse_columns(read_options.columns)
    if PARAMETERS in roles and _has_data_alone(table, request.model_rows):
        roles = {}  # those of the table that the model was trained on
    if COORDINATE in roles or _is_one_observation(table, request.model_rows, roles):
        return _read_observation(table, roles, request.model_rows)
    if read_options.parameters and PARAMETERS in roles:
        raise UserError(f"{path}: give the file of the parameters or their columns, not both", "parameters")
    id_items = roles.get(SIMULATION, [read_options.simulation] if read_options.simulation in table.names else [])
    id_columns = select_columns(id_items, table.names, count) if id_items else parameter_tables.id_columns_of(table)
    theta_columns = _parameter_columns(table, request, roles)
    taken = {*id_columns, *theta_columns}
    data = {role: select_columns(items, table.names, count) for role, items in roles.items() if role not in ROLES}
    data = data or {"data": [column for column in range(count) if column not in taken and column not in table.texts]}
    if not any(data.values()):
        raise UserError(f"{path}: all of its {count} columns are parameters or ids, and none is left as data")
    for columns in data.values():
        if words := [column for column in columns if column in table.texts]:
            raise UserError(f"{path}: column {words[0]} holds words ({table.texts[words[0]][0]!r}), no numbers")
        if double := [column for column in columns if column in taken]:
            raise UserError(f"{path}: column {double[0]} is given as data and as a parameter or id", "columns")
    _check_size(table, data, request.model_rows)
    parameters = None
    ids = parameter_tables.column_ids(table, id_columns)
    if theta_columns:
        names = tuple(table.names[column] for column in theta_columns) if table.names else ()
        parameters = SourceParameters(str(path), table.values[:, theta_columns], names)
        parameters = parameter_tables.with_names(parameters, read_options.names)
    notes = [f"ids are those of column {table.names[id_columns[0]] if table.names else id_columns[0]}"] if ids else []
    return Source(
        path,
        {name: SourceData(_values(table, columns), _described(table, columns)) for name, columns in data.items()},
        parameters,
        np.array(ids) if ids and not read_options.rows_per_simulation else None,
        notes=tuple(notes),
    )


def _described(table: TextTable, columns: Sequence[int]) -> storage.Attributes:
    """A vector, with the names of its columns if they have any."""
    if not table.names or not 1 < len(columns) <= MAX_NAMED_FEATURES:
        return {"kind": "vector"}
    return {"kind": "vector", "features": tuple(table.names[column] for column in columns)}


def _values(table: TextTable, columns: Sequence[int]) -> np.ndarray:
    """(R, K), or (R,) of a single column, which may be one number a row or one observation."""
    return table.values[:, columns[0]] if len(columns) == 1 else table.values[:, columns]


def _parameter_columns(table: TextTable, request: Request, roles: dict[str, list[str]]) -> list[int]:
    """Numbers of the columns of the parameters; none where there are none in this table."""
    names, count = request.read_options.names, table.values.shape[1]
    if PARAMETERS in roles:
        return select_columns(roles[PARAMETERS], table.names, count)
    if request.read_options.parameters:
        return []
    named = [name for name in names if names_column(name, table.names)]
    if names and len(named) == len(names):
        return select_columns(names, table.names, count)
    if request.model_rows:
        return []  # observations
    if names and table.names:
        missing = next(name for name in names if name not in named)
        raise UserError(
            f"{table.path}: has no column {missing}; {list_choices(missing, map(write, table.names))}; "
            f"`columns=parameters=0:{len(names)},data={len(names)}:` gives columns other names",
            "names",
        )
    if names:
        raise UserError(
            f"{table.path}: has {count} columns without names; `columns=parameters=0:{len(names)},data={len(names)}:` "
            "says which are the parameters (`parameters=FILE` where they are in a file of their own)"
        )
    if table.names and not roles:
        columns = join_first(map(write, table.names), 20)
        raise UserError(
            f"{table.path}: has the columns {columns}; `names=a,b` says which are the parameters "
            "(`parameters=FILE` where they are in a file of their own, `columns=data=0:` where there are none)"
        )
    return []


def _is_one_observation(table: TextTable, model_rows: Sequence[ModelRow], roles: dict[str, list[str]]) -> bool:
    """Whether the lines of a table are the features of one observation, beside what they lie at."""
    rows, count = table.values.shape
    if roles or not _is_of_vectors(model_rows):
        return False
    return count > 1 and _fits(rows, model_rows[0]) and not _fits(count, model_rows[0])


def _has_data_alone(table: TextTable, model_rows: Sequence[ModelRow]) -> bool:
    """Whether the data of a model leave no column of a table for parameters."""
    return _is_of_vectors(model_rows) and table.values.shape[1] <= model_rows[0].shape[0]


def _is_of_vectors(model_rows: Sequence[ModelRow]) -> bool:
    """Whether a model takes one vector."""
    return len(model_rows) == 1 and len(model_rows[0].shape) == 1


def _fits(size: int, model_row: ModelRow) -> bool:
    """Whether a model takes a vector of so many numbers, before its scale cuts."""
    (expected,) = model_row.shape
    return size == expected or (model_row.is_cut and size > expected)


def _check_size(table: TextTable, data: dict[str, list[int]], model_rows: Sequence[ModelRow]) -> None:
    """Raises UserError where neither lines nor columns are of the size that a model takes."""
    rows, count = table.values.shape
    if not _is_of_vectors(model_rows) or len(data) > 1:
        return
    (columns,), (size,) = data.values(), model_rows[0].shape
    if _fits(len(columns), model_rows[0]) or (len(columns) == 1 and _fits(rows, model_rows[0])):
        return
    more = " or more" * model_rows[0].is_cut
    which = ", of which `columns=coordinate=0,data=1` says where the data are" * (count > 1)
    raise UserError(
        f"{_describe_for_model(table, model_rows)}; expected {count_text(size, 'column')}{more} of data, one line an "
        f"observation, or {count_text(size, 'line')}{more}{which}"
        + f"; `columns=data={columns[0]}:{columns[0] + size}` chooses columns"
        * (len(columns) > size and columns[size - 1] == columns[0] + size - 1)
    )


def _describe_for_model(table: TextTable, model_rows: Sequence[ModelRow]) -> str:
    rows, count = table.values.shape
    names = f" ({join_first(table.names, 20)})" if table.names else ""
    sizes = f"has {count_text(rows, 'line')} of {count_text(count, 'column')}{names}"
    return f"{table.path}: {sizes} for a model that takes {count_text(model_rows[0].shape[0], 'number')}"


def _read_observation(table: TextTable, roles: dict[str, list[str]], model_rows: Sequence[ModelRow]) -> Source:
    """One row: the coordinate of each feature in a column, the data in another."""
    rows, count = table.values.shape
    if not roles:
        if count != 2:
            raise UserError(
                f"{_describe_for_model(table, model_rows)}; `columns=coordinate=0,data=1` says which column is the data"
            )
        roles = {COORDINATE: ["0"], "data": ["1"]}
    columns = {role: select_columns(items, table.names, count) for role, items in roles.items()}
    data = {role: numbers for role, numbers in columns.items() if role not in ROLES}
    if len(columns[COORDINATE]) != 1 or not data:
        raise UserError(f"{table.path}: expected one column as coordinate and others as data", "columns")
    if all(len(numbers) == 1 for numbers in data.values()):
        _check_size(table, data, model_rows)
    name = coordinate_name(table, columns[COORDINATE][0])
    return Source(
        table.path,
        {role: SourceData(one_row(table, numbers)) for role, numbers in data.items()},
        coordinates={name: table.values[:, columns[COORDINATE][0]]},
        notes=(f"one observation of {rows} features, at the {name} of each",),
    )


def one_row(table: TextTable, columns: Sequence[int]) -> np.ndarray:
    """(1, K) of one column, (1, C, K) of several."""
    values = table.values[:, columns].T
    return values if len(columns) == 1 else values[None]


def coordinate_name(table: TextTable, column: int) -> str:
    """What the coordinate is called in a catalog: by its name in the table, if that is the name of a dataset, or k."""
    name = table.names[column] if table.names else ""
    return name if name.isidentifier() and name not in ("parameters", "data", "simulation", "split", "meta") else "k"


IMPORTER = Importer("a table of text, .txt, .csv or .dat", _recognises, _read)
