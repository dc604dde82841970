"""Arrays that a file holds by name, .npz and tensors of torch: theta and x by their usual names, or by those given."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.importers import parameter_tables
from cosmoinfer.importers.source import Importer, Request, Source, SourceData, SourceParameters
from cosmoinfer.importers.torch_tensors import TENSOR_SUFFIXES, load_tensors

THETA_NAMES = ("theta", "thetas", "parameters", "params", "param", "y")
DATA_NAMES = ("x", "xs", "data", "X")
ID_NAMES = ("simulation", "sim_id", "simulation_id", "ids")
TEXT_NAMES = ("names", "param_names", "parameter_names")
BOX_NAMES = ("low", "high")


def source_from_arrays(path: Path, arrays: Mapping[str, np.ndarray], request: Request) -> Source:
    """theta and x of a file of arrays.

    Raises UserError, which lists the arrays, where their names do not tell which is which.
    """
    read_options = request.read_options
    if unknown := [name for name in read_options.data if name not in arrays]:
        raise UserError(f"{path}: has no array {unknown[0]}; {list_choices(unknown[0], arrays)}", "data")
    is_array = bool(read_options.parameters) and read_options.parameters in arrays
    theta_name = read_options.parameters if is_array else None
    has_file = bool(read_options.parameters) and not is_array
    known = {name for name in arrays if name in (*ID_NAMES, *TEXT_NAMES, *BOX_NAMES)}
    numeric = [name for name, array in arrays.items() if array.dtype.kind in "fiubc" and name not in known]
    if theta_name is None and not has_file:
        candidates = [name for name in THETA_NAMES if name in numeric and name not in read_options.data]
        theta_name = candidates[0] if len(candidates) == 1 else None
    others = [name for name in numeric if name != theta_name]
    data = list(read_options.data) or [name for name in DATA_NAMES if name in others]
    if not data and (len(others) == 1 or theta_name is not None):
        data = others
    is_clear = bool(data) and (
        theta_name is not None or len(others) == len(data) or has_file or bool(read_options.data)
    )
    if not is_clear:
        shapes = [f"{name or 'an array'} {arrays[name].shape}" for name in arrays]
        raise UserError(
            f"{path}: holds {join_first(shapes, 20)}; `parameters=NAME` and `data=NAME` say which are which"
        )
    parameters = None
    if theta_name is not None:
        stored = parameter_tables.from_array(f"{path}: {theta_name}", arrays[theta_name])
        parameters = parameter_tables.with_names(_with_texts(stored, arrays), read_options.names)
    id_name = read_options.simulation if read_options.simulation in arrays else ""
    id_name = id_name or next((name for name in ID_NAMES if name in arrays), "")
    simulation = arrays[id_name].astype(str).reshape(-1) if id_name and not read_options.rows_per_simulation else None
    single = len(data) == 1
    return Source(
        path,
        {"data" if single else name: SourceData(arrays[name]) for name in data},
        parameters,
        simulation,
        notes=tuple([f"parameters are the array {theta_name}, data {', '.join(data)}"] * (theta_name is not None)),
    )


def _with_texts(parameters: SourceParameters, arrays: Mapping[str, np.ndarray]) -> SourceParameters:
    """With the names and the box that arrays of the same file give."""
    count = parameters.values.shape[1]
    texts = next((arrays[name] for name in TEXT_NAMES if name in arrays), np.zeros(0))
    names = tuple(texts.astype(str).tolist()) if texts.shape == (count,) else parameters.names
    box = {name: arrays[name].astype(np.float64) for name in BOX_NAMES if name in arrays}
    is_box = len(box) == 2 and all(edge.shape == (count,) for edge in box.values())
    return SourceParameters(parameters.name, parameters.values, names, box if is_box else {})


def _read_npz(path: Path, request: Request) -> Source:
    return source_from_arrays(path, storage.load_npz(path), request)


def _read_tensors(path: Path, request: Request) -> Source:
    return source_from_arrays(path, load_tensors(path), request)


NPZ = Importer("arrays of numpy by name, .npz", lambda path: path.suffix.lower() == ".npz", _read_npz)
TENSORS = Importer("tensors of torch, .pt", lambda path: path.suffix.lower() in TENSOR_SUFFIXES, _read_tensors)
