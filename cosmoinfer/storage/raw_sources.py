"""Where the values of a dataset lie in other files: HDF5 reads what is missing there as zeros, without an error.

A dataset of a stranger reads other files on request only. Nor does it take more memory than files of that size fill.
"""

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage.digests import digest_of
from cosmoinfer.storage.links import find_group, link_problem, linked_paths
from cosmoinfer.storage.opening import NO_REGULAR_FILE, open_file

MAX_EXPANSION = 1000  # bytes of a dataset for each of the files that hold it: no compression of HDF5 does better
MAX_NESTED = 2  # virtual datasets of which one is the source of the other
BLOCK_NUMBER = re.compile(r"%\d*b")  # in the name of a source: all files that exist, by number


def holding_files(path: Path, dataset: h5py.Dataset, follow_links: bool = False, depth: int = MAX_NESTED) -> set[Path]:
    """The files that hold values of a dataset: its own, at ``path``, and others that are there.

    To be asked first: HDF5 opens sources to tell even the shape of some virtual datasets.

    Raises UserError, without the path and the name, for a dataset that must not be opened for the files that it reads.
    """
    names = [name for name, _, _ in dataset.external or ()]
    sources = dict.fromkeys((item.file_name, item.dset_name) for item in _virtual_sources(dataset))
    names += [file_name for file_name, _ in sources if not _is_in_file(path, file_name)]
    if names and not follow_links:
        raise UserError(f"has values in {join_first(dict.fromkeys(names))}, which `follow_links` reads")
    if sources and not depth:
        raise UserError("has a virtual dataset as its source, and so on; or it refers to itself")
    files = {path}
    for candidate in (candidate for name in dict.fromkeys(names) for candidate in _candidates(path, name)):
        if not candidate.is_file():
            raise UserError(f"has values in {candidate}, which is {NO_REGULAR_FILE}")
        files.add(candidate)
    for file_name, target in sources:
        for candidate in [path] if _is_in_file(path, file_name) else _candidates(path, file_name):
            with open_file(candidate) as file:
                for name in _target_names(file, target, follow_links):
                    if problem := link_problem(file, name, follow_links):
                        raise UserError(f"has a source, /{name.strip('/')} of {candidate}, that {problem}")
                    node = file.get(name)
                    if isinstance(node, h5py.Dataset):
                        files |= holding_files(Path(node.file.filename), node, follow_links, depth - 1)
    return files


def size_problem(dataset: h5py.Dataset, files: Iterable[Path]) -> str:
    """Why a dataset cannot be what it declares, in words; empty if it can. files: those that hold its values."""
    present = sum(path.stat().st_size for path in files)
    if dataset.nbytes <= MAX_EXPANSION * present:
        return ""
    return f"declares {dataset.nbytes} bytes and lies in {present}; expected at most {MAX_EXPANSION} times as many"


def check_sources(path: Path, dataset: h5py.Dataset) -> None:
    """Raises UserError when a source of a virtual dataset, or a file of its raw values, is missing or too short.

    A source in a file of ours is read and compared with its digest: later reading passes it by.
    """
    if dataset.is_virtual:
        _check_virtual_sources(path, dataset)
    if dataset.external:
        _check_external_files(path, dataset)


def _virtual_sources(dataset: h5py.Dataset) -> list[Any]:
    return list(dataset.virtual_sources()) if dataset.is_virtual else []


def _is_in_file(path: Path, file_name: str) -> bool:
    """Whether the file of a source is that of the virtual dataset itself."""
    return file_name == "." or any(candidate.samefile(path) for candidate in linked_paths(str(path), file_name))


def _candidates(path: Path, file_name: str) -> list[Path]:
    """The files that HDF5 may open for a source of that name."""
    if not BLOCK_NUMBER.search(file_name):
        return linked_paths(str(path), file_name)
    pattern = BLOCK_NUMBER.sub("*", glob.escape(file_name))
    folders = [glob.escape(str(folder)) for folder in (path.parent, path.resolve().parent, Path())]
    return [Path(match) for folder in folders for match in glob.glob(os.path.join(folder, pattern))]


def _target_names(file: h5py.File, target: str, follow_links: bool) -> list[str]:
    """All that HDF5 may open for a source of that name; a group that is a link stands for what it leads to."""
    names = [""]
    for component in target.strip("/").split("/"):
        groups, names = names, []
        pattern = re.compile(".*".join(map(re.escape, re.split(r"%+\d*b?", component))))  # a number, or a per cent sign
        for name in groups:
            group = find_group(file, name or "/", follow_links)
            if group is None or not BLOCK_NUMBER.search(component):
                names.append(f"{name}/{component}" if group is not None else name)
            else:
                names += [f"{name}/{key}" for key in group if pattern.fullmatch(key)]
    return names


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
    if remaining:
        raise UserError(f"{path}: the values of {dataset.name} lie in other files, which lack {remaining} of its bytes")


def _check_virtual_sources(path: Path, dataset: h5py.Dataset) -> None:
    n_mapped, countable = 0, True
    for source in dataset.virtual_sources():
        if unlimited := _is_unlimited(source.vspace):
            countable = False
        else:
            n_mapped += source.vspace.get_select_npoints()
        if BLOCK_NUMBER.search(source.file_name + source.dset_name):  # as many as exist
            continue
        file_path = _source_path(path, dataset, source.file_name)
        with open_file(file_path) as file:
            target = file.get(source.dset_name)
            if not isinstance(target, h5py.Dataset):
                raise UserError(
                    f"{path}: a source of {dataset.name} is missing: {file_path} has no dataset {source.dset_name}"
                )
            if not unlimited and _is_too_short(source, target):
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


def _is_unlimited(space: h5py.h5s.SpaceID) -> bool:
    """Whether a source gives as many rows as there are."""
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return False
    _, _, count, block = space.get_regular_hyperslab()
    return h5py.h5s.UNLIMITED in (*count, *block)


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
