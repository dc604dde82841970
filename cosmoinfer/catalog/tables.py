"""Parameters as other tools store them: an array, a table of named columns, or one dataset each in a group.

Tables are compound datasets (numpy, astropy, PyTables), or frames of pandas in its fixed format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.catalog.datasets import Layout, require_dataset
from cosmoinfer.catalog.declarations import NUMBERS, TEXTS
from cosmoinfer.catalog.packing import packed_encoding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.priors import UNDECLARED
from cosmoinfer.quoting import write
from cosmoinfer.storage import Attributes
from cosmoinfer.storage.encoding import RowAxis, is_complex

MASK_SUFFIX = ".mask"  # of a column of astropy that marks missing values of another
PANDAS_INDEX = "index"
PICKLED_BLOCK = "values_block_"  # of pandas, whose column names are pickled
COLUMN_DEFAULTS = {"low": -np.inf, "high": np.inf, "prior_mean": 0.0, "prior_std": 1.0}  # where a column declares none


@dataclass(frozen=True)
class ParameterTable:
    """values: (N, P) or (N,), or with its axes reversed, as stored but unpacked. attributes: as of
    ``Parameters.from_attributes``."""

    values: np.ndarray
    attributes: Attributes


def read_table(layout: Layout, notes: list[str]) -> ParameterTable | None:
    """The parameters of a file; None where it has none. notes: gets a line for what is not read as it is stored.

    Where `names` are some columns of a table, those are read. Raises UserError for columns that hold no numbers.
    """
    name = layout.parameters_name
    if name not in layout.contents and layout.group_attributes(name) is not None:
        return _read_group(layout, name, notes)
    if name in layout.contents or layout.read_options.parameters:
        return _read_dataset(layout, name, notes)
    return None


def _read_dataset(layout: Layout, name: str, notes: list[str]) -> ParameterTable:
    dataset, declarations = require_dataset(layout.path, layout.contents, name), layout.declarations(name)
    values = layout.load(name)
    if values.dtype.names and not is_complex(values.dtype):
        return _Columns(layout, name, _fields(layout, name, values), declarations.parameters()).choose(notes)
    encoding = packed_encoding(declarations, dataset.dtype, RowAxis.FIRST, notes)
    return ParameterTable(encoding.decode(values), declarations.parameters())


def _fields(layout: Layout, name: str, table: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of a compound dataset; a masked value of astropy is NaN."""
    assert table.dtype.names is not None
    pickled = [field for field in table.dtype.names if field.startswith(PICKLED_BLOCK)]
    if pickled:
        raise UserError(
            f"{layout.path}: /{name} is a table of pandas, whose names of columns are pickled; write it with "
            "format='fixed', or with data_columns=True"
        )
    columns = {field: table[field] for field in table.dtype.names}
    masks = {field: columns.pop(field + MASK_SUFFIX) for field in table.dtype.names if field + MASK_SUFFIX in columns}
    masked = {field: np.where(mask, np.nan, columns[field]) for field, mask in masks.items()}
    return columns | masked


def _read_group(layout: Layout, name: str, notes: list[str]) -> ParameterTable:
    attributes = layout.group_attributes(name) or {}
    kind = str(attributes.get("pandas_type", ""))
    inside = [path.removeprefix(f"{name}/") for path in layout.contents if path.startswith(f"{name}/")]
    if not inside:
        raise UserError(f"{layout.path}: /{name} is an empty group; expected a dataset (N, P), or one a parameter")
    if kind.startswith("series"):
        column = str(attributes.get("name", "")) or "parameter_0"
        return ParameterTable(layout.load(f"{name}/values"), {"names": (column,)})
    if "axis0" in inside or kind == "frame":
        return _Columns(layout, name, _pandas_columns(layout, name, inside), {}).choose(notes)
    if "table" in inside and kind.startswith("frame"):
        fields = _fields(layout, name, layout.load(f"{name}/table"))
        fields.pop(PANDAS_INDEX, None)
        return _Columns(layout, name, fields, {}).choose(notes)
    return _Columns(layout, name, *_one_dataset_each(layout, name, inside, attributes, notes)).choose(notes)


def _pandas_columns(layout: Layout, name: str, inside: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of a frame in the fixed format: blocks of columns of one type, in the order of axis0."""
    if "axis0" not in inside:
        raise UserError(f"{layout.path}: /{name} is a frame of pandas with several levels of columns; expected one")
    columns: dict[str, np.ndarray] = {}
    for block in [path.removesuffix("_items") for path in inside if path.endswith("_items")]:
        values = layout.load(f"{name}/{block}_values")
        is_number = "value_type" not in layout.contents[f"{name}/{block}_values"].attributes
        for number, column in enumerate(layout.load(f"{name}/{block}_items").astype(str).tolist()):
            columns[column] = values[:, number] if is_number and values.ndim == 2 else values.astype(object)
    return {column: columns[column] for column in layout.load(f"{name}/axis0").astype(str).tolist()}


def _one_dataset_each(
    layout: Layout, name: str, inside: Sequence[str], attributes: Attributes, notes: list[str]
) -> tuple[dict[str, np.ndarray], Attributes]:
    """A dataset (N,) a parameter, each with its own attributes; the attribute ``names`` of the group orders them."""
    group = replace(layout.declarations(f"{name}/{inside[0]}"), source=f"{layout.path}: /{name}", attributes=attributes)
    described = replace(group, unreadable={}).parameters()
    if "names" not in described and described.keys() - {"where"}:
        raise UserError(
            f"{layout.path}: /{name} declares {join_first(described)} of a group, whose datasets have no order; "
            "expected the attribute names beside it, or attributes of each dataset"
        )
    columns: dict[str, np.ndarray] = {}
    attributes_of: dict[str, Attributes] = {}
    for column in [*described.get("names", ()), *sorted(inside)]:
        if column in columns or column not in inside:
            continue
        declarations = layout.declarations(f"{name}/{column}")
        dataset = require_dataset(layout.path, layout.contents, f"{name}/{column}")
        encoding = packed_encoding(declarations, dataset.dtype, RowAxis.FIRST, notes)
        columns[column] = encoding.decode(layout.load(f"{name}/{column}"))
        attributes_of[column] = {key: value for key, value in declarations.parameters().items() if np.size(value) == 1}
    return columns, described | _columns_as_attributes(attributes_of, tuple(described.get("names", columns)))


def _columns_as_attributes(attributes_of: Mapping[str, Attributes], names: tuple[str, ...]) -> Attributes:
    """Of all parameters, (P,) each, from those that the dataset of each one has; nothing where none has any."""
    attributes: Attributes = {}
    for key in (*TEXTS, *NUMBERS):
        values = [attributes_of.get(name, {}).get(key) for name in names]
        if key not in ("names", "where") and any(value is not None for value in values):
            attributes[key] = [None if value is None else np.ravel(value)[0] for value in values]
    for key, default in COLUMN_DEFAULTS.items():
        if key in attributes:
            attributes[key] = [default if value is None else value for value in attributes[key]]
    for key, texts in (("labels", names), ("prior", (UNDECLARED,) * len(names))):
        if key in attributes:
            pairs = zip(attributes[key], texts, strict=True)
            attributes[key] = tuple(text if value is None else value for value, text in pairs)
    return attributes | ({"names": names} if attributes else {})


@dataclass(frozen=True)
class _Columns:
    """Named columns of a table, of which some are parameters. attributes: in the order of its ``names``, or else of the
    columns."""

    layout: Layout
    name: str
    columns: Mapping[str, np.ndarray]
    attributes: Attributes

    def choose(self, notes: list[str]) -> ParameterTable:
        """Those that are asked for, else those that the attribute ``names`` lists, else all."""
        declared = tuple(self.attributes.get("names", self.columns))
        if unknown := [name for name in declared if name not in self.columns]:
            raise UserError(
                f"{self._source}: the attribute names lists {join_first(unknown)}, and the columns are "
                f"{join_first(self.columns, 20)}"
            )
        names = self.layout.read_options.names
        chosen = names if names and set(names) <= self.columns.keys() else declared
        if not chosen:
            raise UserError(
                f"{self._source}: the attribute names lists none of the columns {join_first(self.columns, 20)}"
            )
        values = [self._column(name) for name in chosen]
        lengths = {name: len(column) for name, column in zip(chosen, values, strict=True)}
        if len(set(lengths.values())) > 1:
            rows = ", ".join(f"{name} {count}" for name, count in lengths.items())
            raise UserError(f"{self._source}: the columns have different numbers of rows: {rows}")
        if chosen != tuple(self.columns):
            notes.append(f"/{self.name}: the columns {', '.join(chosen)} of {', '.join(self.columns)}")
        return ParameterTable(np.stack(values, axis=1), self._select(declared, chosen))

    @property
    def _source(self) -> str:
        return f"{self.layout.path}: /{self.name}"

    def _column(self, name: str) -> np.ndarray:
        """(N,) float64."""
        column = self.columns[name]
        if column.dtype.kind not in "fiub":
            numbers = [key for key, values in self.columns.items() if values.dtype.kind in "fiub"]
            remedy = f"; `names={','.join(map(write, numbers))}` reads those of numbers" if numbers else ""
            raise UserError(f"{self._source}: the column {name} holds no numbers ({column.dtype}){remedy}")
        if column.ndim > 1 and column.size != max(column.shape):
            raise UserError(f"{self._source}: the column {name} has shape {column.shape}; expected one number a row")
        return column.reshape(-1).astype(np.float64)

    def _select(self, declared: tuple[str, ...], chosen: tuple[str, ...]) -> Attributes:
        """The attributes of the chosen columns; those of other columns cannot be chosen."""
        positions = [declared.index(name) if name in declared else -1 for name in chosen]
        attributes: Attributes = {"names": chosen}
        for key, value in self.attributes.items():
            values = np.asarray(value)
            if key in ("names", "where"):
                continue
            if len(values) != len(declared) or -1 in positions:
                raise UserError(
                    f"{self._source}: the attribute {key} has {len(values)} values; expected one for each of "
                    f"{join_first(declared, 20)}"
                )
            picked = values[positions] if key != "prior_correlation" else values[np.ix_(positions, positions)]
            attributes[key] = tuple(picked.tolist()) if key in TEXTS else picked
        return attributes | {key: self.attributes[key] for key in ("where",) if key in self.attributes}
