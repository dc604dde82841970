"""One file a simulation, as a pattern names them: ``'Pk/*/Pk_m_z=0.txt'``, in numeric order of what the star matches.

Text has the coordinate of each feature in one column and data in others; an array of numpy is one row.
"""

import glob
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog import multi_file
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importers import text
from cosmoinfer.importers.columns import COORDINATE, PARAMETERS, SIMULATION, parse_columns, select_columns
from cosmoinfer.importers.source import Importer, Request, Source, SourceData
from cosmoinfer.memory import check_memory
from cosmoinfer.storage import TextTable

SUFFIXES = (*text.SUFFIXES, ".npy")
LISTED_SUFFIXES = (*SUFFIXES, ".h5", ".hdf5", ".npz", ".pt")
MAX_LISTED = 10_000  # files of a folder that are looked at
WILDCARDS = re.compile(r"((?:\*|\?|\[[^\]]*\])+)")
COORDINATE_TOLERANCE = 1e-6  # relative, between files


class ArrayFiles(storage.StoredRows):
    """Rows (N, ...) of which each is one .npy file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises UserError where an array has another shape than the first."""
        arrays = [storage.open_npy(path) for path in paths]
        for path, array in zip(paths, arrays, strict=True):
            if array.shape != arrays[0].shape or array.dtype.kind not in "fiub":
                expected = f"expected numbers of shape {arrays[0].shape}, as in {paths[0]}"
                raise UserError(f"{path}: has shape {array.shape} of {array.dtype}; {expected}")
        self.paths, self.shape = tuple(paths), (len(paths), *arrays[0].shape)
        self.dtype = np.result_type(*{array.dtype.newbyteorder("=") for array in arrays})

    def read_into(self, rows: np.ndarray, start: int, stop: int) -> None:
        """Rows start..stop - 1 into ``rows``, of shape (stop - start, ...)."""
        for number, path in enumerate(self.paths[start:stop]):
            rows[number] = storage.load_npy(path).reshape(rows.shape[1:])


def pattern_within(folder: Path) -> str:
    """A pattern of most of the files of data in a folder, or in its folders; empty where it has none."""
    for level in ("", "*/"):
        by_form: dict[tuple[str, ...], list[str]] = {}
        entries = islice(folder.glob(f"{level}*"), MAX_LISTED)
        for name in sorted(path.name for path in entries if path.suffix.lower() in LISTED_SUFFIXES):
            by_form.setdefault(tuple(re.split(r"\d+", name)), []).append(name)
        if by_form:
            return f"{folder}/{level}{_pattern_of(max(by_form.values(), key=len))}"
    return ""


def _pattern_of(names: Sequence[str]) -> str:
    """A star in the place of the numbers in which names differ, which are the same otherwise."""
    words = [re.split(r"(\d+)", name) for name in names]
    return "".join(column[0] if len(set(column)) == 1 else "*" for column in zip(*words, strict=True))


def _recognises(path: Path) -> bool:
    return multi_file.is_pattern(path) and path.suffix.lower() in SUFFIXES


def _read(path: Path, request: Request) -> Source:
    files, ids = list_files(path)
    if path.suffix.lower() == ".npy":
        rows = ArrayFiles(files)
        data = {"data": SourceData(rows if len(rows.shape) > 2 else rows.read(0, len(rows)))}
        return Source(path, data, simulation=ids)
    if PARAMETERS in (roles := parse_columns(request.read_options.columns)) or SIMULATION in roles:
        raise UserError("gives no parameters or ids where each file is one row; `parameters` names a table", "columns")
    check_memory(sum(file.stat().st_size for file in files) // 8, f"{path}: its tables")
    tables = [storage.load_table(file) for file in files]
    first = tables[0]
    for table in tables:
        if table.values.shape != first.values.shape:
            sizes = ["{} lines of {} columns".format(*entry.values.shape) for entry in (first, table)]
            raise UserError(f"{table.path}: expected {sizes[0]}, as in {first.path}, found {sizes[1]}")
    if len(first.values) == 1 and not roles:
        return Source(path, {"data": SourceData(np.concatenate([table.values for table in tables]))}, simulation=ids)
    roles = roles or _default_roles(first)
    columns = {role: select_columns(items, first.names, first.values.shape[1]) for role, items in roles.items()}
    coordinates = {}
    if at := columns.pop(COORDINATE, []):
        coordinates = {text.coordinate_name(first, at[0]): _common_coordinate(tables, at)}
    if not columns:
        raise UserError(f"{path}: expected columns of data beside the coordinate", "columns")
    data = {
        role: SourceData(
            np.concatenate([text.one_row(table, numbers) for table in tables]),
            {"kind": "profile" if len(numbers) > 1 else "vector"},
        )
        for role, numbers in columns.items()
    }
    note = f"{len(files)} files of one row each, {files[0]} to {files[-1]}; columns " + ", ".join(
        f"{role} {join_first(first.names[number] if first.names else number for number in numbers)}"
        for role, numbers in {**({COORDINATE: at} if at else {}), **columns}.items()
    )
    return Source(path, data, simulation=ids, coordinates=coordinates, notes=(note,))


def list_files(pattern: Path) -> tuple[list[Path], np.ndarray]:
    """The files that match, and what the wildcards match in each as its id (N,), both in numeric order.

    Raises UserError when no file matches, or two have the same id.
    """
    names = [name for name in glob.glob(str(pattern), recursive=True) if not Path(name).is_dir()]
    if not names:
        raise UserError(f"{pattern}: no file matches")
    matches = [_wildcard_pattern(str(pattern)).fullmatch(name) for name in names]
    groups = [match.groups() if match else (name,) for match, name in zip(matches, names, strict=True)]
    varying = [place for place in range(len(groups[0])) if len({group[place] for group in groups}) > 1]
    ids = ["/".join(group[place] for place in varying) or group[-1] for group in groups]
    order = sorted(range(len(names)), key=lambda number: natural_key(ids[number]))
    if len(set(ids)) < len(ids):
        raise UserError(f"{pattern}: matches files that differ in nothing that it names")
    return [storage.require_file(Path(names[number])) for number in order], np.array(
        [_plain_id(ids[number]) for number in order]
    )


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """By which sim_2 comes before sim_10."""
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces if piece]


def _plain_id(name: str) -> str:
    """``7`` of ``007``, as the ids of catalogs are whole numbers where they can be."""
    return str(int(name)) if name.isdigit() else name


def _wildcard_pattern(pattern: str) -> re.Pattern[str]:
    pieces = WILDCARDS.split(pattern)
    groups = [f"({'.*' if '**' in piece else '[^/]*'})" for piece in pieces[1::2]]
    literals = [re.escape(piece) for piece in pieces[::2]]
    return re.compile("".join(literal + group for literal, group in zip(literals, [*groups, ""], strict=True)))


def _default_roles(table: TextTable) -> dict[str, list[str]]:
    """One column is data; of two the first, if it rises or falls all the way, is the coordinate."""
    rows, count = table.values.shape
    if count == 1:
        return {"data": ["0"]}
    steps = np.diff(table.values[:, 0])
    if count == 2 and rows > 1 and ((steps > 0).all() or (steps < 0).all()):
        return {COORDINATE: ["0"], "data": ["1"]}
    names = f" ({join_first(table.names, 20)})" if table.names else ""
    raise UserError(
        f"{table.path}: has {rows} lines of {count} columns{names}; `columns=coordinate=0,data=1` says which is the "
        "coordinate and which the data (`columns=data=0:` where there is no coordinate)"
    )


def _common_coordinate(tables: Sequence[TextTable], columns: Sequence[int]) -> np.ndarray:
    """(K,), the same in all files."""
    if len(columns) != 1:
        raise UserError(f"expected one column as coordinate, found {len(columns)}", "columns")
    coordinate: np.ndarray = tables[0].values[:, columns[0]]
    for table in tables:
        if not np.allclose(table.values[:, columns[0]], coordinate, rtol=COORDINATE_TOLERANCE, atol=0):
            raise UserError(
                f"{table.path}: column {columns[0]} differs from that of {tables[0].path}; the features are not the "
                "same (`columns` without coordinate reads them all the same)"
            )
    return coordinate


IMPORTER = Importer("one file a simulation, 'Pk/*/Pk.txt'", _recognises, _read)
