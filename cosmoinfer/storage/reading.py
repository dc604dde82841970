"""Files that this tool wrote, read through one door: kind, format and digests are compared with what is expected."""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import h5py
import numpy as np

from cosmoinfer.errors import DamageError, UserError
from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.attributes import decode_attribute, decode_text, read_attributes
from cosmoinfer.storage.contents import FileContents
from cosmoinfer.storage.digests import DIGEST, TABLE, DatasetDigest, DigestTable, is_stored_plainly
from cosmoinfer.storage.formats import CREATOR, FORMATS, REMAKE_COMMANDS, SIGNATURE, check_format
from cosmoinfer.storage.hdf5 import DatasetHandle, read_array
from cosmoinfer.storage.links import find_datasets, stored_dataset
from cosmoinfer.storage.opening import open_file
from cosmoinfer.storage.out_of_core import OnDiskArray
from cosmoinfer.storage.plain_files import JSONObject, parse_object
from cosmoinfer.storage.schema import Schema, interpreted


class JSONDocument(Protocol):
    """What a file holds as JSON."""

    def to_json(self) -> JSONObject: ...


Document = TypeVar("Document", bound=JSONDocument)


@dataclass(frozen=True)
class Head:
    """What the root of a file says that it is. kind: a key of FORMATS; empty for a file of another tool.

    format: its number; None where it is missing. signed: whether it also says that this tool wrote it.
    """

    kind: str
    format: int | None
    signed: bool = False

    @classmethod
    def of_file(cls, file: h5py.File) -> "Head":
        """Of any open file: the word ``kind`` alone is another tool's."""
        attributes, _ = read_attributes(file)
        kind, number = attributes.get("kind"), attributes.get("format")
        format_number = int(number) if isinstance(number, np.integer) else None
        if not isinstance(kind, str) or kind not in FORMATS or (format_number is None and DIGEST not in attributes):
            return cls("", None)
        return cls(kind, format_number, attributes.get(CREATOR) == SIGNATURE.format(kind=kind))

    def describe(self, file: h5py.File) -> str:
        """For an error: ``a flow (model file)``, ``a posterior file``, ``a catalog``."""
        if self.kind == "model" and (config := read_text(file, "config")):
            return f"a {parse_object(config).get('kind')} (model file)"
        if self.kind and self.kind != "catalog":
            return f"a {self.kind} file"
        return "a catalog" if {"parameters", "data"} & set(file) else "an HDF5 file of another tool"

    def digests(self, file: h5py.File, kinds: tuple[str, ...]) -> DigestTable:
        """Those of the file. Raises UserError where it is of none of these kinds, of another format, or has none."""
        path = file.filename
        if not self.kind or (kinds and self.kind not in kinds):
            expected = f"a {' or '.join(kinds)} file" if kinds else "a file"
            origin = "" if self.kind else " of cosmoinfer"
            raise UserError(f"{path}: expected {expected}{origin}, found {self.describe(file)}")
        if self.format is None:
            raise DamageError(f"{path}: is damaged (the number of its format is missing)")
        check_format(path, self.kind, self.format)
        table = DigestTable.read_from(file)
        if table is None:
            raise UserError(f"{path}: has no digests, as files of earlier versions; {REMAKE_COMMANDS[self.kind]} again")
        return table


def read_text(file: h5py.File, name: str) -> str:
    """A text, not compared with its digest; empty where there is none of that name, or something else."""
    dataset = stored_dataset(file, name)
    if dataset is None or not is_stored_plainly(dataset) or dataset.shape != ():
        return ""
    return decode_text(dataset[()], fallback="latin-1")


def read(path: Path | str, schema: Schema, keep_on_disk: Container[str] = (), omit: str = "") -> FileContents:
    """A file that this tool wrote, of the kind of a schema.

    keep_on_disk, omit: as of ``read_contents``. Raises UserError as it does, and where the schema is another.
    """
    contents = read_contents(path, schema.kind, keep_on_disk=keep_on_disk, omit=omit)
    schema.check(Path(path), contents.all_arrays, contents.attributes)
    return contents


def read_contents(path: Path | str, *kinds: str, keep_on_disk: Container[str] = (), omit: str = "") -> FileContents:
    """Whatever is in a file that this tool wrote, of one of these kinds (by default of any).

    keep_on_disk: paths of arrays that stay in the file when they are large. omit: name of groups that are not read.

    Raises UserError for another kind or format, and DamageError for a file that is damaged or was changed.
    """
    path, expected = Path(path), f"a {' or '.join(kinds)} file" if kinds else ""
    with open_file(path, expected) as file:
        arrays, attributes, on_disk = {}, {}, {}
        head = Head.of_file(file)
        for name, dataset, digest in _digested(file, head, kinds):
            if omit and omit in name.split("/")[:-1]:
                continue
            if name in keep_on_disk and dataset.nbytes > out_of_core.MAX_IN_MEMORY_BYTES:
                on_disk[name] = OnDiskArray(DatasetHandle(path, name))
            else:
                arrays[name] = read_array(path, dataset, digest)
            if len(dataset.attrs):
                attributes[name] = {key: decode_attribute(value) for key, value in dataset.attrs.items()}
        meta = parse_object(str(arrays.pop("meta")))
    return FileContents(head.kind, meta, arrays, attributes, on_disk=on_disk)


def read_document(path: Path | str, schema: Schema, from_json: Callable[[JSONObject], Document]) -> Document:
    """What ``from_json`` makes of the JSON of /document. Raises UserError as ``read``, and where it cannot be shown."""
    text = str(read(path, schema).arrays["document"])
    with interpreted(path, f"the document of a {schema.kind} file"):
        document = from_json(parse_object(text, finite=True))
        str(document), document.to_json()  # as commands show it: from_json looks at no type, which shows here
        return document


def verify(path: Path | str) -> int:
    """Read all that is in a file that this tool wrote, and compare it with its digests: how many datasets it has.

    Raises DamageError for a file that is damaged or was changed, and UserError for one of another tool.
    """
    path, count = Path(path), 0
    with open_file(path) as file:
        for _, dataset, digest in _digested(file, Head.of_file(file), ()):
            digest.require_stored(dataset)
            count += 1
    return count


def _digested(file: h5py.File, head: Head, kinds: tuple[str, ...]) -> Iterator[tuple[str, h5py.Dataset, DatasetDigest]]:
    """Every dataset with its digest, which is of its type, shape and attributes; its values are not looked at."""
    table = head.digests(file, kinds)
    for name, dataset in find_datasets(file):
        if name != TABLE:
            yield name, dataset, table.of_dataset(dataset)
