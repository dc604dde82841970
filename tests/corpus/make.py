"""Small catalogs of other tools that are damaged, or not what they seem: ``python -m tests.corpus.make`` wrote them."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

CORPUS = Path(__file__).parent
ROWS = 6


def catalog(path: Path) -> h5py.File:
    """With the oldest superblock, whose structures have no checksums."""
    file = h5py.File(path, "w", libver="earliest")
    theta = np.linspace(0.1, 0.4, 2 * ROWS).reshape(ROWS, 2)
    file["parameters"], file["data"] = theta, np.hstack([theta, theta**2])
    file["parameters"].attrs["names"] = np.array(["Omega_m", "h"], dtype="S8")
    return file


def endless_heap(path: Path) -> None:
    """Text of variable length, on a heap whose first object has no size: the next one is where it is."""
    with catalog(path) as file:
        file.create_dataset("simulation", data=[f"LH_{row}" for row in range(ROWS)], dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 48] = bytes(32)
    path.write_bytes(content)


def declares_too_much(path: Path) -> None:
    """A dataset of 7 TB in a file of some kilobytes."""
    with catalog(path) as file:
        del file["data"]
        file.create_dataset("data", (10**12,), "f8", chunks=(1024,))


def link_to_itself(path: Path) -> None:
    with catalog(path) as file:
        del file["data"]
        file["data"] = h5py.SoftLink("/data")


def group_in_itself(path: Path) -> None:
    with catalog(path) as file:
        del file["data"]
        group = file.create_group("data")
        group["x"], group["again"] = np.ones((ROWS, 4)), group


def values_elsewhere(path: Path) -> None:
    """Raw values of a file of the system."""
    with catalog(path) as file:
        del file["data"]
        file.create_dataset("data", (ROWS, 4), "u1", external=[("/etc/passwd", 0, 4 * ROWS)])


def references(path: Path) -> None:
    with catalog(path) as file:
        reference = file["parameters"].ref
        del file["data"]
        file.create_dataset("data", (ROWS, 4), h5py.ref_dtype)[...] = np.full((ROWS, 4), reference, dtype=object)


def opaque_ids(path: Path) -> None:
    with catalog(path) as file:
        file["simulation"] = np.array([b"ab"] * ROWS, dtype="V2")


def names_of_nothing(path: Path) -> None:
    with catalog(path) as file:
        file["parameters"].attrs["names"] = h5py.Empty("S4")
        file["parameters"].attrs["unit"] = file["parameters"].ref


def damaged_tree(path: Path) -> None:
    """The tree of the root's names has its signature, and else ones."""
    with catalog(path):
        pass
    content = bytearray(path.read_bytes())
    tree = content.index(b"TREE")
    content[tree + 4 : tree + 40] = b"\xff" * 36
    path.write_bytes(content)


STRANGERS: tuple[Callable[[Path], None], ...] = (
    endless_heap,
    declares_too_much,
    link_to_itself,
    group_in_itself,
    values_elsewhere,
    references,
    opaque_ids,
    names_of_nothing,
    damaged_tree,
)

if __name__ == "__main__":
    for make in STRANGERS:
        make(CORPUS / f"{make.__name__.replace('_', '-')}.h5")
