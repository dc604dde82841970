"""One array of numpy, .npy: the data, with the rows first, which stay in the file where they are large."""

from pathlib import Path

from cosmoinfer import storage
from cosmoinfer.importers.source import Importer, Request, Source, SourceArray, SourceData


def read_rows(path: Path) -> SourceArray:
    """The array of a file: left there, or in memory where its rows are scattered over the file, or of one axis.

    Raises UserError for a file of anything but numbers.
    """
    array = storage.open_npy(path)
    if array.ndim < 2 or not array.flags.c_contiguous or array.dtype.kind not in "fiu":
        return storage.load_npy(path)
    return storage.NpyRows(path)


def _recognises(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _read(path: Path, request: Request) -> Source:
    return Source(path, {"data": SourceData(read_rows(path))})


IMPORTER = Importer("an array of numpy, .npy", _recognises, _read)
