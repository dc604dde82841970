"""Files of this tool are written whole or not at all, with digests of all that they hold."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.atomic import atomic_write
from cosmoinfer.storage.attributes import Attributes, encode_attribute, encode_text
from cosmoinfer.storage.contents import FORMATS, FileContents
from cosmoinfer.storage.digests import CREATOR, DatasetDigest, DigestTable
from cosmoinfer.storage.existing import SIGNATURE, encode_meta, refuse_existing
from cosmoinfer.storage.out_of_core import StreamedDataset, check_free_space

LIBRARY_VERSIONS = ("v110", "v110")  # of HDF5: from 1.10 on its own structures carry checksums


def write(path: Path, contents: FileContents, force: bool = False) -> None:
    """Write a file, whole or not at all.

    Raises UserError when it exists and is not to be replaced, or cannot be written.
    """
    if _size_in_bytes(contents) > out_of_core.MAX_IN_MEMORY_BYTES or contents.on_disk:
        streams = {name: array.streamed() for name, array in contents.on_disk.items()}
        write_streamed(path, contents, streams, force)
        return
    refuse_existing(path, contents.kind, contents.meta, force)
    image = _file_image(contents)
    with atomic_write(path) as scratch:
        scratch.write_bytes(image)


def write_streamed(
    path: Path, contents: FileContents, streams: Mapping[str, StreamedDataset], force: bool = False
) -> None:
    """Write contents, and datasets that arrive slab by slab, straight to disk.

    Raises UserError as ``write`` does, and when the disk has no room for them.
    """
    refuse_existing(path, contents.kind, contents.meta, force)
    stream_bytes = sum(int(np.prod(stream.shape)) * stream.dtype.itemsize for stream in streams.values())
    check_free_space(path.parent, _size_in_bytes(contents) + stream_bytes)
    with atomic_write(path) as scratch, h5py.File(scratch, "w", libver=LIBRARY_VERSIONS) as file:
        digests = _fill(file, contents)
        for name, stream in streams.items():
            digests[name] = stream.write_to(file, name, contents.attributes.get(name, {}))
        _digest_table(contents, digests).write_to(file)


def _size_in_bytes(contents: FileContents) -> int:
    return sum(np.asarray(value).nbytes for value in contents.arrays.values())


def _file_image(contents: FileContents) -> bytes:
    """The bytes of the file, made in memory: on a full disk HDF5 cannot close its file and crashes the process."""
    with h5py.File(contents.kind, "w", driver="core", backing_store=False, libver=LIBRARY_VERSIONS) as file:
        _digest_table(contents, _fill(file, contents)).write_to(file)
        file.flush()
        return file.id.get_file_image()


def _fill(file: h5py.File, contents: FileContents) -> dict[str, DatasetDigest]:
    """Write what is in memory: its digests, by path."""
    for key, value in _root_attributes(contents).items():
        file.attrs[key] = encode_attribute(value)
    file.attrs["kind"], file.attrs["format"] = encode_text(contents.kind), FORMATS[contents.kind]
    digests = {}
    for name, value in {"meta": np.array(encode_meta(contents.meta)), **contents.arrays}.items():
        array = np.asarray(value)
        stored = encode_text(array) if array.dtype.kind in "UO" else array
        dataset = file.create_dataset(name, data=stored, dtype=stored.dtype)
        attributes = contents.attributes.get(name, {})
        for key, attribute in attributes.items():
            if attribute is not None:
                dataset.attrs[key] = encode_attribute(attribute)
        digests[name] = DatasetDigest.of_array(stored, attributes)
    return digests


def _root_attributes(contents: FileContents) -> Attributes:
    """But for kind, format and digest."""
    return {CREATOR: SIGNATURE.format(kind=contents.kind), **contents.file_attributes}


def _digest_table(contents: FileContents, digests: dict[str, DatasetDigest]) -> DigestTable:
    return DigestTable.of_file(contents.kind, FORMATS[contents.kind], _root_attributes(contents), digests)
