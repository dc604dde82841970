"""HDF5 as it lies on disk: files opened, datasets found, text decoded, virtual datasets checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import UserError

Attributes = dict[str, Any]  # of a file or a dataset: what HDF5 holds, with text as str


@contextmanager
def open_file(path: Path | str) -> Iterator[h5py.File]:
    """A file to read. Raises UserError for one that is missing, being written, truncated or damaged."""
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
    """The path. Raises UserError when no file has it."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return path


def find_datasets(group: h5py.Group) -> list[tuple[str, h5py.Dataset]]:
    """Every dataset below a group, with its path, sorted by path."""
    datasets: list[tuple[str, h5py.Dataset]] = []
    group.visititems(lambda name, node: datasets.append((name, node)) if isinstance(node, h5py.Dataset) else None)
    return sorted(datasets, key=lambda pair: pair[0])


def read_array(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """All values, text as str. Raises UserError for damaged chunks and incomplete virtual datasets."""
    if dataset.is_virtual:
        check_virtual_sources(path, dataset)
    try:
        array = np.asarray(dataset[()])
    except OSError as error:
        raise UserError(f"{path}: {dataset.name} is damaged ({error_reason(error)})") from error
    return np.vectorize(decode_text, otypes=[str])(array) if array.dtype.kind in "SO" else array


def check_virtual_sources(path: Path, dataset: h5py.Dataset) -> None:
    """Raises UserError when a source of a virtual dataset is missing or too short, which HDF5 would read as zeros."""
    n_mapped, countable = 0, True
    for source in dataset.virtual_sources():
        if "%b" in source.file_name:  # as many files as exist: they determine the number of rows
            countable = False
            continue
        n_mapped += source.vspace.get_select_npoints()
        file_path = _source_path(path, dataset, source.file_name)
        with open_file(file_path) as file:
            target = file.get(source.dset_name)
            if not isinstance(target, h5py.Dataset):
                raise UserError(
                    f"{path}: a source of {dataset.name} is missing: {file_path} has no dataset {source.dset_name}"
                )
            if _is_too_short(source, target):
                raise UserError(
                    f"{path}: {dataset.name} refers to more than {source.dset_name} of {file_path} holds, which has "
                    f"shape {target.shape}"
                )
            if target.is_virtual:
                check_virtual_sources(file_path, target)
    if countable and n_mapped < dataset.size:
        missing = dataset.size - n_mapped
        raise UserError(f"{path}: {dataset.name} has no source for {missing} of its {dataset.size} values")


def _source_path(path: Path, dataset: h5py.Dataset, file_name: str) -> Path:
    """Where the file of a source lies, as HDF5 looks for it: beside the virtual file, or beside what it links to."""
    if file_name == ".":
        return path
    candidates = (path.parent / file_name, path.resolve().parent / file_name)
    existing = next((candidate for candidate in candidates if candidate.is_file()), None)
    if existing is None:
        raise UserError(f"{path}: a source of {dataset.name} is missing: {file_name}")
    return existing


def _is_too_short(source: Any, target: h5py.Dataset) -> bool:
    """Whether a dataset has less than a virtual one takes from it."""
    if source.src_space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:  # all of it
        return bool(target.size < source.vspace.get_select_npoints())
    last = source.src_space.get_select_bounds()[1]
    return len(last) != target.ndim or any(end >= size for end, size in zip(last, target.shape, strict=True))


def decode_attribute(value: Any) -> Any:
    """An attribute with its text as str, or a tuple of str."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return tuple(decode_text(item) for item in value.ravel())
    return decode_text(value) if isinstance(value, bytes) else value


def decode_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def error_reason(error: BaseException) -> str:
    """What the system says of an error, in one line."""
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
