"""Whether the HDF5 library survives a file of another tool, tried out in a process of its own.

The structures of files with a superblock below version 2 have no checksums. Among them is the heap on which values of
variable length lie: a wrong number in it makes the library read on for ever, or beyond its memory, and nothing in the
process that reads can end that.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.errors import UserError

CHECKED_SUPERBLOCK = 2  # the version from which on structures carry checksums
MAX_VALUES = 100_000  # of a dataset of variable length that is read with the attributes of its file
MAX_NESTED_GROUPS = 100
MAX_CPU_SECONDS = 5  # of the process: many times what so many values take; no clock, which a busy machine would fail
VALUES_PER_SECOND = 50_000  # of variable length, on a slow machine
PROGRAM = """
import sys
path, name, max_values, seconds = sys.argv[1:5]
sys.path += sys.argv[5:]
import resource, time
import h5py
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + int(seconds),) * 2)
def attempt(read):
    try:
        return read()
    except Exception:
        return None
def is_here(dataset):  # values of other files are not asked for: their names may be those of pipes
    return not (dataset.is_virtual or dataset.external) and dataset.size <= int(max_values)
def look(key, node):
    for attribute in attempt(lambda: list(node.attrs)) or ():
        attempt(lambda: node.attrs[attribute])
    if attempt(lambda: isinstance(node, h5py.Dataset) and node.dtype.hasobject and is_here(node)):
        attempt(lambda: node[()])
file = attempt(lambda: h5py.File(path)) or attempt(lambda: h5py.File(path, locking=False))
if file and name:
    attempt(lambda: file[name][()])
elif file:
    look("", file)
    attempt(lambda: file.visititems(look))
"""  # an error of its own is one for the reader to tell: only how the process ends is looked at

LIBRARIES = tuple({str(Path(library.__path__[0]).parent) for library in (h5py, np)})  # none of the user's own modules

_survived: dict[tuple[str, ...], bool] = {}


def survives(path: Path, file: h5py.File) -> bool:
    """Whether attributes, and datasets of variable length, of an open file can be read without the process at risk.

    They are read elsewhere where they lie on a heap without checksums, once for each state of the file.

    Raises UserError where that cannot be tried, and for more than MAX_NESTED_GROUPS groups within one another.
    """
    key = _state(path)
    if key not in _survived:
        _survived[key] = _has_checksums(file) or not _holds_variable_length(file) or _try(path, "", MAX_CPU_SECONDS)
    return _survived[key]


def survives_dataset(path: Path, dataset: h5py.Dataset) -> bool:
    """The same of all values of a dataset, which are more than ``survives`` looks at. Raises UserError as it does."""
    if not dataset.dtype.hasobject or dataset.size <= MAX_VALUES or _has_checksums(dataset.file):
        return True
    key = (*_state(path), dataset.name)
    if key not in _survived:
        _survived[key] = _try(path, dataset.name, MAX_CPU_SECONDS + dataset.size // VALUES_PER_SECOND)
    return _survived[key]


def check_nesting(file: h5py.File, groups: int) -> None:
    """groups: that stand within one another. Raises UserError where they are more than MAX_NESTED_GROUPS."""
    if groups > MAX_NESTED_GROUPS:
        raise UserError(f"{file.filename}: more than {MAX_NESTED_GROUPS} groups stand within one another")


def _state(path: Path) -> tuple[str, ...]:
    """Of a file, which another one differs from."""
    status = path.stat()
    return (str(path.absolute()), *map(str, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)))


def _has_checksums(file: h5py.File) -> bool:
    return bool(file.id.get_create_plist().get_version()[0] >= CHECKED_SUPERBLOCK)


def _holds_variable_length(file: h5py.File) -> bool:
    """Whether an attribute or a dataset is of such a type; no values are read for it."""
    return any(map(_is_variable_length, _objects(file)))


def _objects(file: h5py.File) -> Iterator[h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID]:
    """All of a file, each once: ``visititems`` takes a time that grows with the third power of the depth."""
    root = h5py.h5o.open(file.id, b"/")
    yield root
    visited, groups = {h5py.h5o.get_info(root).addr}, [_children(root)]
    while groups:
        check_nesting(file, len(groups) - 1)
        child = next(groups[-1], None)
        if child is None:
            groups.pop()
        elif (address := h5py.h5o.get_info(child).addr) not in visited:
            visited.add(address)
            yield child
            if isinstance(child, h5py.h5g.GroupID):
                groups.append(_children(child))


def _children(group: h5py.h5g.GroupID) -> Iterator[h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID]:
    """Objects in a group, without those behind soft and external links."""
    for name in group:
        if group.links.get_info(name).type == h5py.h5l.TYPE_HARD:
            yield h5py.h5o.open(group, name)


def _is_variable_length(node: h5py.h5g.GroupID | h5py.h5d.DatasetID | h5py.h5t.TypeID) -> bool:
    attributes = [h5py.h5a.open(node, index=number) for number in range(h5py.h5a.get_num_attrs(node))]
    return any(map(_has_objects, [*attributes, *([node] if isinstance(node, h5py.h5d.DatasetID) else [])]))


def _has_objects(node: h5py.h5a.AttrID | h5py.h5d.DatasetID) -> bool:
    try:
        return bool(node.dtype.hasobject)
    except TypeError:  # a type that numpy has not: such values are not read
        return False


def _try(path: Path, name: str, seconds: int) -> bool:
    """Whether a process that reads a dataset, or what ``survives`` reads, ends by itself."""
    program = [sys.executable, "-I", "-S", "-c", PROGRAM]
    arguments = [str(path), name, str(MAX_VALUES), str(seconds), *LIBRARIES]
    try:
        # the program is this interpreter and text of ours, without a shell; path and name are only its arguments
        process = subprocess.run([*program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(
            f"{path}: its text is read in another process first, which cannot be started ({error})"
        ) from error
    if process.returncode > 0:
        reason = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UserError(f"{path}: its text is read in another process first, which failed ({reason})")
    return process.returncode == 0
