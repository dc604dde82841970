"""HDF5 as it lies on disk: files opened with errors that say what is wrong, datasets found, text decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import UserError


@contextmanager
def open_file(path: Path | str) -> Iterator[h5py.File]:
    try:
        file = h5py.File(require_file(path), "r")
    except BlockingIOError as error:
        raise UserError(f"{path}: another process has it open to write; try again when it is done") from error
    except OSError as error:
        raise UserError(f"{path}: is no HDF5 file, or a truncated one ({error_reason(error)})") from error
    with file:
        try:
            yield file
        except UserError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py on damaged headers; JSON; text
            raise UserError(f"{path}: is damaged ({error_reason(error)})") from error


def require_file(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def find_datasets(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    group.visititems(lambda name, node: found.append((name, node)) if isinstance(node, h5py.Dataset) else None)
    return sorted(found, key=lambda pair: pair[0])


def read_array(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    if dataset.is_virtual:
        check_virtual_sources(path, dataset)
    try:
        array = np.asarray(dataset[()])
    except OSError as error:
        raise UserError(f"{path}: {dataset.name} is damaged ({error_reason(error)})") from error
    return np.vectorize(decode_text, otypes=[str])(array) if array.dtype.kind in "SO" else array


def check_virtual_sources(path: Path, dataset: h5py.Dataset) -> None:
    """Where a part of a virtual dataset is missing, HDF5 reads zeros; here that is an error."""
    mapped, counted = 0, True
    for source in dataset.virtual_sources():
        if "%b" in source.file_name:  # as many files as there are: how many rows there are follows from them
            counted = False
            continue
        mapped += source.vspace.get_select_npoints()
        part = path
        if source.file_name != ".":
            beside = (path.parent / source.file_name, path.resolve().parent / source.file_name)
            part = next((one for one in beside if one.is_file()), beside[0])
            if not part.is_file():
                raise UserError(f"{path}: {dataset.name} wants a part that is missing: {source.file_name}")
        with open_file(part) as file:
            there = file.get(source.dset_name)
            if not isinstance(there, h5py.Dataset):
                raise UserError(f"{path}: {dataset.name} wants a part that is missing: {part} {source.dset_name}")
            if _too_short(source, there):
                raise UserError(f"{path}: {dataset.name} wants more of {part} {source.dset_name} than {there.shape}")
            if there.is_virtual:
                check_virtual_sources(part, there)
    if counted and mapped < dataset.size:
        raise UserError(f"{path}: {dataset.name} has no part for {dataset.size - mapped} of its {dataset.size} numbers")


def _too_short(source: Any, there: h5py.Dataset) -> bool:
    """Whether a dataset has less than a virtual one takes from it."""
    if source.src_space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:  # all of it
        return bool(there.size < source.vspace.get_select_npoints())
    last = source.src_space.get_select_bounds()[1]
    return len(last) != there.ndim or any(end >= size for end, size in zip(last, there.shape, strict=True))


def decode_attribute(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return tuple(decode_text(item) for item in value.ravel())
    return decode_text(value) if isinstance(value, bytes) else value


def decode_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def error_reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
