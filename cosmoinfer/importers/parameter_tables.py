"""Files of parameters beside the data: a table with one row a simulation, or one a row of the data.

Boxes and labels are known of tables that are published: an entry of PUBLISHED_TABLES each.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importers.columns import SIMULATION, names_column, parse_columns, select_columns
from cosmoinfer.importers.source import SourceParameters
from cosmoinfer.importers.torch_tensors import TENSOR_SUFFIXES, load_tensors
from cosmoinfer.latex import name_symbol
from cosmoinfer.priors import BOX_TOLERANCE

ID_NAMES = {"id", "ids", "sim", "sim_id", "simid", "simulation", "simulation_id", "name", "realization", "index", ""}


@dataclass(frozen=True)
class PublishedTable:
    """Of files whose name a pattern matches: names, box and whether the prior is uniform in the logarithm.

    header: the names that the file itself must give, if any.
    """

    pattern: str
    names: tuple[str, ...]
    box: tuple[tuple[float, float], ...] = ()
    logarithmic: tuple[str, ...] = ()
    header: tuple[str, ...] = ()

    def attributes(self, values: np.ndarray) -> storage.Attributes:
        """Box and priors, of the values (G, P) that lie in it; nothing where some do not."""
        low, high = np.array(self.box or [(-np.inf, np.inf)] * len(self.names)).T
        margin = BOX_TOLERANCE * (high - low)
        if not self.box or (values < low - margin).any() or (values > high + margin).any():
            return {}
        prior = tuple("log-uniform" if name in self.logarithmic else "uniform" for name in self.names)
        return {"low": low, "high": high, "prior": prior}


CAMELS_NAMES = ("Omega_m", "sigma_8", "A_SN1", "A_AGN1", "A_SN2", "A_AGN2")
CAMELS_BOX = ((0.1, 0.5), (0.6, 1.0), (0.25, 4.0), (0.25, 4.0), (0.5, 2.0), (0.5, 2.0))
QUIJOTE_NAMES = ("Omega_m", "Omega_b", "h", "n_s", "sigma_8")
QUIJOTE_BOX = ((0.1, 0.5), (0.03, 0.07), (0.5, 0.9), (0.8, 1.2), (0.6, 1.0))
PUBLISHED_TABLES = (
    PublishedTable(r"params_LH_Nbody_\w+", CAMELS_NAMES[:2], CAMELS_BOX[:2]),
    PublishedTable(r"params_LH_\w+", CAMELS_NAMES, CAMELS_BOX, CAMELS_NAMES[2:]),
    PublishedTable(r"params_(1P|CV|EX)_Nbody_\w+", CAMELS_NAMES[:2]),
    PublishedTable(r"params_(1P|CV|EX)_\w+", CAMELS_NAMES),
    PublishedTable(r"params_(IllustrisTNG|SIMBA|Astrid)", CAMELS_NAMES, CAMELS_BOX, CAMELS_NAMES[2:]),
    PublishedTable(r"latin_hypercube_params", QUIJOTE_NAMES, QUIJOTE_BOX, header=QUIJOTE_NAMES),
)


def read_parameters(path: Path, read_options: ReadOptions) -> SourceParameters:
    """The parameters in a file of text or of numpy or torch, under the names that the options give them.

    Raises UserError where it is none, or has no such columns.
    """
    suffix = path.suffix.lower()
    storage.require_file(path)
    if suffix == ".npy":
        parameters = from_array(str(path), storage.load_npy(path))
    elif suffix == ".npz":
        arrays = {name: array for name, array in storage.load_npz(path).items() if array.dtype.kind in "fiub"}
        if len(arrays) != 1:
            holds = join_first(f"{name} {array.shape}" for name, array in arrays.items())
            raise UserError(f"{path}: expected one array of parameters, found {holds or 'none'}")
        parameters = from_array(str(path), next(iter(arrays.values())))
    elif suffix in TENSOR_SUFFIXES:
        tensors = load_tensors(path)
        if len(tensors) != 1:
            raise UserError(f"{path}: expected one tensor of parameters, found {join_first(tensors)}")
        parameters = from_array(str(path), next(iter(tensors.values())))
    elif suffix in (".h5", ".hdf5", ".fits", ".json"):
        raise UserError(f"{path}: expected a table of parameters in text, .npy, .npz or .pt", "parameters")
    else:
        parameters = _from_table(storage.load_table(path), read_options)
    return with_names(parameters, read_options.names)


def from_array(name: str, values: np.ndarray) -> SourceParameters:
    """name: for messages. values: (G, P), (G,) of one parameter, or a structured array with a column a parameter.

    Raises UserError for any other array.
    """
    if values.dtype.names:
        columns = [np.asarray(values[field], np.float64).reshape(-1) for field in values.dtype.names]
        return SourceParameters(name, np.stack(columns, axis=1), tuple(values.dtype.names))
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiub":
        raise UserError(f"{name}: has shape {values.shape} of {values.dtype}; expected (N, P) numbers")
    return SourceParameters(name, values.astype(np.float64).reshape(len(values), -1))


def _from_table(table: storage.TextTable, read_options: ReadOptions) -> SourceParameters:
    """All columns but ids, or those of the role parameters."""
    roles, count = parse_columns(read_options.columns), table.values.shape[1]
    id_items = roles.get(SIMULATION, [read_options.simulation] if read_options.simulation in table.names else [])
    id_columns = select_columns(id_items, table.names, count) if id_items else id_columns_of(table)
    chosen = [column for column in range(count) if column not in id_columns and column not in table.texts]
    if read_options.names and all(names_column(name, table.names) for name in read_options.names):
        chosen = select_columns(read_options.names, table.names, count)
    if not chosen:
        raise UserError(f"{table.path}: has no column of numbers")
    names = tuple(table.names[column] for column in chosen) if table.names else ()
    parameters = SourceParameters(str(table.path), table.values[:, chosen], names, ids=column_ids(table, id_columns))
    return _with_published(parameters, table.path)


def id_columns_of(table: storage.TextTable) -> list[int]:
    """The column of ids, by its name: the first of ID_NAMES, or the only one of words."""
    named = [column for column, name in enumerate(table.names) if name.lower() in ID_NAMES]
    return named[:1] or (list(table.texts) if len(table.texts) == 1 else [])


def column_ids(table: storage.TextTable, columns: Sequence[int]) -> tuple[str, ...]:
    """(R,) what the column of ids holds, whole numbers without a point; nothing without one."""
    if not columns:
        return ()
    if columns[0] in table.texts:
        return table.texts[columns[0]]
    return tuple(f"{number:.17g}" for number in table.values[:, columns[0]].tolist())


def _with_published(parameters: SourceParameters, path: Path) -> SourceParameters:
    for table in PUBLISHED_TABLES:
        is_wide = parameters.values.shape[1] == len(table.names)
        agrees = parameters.names in ((), table.names) and (not table.header or parameters.names == table.header)
        if re.fullmatch(table.pattern, path.stem) and is_wide and agrees:
            return replace(parameters, names=table.names, attributes=table.attributes(parameters.values))
    return parameters


def with_names(parameters: SourceParameters, names: Sequence[str]) -> SourceParameters:
    """The columns of these names, or all under these names; with the labels that are known.

    Raises UserError where the number of names is another.
    """
    if names and set(names) <= set(parameters.names):
        columns = [parameters.names.index(name) for name in names]
        chosen = {key: _pick(value, columns) for key, value in parameters.attributes.items()}
        parameters = replace(parameters, names=tuple(names), values=parameters.values[:, columns], attributes=chosen)
    elif names:
        if len(names) != parameters.values.shape[1]:
            columns_text = f" ({join_first(parameters.names, 20)})" if parameters.names else ""
            raise UserError(
                f"{parameters.name}: has {parameters.values.shape[1]} columns{columns_text}, `names` has {len(names)}"
            )
        parameters = replace(parameters, names=tuple(names))
    return replace(parameters, attributes=with_labels(parameters.attributes, parameters.names))


def with_labels(attributes: Mapping[str, object], names: Sequence[str]) -> storage.Attributes:
    """The attributes with LaTeX labels, where some of the names have a symbol."""
    symbols = tuple(map(name_symbol, names))
    if "labels" in attributes or not any(symbols):
        return dict(attributes)
    return {**attributes, "labels": tuple(symbol or name for symbol, name in zip(symbols, names, strict=True))}


def _pick(value: object, columns: Sequence[int]) -> object:
    return value[list(columns)] if isinstance(value, np.ndarray) else tuple(np.asarray(value)[columns].tolist())
