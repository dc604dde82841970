"""Whether a file that this tool wrote still holds what was written: SHA-256 of everything in it that has a meaning.

The dataset TABLE has the type and shape of every other one, a digest of its attributes and one of each block of its
rows; an attribute of the root, DIGEST, is of the table. So a part of a large file is checked as it is read.
"""

import hashlib
import json
import posixpath
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from cosmoinfer.errors import DamageError
from cosmoinfer.storage.attributes import (
    Attributes,
    decode_attribute,
    decode_text,
    encode_text,
    read_attributes,
    text_attribute,
)
from cosmoinfer.storage.formats import CREATOR, FORMATS, check_format
from cosmoinfer.storage.links import stored_dataset, walk
from cosmoinfer.storage.plain_files import parse_object

DIGEST, TABLE = "digest", "digests"
OWN_ATTRIBUTES = ("kind", "format", CREATOR, DIGEST)  # of the root of a file of this tool
BLOCK_BYTES = 1 << 20  # of the rows of a block, about
MAX_THREADS = 4  # that hash blocks of what was read
PENDING_BYTES = 1 << 24  # of blocks that are hashed while the next rows are read and written, about
BLOCKS_AT_ONCE = 4 * MAX_THREADS  # that are read to be compared
CHANGED = "is damaged, or was changed after it was written"
FOR_CATALOGS = f"; without the attribute {DIGEST} of its root it is read as another tool's"


@dataclass(frozen=True)
class DatasetDigest:
    """Of one dataset.

    dtype, shape: as the file has them. attributes: digest of these. rows_per_block: all but the last block have so
    many. blocks: digests of these, in order.
    """

    dtype: str
    shape: tuple[int, ...]
    attributes: str
    rows_per_block: int
    blocks: tuple[str, ...]

    @classmethod
    def of_slabs(
        cls, dtype: np.dtype, shape: tuple[int, ...], slabs: Iterable[np.ndarray], attributes: Attributes
    ) -> "DatasetDigest":
        """Of values that arrive part by part, in the order of the array, each of which stays as it arrived."""
        row_bytes = max(1, int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize)
        rows = max(1, BLOCK_BYTES // row_bytes)
        blocks = tuple(_digest_blocks(slabs, rows * row_bytes))
        return cls(dtype.str, tuple(shape), _digest_of_attributes(attributes), rows, blocks)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "DatasetDigest":
        """From what ``asdict`` gives. Raises TypeError and KeyError where it is something else."""
        rows = document["rows_per_block"]
        if not isinstance(rows, int) or rows < 1:
            raise TypeError("rows_per_block")
        shape, blocks = tuple(document["shape"]), tuple(document["blocks"])
        return cls(document["dtype"], shape, document["attributes"], rows, blocks)

    def is_of(self, dataset: h5py.Dataset) -> bool:
        """Whether type, shape and attributes are those that were written, and the values in the file, uncompressed.

        The values are not looked at.
        """
        if not is_stored_plainly(dataset):
            return False
        try:
            attributes = {key: decode_attribute(value) for key, value in dataset.attrs.items()}
            dtype, shape = dataset.dtype.str, tuple(dataset.shape)
        except TypeError:  # of a type that numpy has not, or without values
            return False
        return (dtype, shape, _digest_of_attributes(attributes)) == (self.dtype, self.shape, self.attributes)

    def matches_blocks(self, rows: np.ndarray, first: int) -> bool:
        """Whether whole blocks of rows, from block number ``first`` on, are those that were written; text as bytes."""
        view = _bytes(rows)
        size = max(1, view.size // max(1, len(rows) if self.shape else 1)) * self.rows_per_block
        blocks = [view[start : start + size] for start in range(0, len(view), size)]
        expected = self.blocks[first : first + len(blocks)]
        if len(blocks) < 2:
            return tuple(map(_sha256, blocks)) == expected
        with ThreadPoolExecutor(MAX_THREADS) as threads:  # which hashing does not keep from one another
            return tuple(threads.map(_sha256, blocks)) == expected

    def matches_stored(self, dataset: h5py.Dataset, blocks: range) -> bool:
        """Whether consecutive blocks in a file are those that were written; they are read for it, a few at once."""
        if not self.shape:
            return self.matches_blocks(dataset[()], 0)
        size = self.rows_per_block
        parts = (blocks[start : start + BLOCKS_AT_ONCE] for start in range(0, len(blocks), BLOCKS_AT_ONCE))
        return all(self.matches_blocks(dataset[part.start * size : part.stop * size], part.start) for part in parts)

    def require_stored(self, dataset: h5py.Dataset) -> None:
        """Raises DamageError where values in a file are not those that were written; all are read for it."""
        if not self.matches_stored(dataset, range(len(self.blocks))):
            raise changed_values(dataset)


@dataclass(frozen=True)
class DigestTable:
    """Of a file. kind, format: attributes of its root. attributes: digest of all beside these. datasets: by path."""

    kind: str
    format: int
    attributes: str
    datasets: dict[str, DatasetDigest]

    @classmethod
    def of_file(
        cls, kind: str, format_number: int, attributes: Attributes, datasets: dict[str, DatasetDigest]
    ) -> "DigestTable":
        """attributes: of the root, beside kind and format."""
        return cls(kind, format_number, _digest_of_attributes(attributes), datasets)

    def write_to(self, file: h5py.File) -> None:
        """Into an open file."""
        text = json.dumps(asdict(self), sort_keys=True)
        file.create_dataset(TABLE, data=encode_text(text))
        file.attrs[DIGEST] = encode_text(hashlib.sha256(text.encode()).hexdigest())

    @classmethod
    def read_from(cls, file: h5py.File) -> "DigestTable | None":
        """That of an open file; None where it has none, as where another tool calls an attribute ``digest``.

        Raises DamageError where it is not of the attributes of the root and the names of the datasets that are there,
        and UserError where the file is of another format, whose table may be another.
        """
        if DIGEST not in file.attrs:
            return None
        attributes, unreadable = read_attributes(file)
        kind, number, stored = str(attributes.get("kind", "")), attributes.get("format"), stored_dataset(file, TABLE)
        if kind not in FORMATS and TABLE not in file:
            return None
        if kind in FORMATS and isinstance(number, np.integer):
            check_format(file.filename, kind, int(number))
        if stored is None or not is_stored_plainly(stored) or stored.shape != ():
            raise _changed(file, kind, f"/{TABLE}")
        try:
            table = _parse(decode_text(stored[()]), attributes.get(DIGEST, ""))
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            raise _changed(file, kind, f"/{TABLE}") from error
        further = {key: value for key, value in attributes.items() if key not in ("kind", "format", DIGEST)}
        if unreadable or (kind, number, _digest_of_attributes(further)) != (table.kind, table.format, table.attributes):
            raise _changed(file, kind, "an attribute of the root")
        entries = [entry for entry in walk(file) if entry.name != TABLE]
        differing = table.datasets.keys() ^ {entry.name for entry in entries}
        differing |= {entry.name for entry in entries if entry.dataset is None}
        if differing:
            raise _changed(file, kind, f"/{min(differing)}")
        return table

    def of_dataset(self, dataset: h5py.Dataset) -> DatasetDigest:
        """Raises DamageError where type, shape or attributes are not those that were written."""
        digest = self.datasets.get(posixpath.normpath(dataset.name).strip("/"))
        if digest is None or not digest.is_of(dataset):
            raise _changed(dataset.file, self.kind, dataset.name)
        return digest


def is_stored_plainly(dataset: h5py.Dataset) -> bool:
    """Whether all values lie in the file itself, as this tool writes them: as many bytes as they take."""
    if dataset.is_virtual or dataset.external:
        return False
    try:
        return bool(dataset.id.get_storage_size() == dataset.nbytes)
    except TypeError:  # of a type that numpy has not, or without values
        return False


def digest_of(dataset: h5py.Dataset) -> DatasetDigest | None:
    """None in a file of another tool. Raises DamageError where it is not of the dataset, or the file was changed."""
    table = DigestTable.read_from(dataset.file)
    return None if table is None else table.of_dataset(dataset)


def changed_values(dataset: h5py.Dataset) -> DamageError:
    """That values of a dataset are not those that were written."""
    return _changed(dataset.file, text_attribute(dataset.file, "kind"), dataset.name)


def _changed(file: h5py.File, kind: str, what: str) -> DamageError:
    return DamageError(f"{file.filename}: {what} {CHANGED}{FOR_CATALOGS if kind == 'catalog' else ''}")


@lru_cache(maxsize=8)
def _parse(text: str, digest: str) -> DigestTable:
    """Raises TypeError, AttributeError, KeyError or ValueError where it is no table of this digest."""
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError("another digest")
    content = parse_object(text)
    datasets = {str(name): DatasetDigest.from_json(item) for name, item in content.pop("datasets").items()}
    return DigestTable(**content, datasets=datasets)


def _bytes(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _sha256(*pieces: np.ndarray) -> str:
    """Of bytes that follow one another."""
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece.data)
    return sha.hexdigest()


def _digest_blocks(slabs: Iterable[np.ndarray], size: int) -> Iterator[str]:
    """Of each ``size`` bytes of arrays that follow one another, and that nobody changes: while the next ones come."""
    pieces, room = [], size
    pending: deque[Future[str]] = deque()
    with ThreadPoolExecutor(MAX_THREADS) as threads:
        for slab in slabs:
            remaining = _bytes(slab)
            while len(remaining):
                block, remaining = remaining[:room], remaining[room:]
                pieces.append(block)
                room -= len(block)
                if room == 0:
                    pending.append(threads.submit(_sha256, *pieces))
                    pieces, room = [], size
            while len(pending) > max(1, PENDING_BYTES // size):
                yield pending.popleft().result()
        yield from (digest.result() for digest in pending)
    if pieces:
        yield _sha256(*pieces)


def _digest_of_attributes(attributes: Attributes) -> str:
    """Of attributes as Python has them, which HDF5 gives back alike."""
    entries = sorted((name, _canonical(value)) for name, value in attributes.items() if value is not None)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def _canonical(value: Any) -> list[Any]:
    array = np.asarray(value)
    if array.dtype.kind in "UO":
        return ["text", list(array.shape), [str(text) for text in array.ravel().tolist()]]
    return [array.dtype.str, list(array.shape), array.tobytes().hex()]
