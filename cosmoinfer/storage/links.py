"""Names in an HDF5 file: a link is a name like any other, unless it leads out of the file.

The file of a stranger opens no other file: external links are followed on request only, and to regular files only.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage.opening import NO_REGULAR_FILE, open_file
from cosmoinfer.storage.probe import check_nesting

MAX_NAMES = 1_000_000  # of a file; more are taken for groups that contain one another
MAX_REPEATED_GROUPS = 1000  # visits of groups that have been visited under another name, and a group more:
REPEATED_PER_GROUP = 10  # of each, so that ten thousand simulations may share one header
MAX_NAMES_IN_ERROR = 10
MAX_LINK_DEPTH = 32  # of links that lead to links
PREFIXES = ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")  # variables with folders of linked files


@dataclass(frozen=True)
class Entry:
    """name: path within the file. dataset: of that name; None where a link leads nowhere, or out of the file.
    problem: why there is none, in words."""

    name: str
    dataset: h5py.Dataset | None
    problem: str = ""


def walk(file: h5py.File, follow_links: bool = False) -> list[Entry]:
    """Every dataset of a file and every link that leads to none, sorted by name.

    follow_links: open other files, to which external links lead. Raises UserError for more than MAX_NAMES names, and
    for groups that stand under too many of them, or within too many others.
    """
    entries: list[Entry] = []
    for entry in _walk(file, "", follow_links, (), _Visits()):
        if len(entries) == MAX_NAMES:
            raise UserError(f"{file.filename}: holds more than {MAX_NAMES} names; do its groups contain one another?")
        entries.append(entry)
    return sorted(entries, key=lambda entry: entry.name)


def find_datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """Every dataset of a file, with its path, sorted by path; none of another file."""
    return [(entry.name, entry.dataset) for entry in walk(file) if entry.dataset is not None]


def find_dataset(path: Path, file: h5py.File, name: str, follow_links: bool = False) -> h5py.Dataset:
    """The dataset of that name. Raises UserError where there is none, and for a link that is not followed."""
    if problem := link_problem(file, name, follow_links):
        raise UserError(f"{path}: /{name.strip('/')} {problem}")
    node = _get(file, name)
    if not isinstance(node, h5py.Dataset):
        names = join_first((f"/{dataset}" for dataset, _ in find_datasets(file)), MAX_NAMES_IN_ERROR) or "nothing"
        raise UserError(f"{path}: has no dataset /{name.strip('/')}; it holds {names}")
    return node


def find_group(file: h5py.File, name: str, follow_links: bool = False) -> h5py.Group | None:
    """The group of that name, if there is one in this file, or in others whose links are followed."""
    node = None if link_problem(file, name, follow_links) else _get(file, name)
    return node if isinstance(node, h5py.Group) else None


def stored_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The dataset of that name, if there is one in this file."""
    node = None if link_problem(file, name) else _get(file, name)
    return node if isinstance(node, h5py.Dataset) else None


@dataclass
class _Visits:
    """The groups that a walk has been to, and how often to one of them again: links may double them at each level."""

    groups: set[tuple[int, int]] = field(default_factory=set)
    repeated: int = 0

    def count(self, group: h5py.Group, identity: tuple[int, int]) -> None:
        """Raises UserError where groups stand under too many names."""
        self.repeated += identity in self.groups
        self.groups.add(identity)
        limit = MAX_REPEATED_GROUPS + REPEATED_PER_GROUP * len(self.groups)
        if self.repeated > limit:
            raise UserError(
                f"{group.file.filename}: its {len(self.groups)} groups stand under more than {limit} other names"
            )


def _walk(
    group: h5py.Group, prefix: str, follow_links: bool, ancestors: tuple[tuple[int, int], ...], visits: _Visits
) -> Iterator[Entry]:
    """ancestors: the groups that contain this one, which may contain them in turn."""
    identity = _identity(group)
    if identity in ancestors:
        return
    check_nesting(group.file, len(ancestors))
    visits.count(group, identity)
    for key in group:
        if isinstance(key, bytes):
            yield Entry(prefix + key.decode("latin-1"), None, "has a name that is no UTF-8 text")
            continue
        name = prefix + key
        problem = link_problem(group, key, follow_links)
        node = None if problem else _get(group, key)
        if isinstance(node, h5py.Group):
            yield from _walk(node, f"{name}/", follow_links, (*ancestors, identity), visits)
        elif isinstance(node, h5py.Dataset):
            yield Entry(name, node)
        elif node is None:
            yield Entry(name, None, problem or _dangling(group.get(key, getlink=True)))


def _identity(group: h5py.Group) -> tuple[int, int]:
    """Of a group, under whatever name."""
    info = h5py.h5o.get_info(group.id)
    return info.fileno, info.addr


def _get(group: h5py.Group, name: str) -> h5py.HLObject | None:
    """None where nothing has that name, or its link leads nowhere."""
    try:
        return group[name]
    except (KeyError, OSError):  # OSError: the other file is not there, or is no HDF5 file
        return None


def link_problem(group: h5py.Group, name: str, follow_links: bool = False, depth: int = MAX_LINK_DEPTH) -> str:
    """Why a name must not be opened, on whatever way it leads out of the file; empty where it may be, or is missing."""
    node = group.file["/"] if name.startswith("/") else group
    keys = [key for key in name.split("/") if key not in ("", ".")]
    for number, key in enumerate(keys):
        if number:
            node = _get(node, keys[number - 1])
        if not isinstance(node, h5py.Group):
            return ""  # there is none
        if _is_object(node, key):
            continue
        link = node.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink) and not follow_links:
            return f"is a link to {link.path} of the file {link.filename}, which `follow_links` reads"
        problem = ""
        if isinstance(link, h5py.ExternalLink | h5py.SoftLink) and depth == 0:
            problem = "is a link to itself"
        elif isinstance(link, h5py.ExternalLink):
            problem = _problem_in_file(node, link, depth - 1)
        elif isinstance(link, h5py.SoftLink):
            problem = link_problem(node, link.path, follow_links, depth - 1)
        else:
            return ""  # there is none
        if problem:
            return problem
    return ""


def _is_object(group: h5py.Group, key: str) -> bool:
    """Whether a name in a group is that of an object itself, not of a link that says where one is."""
    links, encoded = group.id.links, key.encode()
    return bool(links.exists(encoded)) and links.get_info(encoded).type == h5py.h5l.TYPE_HARD


def linked_paths(file_name: str, name: str) -> list[Path]:
    """Where HDF5 looks for a file that another one names, as far as something is there."""
    folders = [Path(), Path(file_name).parent, Path(file_name).resolve().parent]
    folders += [Path(folder) for variable in PREFIXES for folder in os.environ.get(variable, "").split(":") if folder]
    names = dict.fromkeys((name, Path(name).name))  # a path that leads nowhere is looked for by its last name
    return [path for path in dict.fromkeys(folder / text for folder in folders for text in names) if path.exists()]


def _problem_in_file(group: h5py.Group, link: h5py.ExternalLink, depth: int) -> str:
    """Why the file that a link leads to must not be opened, or the name in it."""
    for path in linked_paths(group.file.filename, link.filename):
        if not path.is_file():
            return f"is a link to {link.path} of {path}, which is {NO_REGULAR_FILE}"
        try:
            with open_file(path) as file:
                if problem := link_problem(file, link.path, True, depth):
                    return problem
        except UserError as error:
            return f"is a link to {link.path} of the file {error.message}"
    return ""


def _dangling(link: object) -> str:
    if isinstance(link, h5py.ExternalLink):
        return f"is a link to {link.path} of the file {link.filename}, which is not there"
    target = link.path if isinstance(link, h5py.SoftLink) else "nothing"
    return f"is a link to {target}, which is not there"
