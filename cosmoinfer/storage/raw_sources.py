"""Where the values of a dataset lie in other files: HDF5 reads what is missing there as zeros, without an error."""

import os
from pathlib import Path
from typing import Any

import h5py

from cosmoinfer.errors import UserError
from cosmoinfer.storage.digests import digest_of
from cosmoinfer.storage.opening import open_file


def check_sources(path: Path, dataset: h5py.Dataset) -> None:
    """Raises UserError when a source of a virtual dataset, or a file of its raw values, is missing or too short.

    A source in a file of ours is read and compared with its digest: later reading passes it by.
    """
    if dataset.is_virtual:
        _check_virtual_sources(path, dataset)
    if dataset.external:
        _check_external_files(path, dataset)


def _check_external_files(path: Path, dataset: h5py.Dataset) -> None:
    """Files of raw bytes, one after the other; HDF5 looks for them from the folder of the process."""
    remaining = dataset.nbytes
    for name, offset, size in dataset.external:
        file_path = Path(name)
        if not file_path.is_file():
            raise UserError(
                f"{path}: the values of {dataset.name} lie in {name}, which is not there (as seen from {os.getcwd()})"
            )
        expected = remaining if size == h5py.h5f.UNLIMITED else min(size, remaining)
        existing = max(0, file_path.stat().st_size - offset)
        if existing < expected:
            raise UserError(
                f"{path}: the values of {dataset.name} lie in {name}, which is too short: expected {expected} bytes "
                f"from byte {offset} on, found {existing}"
            )
        remaining -= expected


def _check_virtual_sources(path: Path, dataset: h5py.Dataset) -> None:
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
            check_sources(file_path, target)
            if (digest := digest_of(target)) is not None:
                digest.require_stored(target)
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
