"""Which simulations train, validate and test. By simulation, by hash: adding rows never moves another simulation."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import seeding, storage
from cosmoinfer.errors import UserError, listed

PARTITIONS = ("train", "validation", "test")
DEFAULT_FRACTIONS = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Split:
    """simulation: (G,) ids as text; part: (G,) uint8, 0 train, 1 validation, 2 test."""

    simulation: np.ndarray
    partition: np.ndarray

    def select_rows(self, simulation: np.ndarray, partition: str) -> np.ndarray:
        """The rows (by position in ``simulation``, one id a row) that belong to a part."""
        return np.flatnonzero(self.partition_of(simulation) == PARTITIONS.index(partition))

    def partition_of(self, simulation: np.ndarray) -> np.ndarray:
        """The part of each row; 255 for a simulation that this split does not know."""
        known = dict(zip(self.simulation.tolist(), self.partition.tolist(), strict=True))
        return np.array([known.get(one, 255) for one in simulation.tolist()], dtype=np.uint8)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Simulations in train, validation and test."""
        train, validation, test = np.bincount(self.partition, minlength=3)[:3]
        return int(train), int(validation), int(test)

    def require_complete(self) -> "Split":
        """Itself, once every part has a simulation."""
        for name, size in zip(PARTITIONS, self.sizes, strict=True):
            if size == 0:
                raise UserError(
                    f"the {name} part of the split is empty ({len(self.partition)} simulations); "
                    "change --fractions or --split-seed, or add simulations"
                )
        return self


def by_hash(simulation: np.ndarray, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0) -> Split:
    """u = BLAKE2b(seed:id) / 2^64; train below f1, validation below f1 + f2, else test."""
    first, second, _ = check_fractions(fractions)
    ids = unique_simulations(simulation)
    u = np.array([_uniform(one, seed) for one in ids.tolist()])
    part = np.where(u < first, 0, np.where(u < first + second, 1, 2)).astype(np.uint8)
    return Split(ids, part)


def by_labels(simulation: np.ndarray, labels: np.ndarray) -> Split:
    """From one label a row (0, 1, 2), as a catalog's own /split; a simulation must not stand in two parts."""
    part_of: dict[str, int] = {}
    for one, label in zip(simulation.tolist(), np.asarray(labels).tolist(), strict=True):
        if label not in (0, 1, 2):
            raise UserError(f"/split: expected 0 (train), 1 (validation) or 2 (test), found {label}")
        if part_of.setdefault(one, label) != label:
            raise UserError(f"/split: simulation {one} stands in two parts; rows of one simulation never part")
    return Split(np.array(list(part_of)), np.array(list(part_of.values()), dtype=np.uint8))


def from_file(
    path: Path, simulation: np.ndarray, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0
) -> Split:
    """A split file of ours, or a list of ids (text, JSON, or an array in HDF5 or .npy) that are the test simulations.

    With a list, the other simulations go to train and validation by hash, in their shares of the fractions.
    """
    ids = unique_simulations(simulation)
    if path.suffix in (".h5", ".hdf5") and storage.file_kind(path) == "split":
        found = read(path)
        missing = sorted(set(ids.tolist()) - set(found.simulation.tolist()))
        if missing:
            raise UserError(f"{path}: does not say where simulation {listed(missing)} belongs")
        keep = np.isin(found.simulation, ids)
        return Split(found.simulation[keep], found.partition[keep])
    test = _ids(path)
    strange = sorted(set(test) - set(ids.tolist()))
    if strange:
        raise UserError(f"{path}: test simulation {listed(strange)} is not in the catalog")
    first, second, _ = check_fractions(fractions)
    if first + second == 0:
        raise UserError("--fractions: with a list of test simulations, train and validation cannot both be 0")
    others = by_hash(ids, (first / (first + second), second / (first + second), 0.0), seed)
    return Split(ids, np.where(np.isin(ids, test), 2, others.partition).astype(np.uint8))


def write(path: Path, split: Split, meta: dict[str, Any], force: bool = False) -> None:
    storage.write(
        path, storage.FileContents("split", meta, {"simulation": split.simulation, "part": split.partition}), force
    )


def read(path: Path | str) -> Split:
    arrays = storage.read(path, "split").arrays
    return Split(arrays["simulation"].astype(str), arrays["part"])


def nested_subset(parts: Split, size: int) -> Split:
    """So many training simulations, validation in proportion, and all of the test; the rest belongs to no part.

    Picked by a hash of their ids: a smaller subset lies inside a larger one, whatever the order of the rows.
    """
    train, validation, _ = parts.sizes
    counts = {0: size, 1: max(2, round(validation * size / train))}
    keep = parts.partition == 2
    for part, count in counts.items():
        where = np.flatnonzero(parts.partition == part)
        order = np.argsort([seeding.derive_seed(0, "nested", one) for one in parts.simulation[where].tolist()])
        keep[where[order[:count]]] = True
    return Split(parts.simulation[keep], parts.partition[keep])


def fingerprint(split: Split) -> str:
    """SHA-256 over ids and parts."""
    text = "\n".join(
        f"{one} {part}" for one, part in zip(split.simulation.tolist(), split.partition.tolist(), strict=True)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def unique_simulations(simulation: np.ndarray) -> np.ndarray:
    """Each simulation once, in the order in which it first appears."""
    return np.array(list(dict.fromkeys(simulation.tolist())))


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    first, second, third = fractions
    if min(fractions) < 0 or not abs(sum(fractions) - 1) <= 1e-6:
        raise UserError(f"--fractions: expected three shares that add to 1, found {first:g} {second:g} {third:g}")
    return first, second, third


def _uniform(one: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{one}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _ids(path: Path) -> list[str]:
    if path.suffix in (".h5", ".hdf5"):
        arrays = list(storage.describe_datasets(path))
        if len(arrays) != 1:
            raise UserError(f"{path}: expected a split file or one dataset of test ids, found {listed(arrays)}")
        return [str(one) for one in storage.load(path, arrays[0]).ravel().tolist()]
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            return [str(one) for one in np.load(path, allow_pickle=False).ravel().tolist()]
        text = path.read_text()
    except (OSError, EOFError, ValueError) as error:  # a damaged or pickled .npy; bytes that are no text
        raise UserError(f"{path}: is no list of test simulations ({error})") from error
    if path.suffix == ".json":
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}: is no JSON ({error})") from error
        if not isinstance(found, list):
            raise UserError(f"{path}: expected a JSON list of test simulations, found {type(found).__name__}")
        return [str(one) for one in found]
    return text.replace(",", " ").split()
