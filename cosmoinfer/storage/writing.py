"""Files of this tool are written whole or not at all, with digests of all that they hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from cosmoinfer.errors import UserError
from cosmoinfer.storage.atomic import atomic_write
from cosmoinfer.storage.attributes import Attributes, encode_attribute, encode_text
from cosmoinfer.storage.contents import FileContents
from cosmoinfer.storage.digests import DatasetDigest, DigestTable
from cosmoinfer.storage.existing import encode_meta, refuse_existing
from cosmoinfer.storage.formats import CREATOR, FORMATS, SIGNATURE
from cosmoinfer.storage.out_of_core import StreamedDataset, check_free_space
from cosmoinfer.storage.skeleton import Skeleton

LIBRARY_VERSIONS = ("v110", "v110")  # of HDF5: from 1.10 on its own structures carry checksums


def write(path: Path, contents: FileContents, force: bool = False) -> None:
    """Write a file, whole or not at all.

    Raises UserError when it exists and is not to be replaced, or cannot be written.
    """
    write_streamed(path, contents, {name: array.streamed() for name, array in contents.on_disk.items()}, force)


def write_streamed(
    path: Path, contents: FileContents, streams: Mapping[str, StreamedDataset], force: bool = False
) -> None:
    """Write contents, and datasets that arrive slab by slab.

    Raises UserError as ``write`` does, and when the disk has no room for them.
    """
    refuse_existing(path, contents.kind, contents.meta, force)
    stream_bytes = sum(int(np.prod(stream.shape)) * stream.dtype.itemsize for stream in streams.values())
    check_free_space(path.parent, _size_in_bytes(contents) + stream_bytes)
    skeleton = Skeleton()
    try:
        with atomic_write(path, replace=force) as scratch, scratch.open("wb") as disk:
            with h5py.File(skeleton, "w", libver=LIBRARY_VERSIONS) as file:
                digests = _fill(file, disk, contents, streams)
                _digest_table(contents, digests).write_to(file)
            skeleton.write_to(disk)
    except FileExistsError as error:
        refuse_existing(path, contents.kind, contents.meta)
        raise UserError(f"{path}: another process was writing it at the same time") from error


def _size_in_bytes(contents: FileContents) -> int:
    return sum(np.asarray(value).nbytes for value in contents.arrays.values())


def _fill(
    file: h5py.File, disk: IO[bytes], contents: FileContents, streams: Mapping[str, StreamedDataset]
) -> dict[str, DatasetDigest]:
    """Write all datasets: their digests, by path. file: the skeleton. disk: takes the values."""
    for key, value in _root_attributes(contents).items():
        file.attrs[key] = encode_attribute(value)
    file.attrs["kind"], file.attrs["format"] = encode_text(contents.kind), FORMATS[contents.kind]
    arrays = {"meta": np.array(encode_meta(contents.meta)), **contents.arrays}
    digests = {}
    for name in (*arrays, *streams):
        stream = StreamedDataset.of_array(arrays[name]) if name in arrays else streams[name]
        digests[name] = stream.write_to(file, disk, name, contents.attributes.get(name, {}))
    return digests


def _root_attributes(contents: FileContents) -> Attributes:
    """But for kind, format and digest."""
    return {CREATOR: SIGNATURE.format(kind=contents.kind), **contents.file_attributes}


def _digest_table(contents: FileContents, digests: dict[str, DatasetDigest]) -> DigestTable:
    return DigestTable.of_file(contents.kind, FORMATS[contents.kind], _root_attributes(contents), digests)
