"""Partitions of simulations into train, validation and test, by a hash of the id: adding rows moves no simulation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import seeding, storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.storage import Dataset, Schema

PARTITIONS = ("train", "validation", "test")
DEFAULT_FRACTIONS = (0.7, 0.15, 0.15)


SCHEMA = Schema(
    "split",
    "`cosmoinfer split`",
    {
        "simulation": Dataset("(G,)", "ids of the simulations", type="text", required=True),
        "partition": Dataset("(G,)", "0 train, 1 validation, 2 test", type="whole", required=True),
    },
)


@dataclass(frozen=True)
class Split:
    """The partition of each simulation.

    simulation: (G,) ids as text.
    partition: (G,) uint8, 0 train, 1 validation, 2 test.
    """

    simulation: np.ndarray
    partition: np.ndarray

    def __post_init__(self) -> None:
        unknown = np.setdiff1d(self.partition, range(len(PARTITIONS)))
        if len(unknown):
            numbers = join_first(unknown.tolist())
            raise UserError(f"partition: expected 0 (train), 1 (validation) or 2 (test), found {numbers}")

    def select_rows(self, simulation: np.ndarray, partition: str) -> np.ndarray:
        """Positions in ``simulation``, (N,) one id a row, of the rows that belong to a partition."""
        return np.flatnonzero(self.partition_of(simulation) == PARTITIONS.index(partition))

    def partition_of(self, simulation: np.ndarray) -> np.ndarray:
        """(N,) the partition of each row with these ids (N,); 255 for a simulation that is not in this split."""
        number_of = dict(zip(self.simulation.tolist(), self.partition.tolist(), strict=True))
        return np.array([number_of.get(name, 255) for name in simulation.tolist()], dtype=np.uint8)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Simulations in train, validation and test."""
        train, validation, test = np.bincount(self.partition, minlength=3)[:3]
        return int(train), int(validation), int(test)

    def require_complete(self) -> "Split":
        """Itself. Raises UserError when a partition has no simulation."""
        for name, size in zip(PARTITIONS, self.sizes, strict=True):
            if size == 0:
                raise UserError(
                    f"the {name} partition is empty ({len(self.partition)} simulations); "
                    "change `fractions` or `split_seed`, or add simulations"
                )
        return self


def by_hash(simulation: np.ndarray, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0) -> Split:
    """Partition ids, (N,), by u = BLAKE2b(seed:id) / 2^64: train if u < f1, validation if u < f1 + f2, else test.

    Raises UserError for fractions that are negative or do not add to 1.
    """
    first, second, _ = check_fractions(fractions)
    ids = unique_simulations(simulation)
    u = np.array([_uniform_of_id(name, seed) for name in ids.tolist()])
    partition = np.where(u < first, 0, np.where(u < first + second, 1, 2)).astype(np.uint8)
    return Split(ids, partition)


def by_labels(simulation: np.ndarray, labels: np.ndarray) -> Split:
    """Partition ids, (N,), by labels, (N,) of 0, 1 and 2, as in a catalog's own /split.

    Raises UserError for other labels, and for a simulation with two of them.
    """
    label_of: dict[str, int] = {}
    for name, label in zip(simulation.tolist(), np.asarray(labels).tolist(), strict=True):
        if label not in (0, 1, 2):
            raise UserError(f"/split: expected 0 (train), 1 (validation) or 2 (test), found {label}")
        if label_of.setdefault(name, label) != label:
            raise UserError(f"/split: simulation {name} is in two partitions; rows of a simulation must stay together")
    return Split(np.array(list(label_of)), np.array(list(label_of.values()), dtype=np.uint8))


def from_file(
    path: Path, simulation: np.ndarray, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0
) -> Split:
    """Partition ids, (N,), by a split file or a list of the test simulations (text, JSON, or an array in HDF5, .npy).

    With a list, the remaining simulations are partitioned by hash into train and validation, in the ratio of their
    fractions.

    Raises UserError when the file is not understood, or does not agree with the ids.
    """
    ids = unique_simulations(simulation)
    if path.suffix in (".h5", ".hdf5") and storage.file_kind(path) == "split":
        split = read(path)
        missing = sorted(set(ids.tolist()) - set(split.simulation.tolist()))
        if missing:
            raise UserError(f"{path}: has no partition for simulation {join_first(missing)}")
        keep = np.isin(split.simulation, ids)
        return Split(split.simulation[keep], split.partition[keep])
    test = _read_ids(path)
    unknown = sorted(set(test) - set(ids.tolist()))
    if unknown:
        raise UserError(f"{path}: test simulation {join_first(unknown)} is not in the catalog")
    first, second, _ = check_fractions(fractions)
    if first + second == 0:
        raise UserError("with a list of test simulations, train and validation cannot both be 0", "fractions")
    without_test = by_hash(ids, (first / (first + second), second / (first + second), 0.0), seed)
    return Split(ids, np.where(np.isin(ids, test), 2, without_test.partition).astype(np.uint8))


def write(path: Path, split: Split, meta: dict[str, Any], force: bool = False) -> None:
    """A split file. Raises UserError when it exists or cannot be written."""
    arrays = {"simulation": split.simulation, "partition": split.partition}
    storage.write(path, storage.FileContents("split", meta, arrays), force)


def read(path: Path | str) -> Split:
    """From a split file. Raises UserError for any other file."""
    arrays = storage.read(path, SCHEMA).arrays
    with storage.interpreted(path, "a split"):
        return Split(arrays["simulation"].astype(str), arrays["partition"])


def nested_subset(split: Split, size: int) -> Split:
    """``size`` training simulations, validation in proportion, and all of the test; others are in no partition.

    Chosen by a hash of their ids: a smaller subset lies inside a larger one, whatever the order of the rows.
    """
    train, validation, _ = split.sizes
    counts = {0: size, 1: max(2, round(validation * size / train))}
    keep = split.partition == 2
    for number, count in counts.items():
        members = np.flatnonzero(split.partition == number)
        keys = [seeding.derive_seed(0, "nested", name) for name in split.simulation[members].tolist()]
        keep[members[np.argsort(keys)[:count]]] = True
    return Split(split.simulation[keep], split.partition[keep])


def fingerprint(split: Split) -> str:
    """SHA-256 over ids and partitions."""
    pairs = zip(split.simulation.tolist(), split.partition.tolist(), strict=True)
    return hashlib.sha256("\n".join(f"{name} {number}" for name, number in pairs).encode()).hexdigest()


def unique_simulations(simulation: np.ndarray) -> np.ndarray:
    """The different ids, (G,), among those of rows, (N,), in the order in which they first appear."""
    return np.array(list(dict.fromkeys(simulation.tolist())))


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """The three fractions. Raises UserError when one is negative or they do not add to 1."""
    first, second, third = fractions
    if min(fractions) < 0 or not abs(sum(fractions) - 1) <= 1e-6:
        raise UserError(f"expected three fractions that add to 1, found {first:g} {second:g} {third:g}", "fractions")
    return first, second, third


def _uniform_of_id(name: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _read_ids(path: Path) -> list[str]:
    if path.suffix in (".h5", ".hdf5"):
        names = list(storage.describe_datasets(path))
        if len(names) != 1:
            found = storage.describe_file(path) if storage.file_kind(path) else join_first(names)
            raise UserError(f"{path}: expected a split file or one dataset of test ids, found {found}")
        return [str(name) for name in storage.load(path, names[0]).ravel().tolist()]
    if path.suffix == ".npy":
        return [str(name) for name in storage.load_npy(path).ravel().tolist()]
    if path.suffix == ".json":
        names = storage.load_json(path)
        if not isinstance(names, list):
            raise UserError(f"{path}: expected a JSON list of test simulations, found {type(names).__name__}")
        return [str(name) for name in names]
    return storage.load_text(path).replace(",", " ").split()
