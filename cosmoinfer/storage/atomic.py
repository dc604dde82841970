"""Files that are written whole or not at all: under another name beside them, flushed to disk, and renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmoinfer.errors import UserError
from cosmoinfer.storage.hdf5 import error_reason


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Another name beside it, to be filled: flushed to disk and renamed when that is done, gone when it fails."""
    scratch = _sibling(path)
    try:
        yield scratch
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(scratch, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: could not be written ({error_reason(error)}); nothing is left behind") from error
    finally:
        scratch.unlink(missing_ok=True)


def check_free_space(folder: Path, size: int) -> None:
    """Before so many bytes are written."""
    if (free := shutil.disk_usage(folder).free) < 1.01 * size:
        raise UserError(f"{folder}: {size / 1e9:.3g}GB are wanted, and {free / 1e9:.3g}GB are free")


def _sibling(path: Path) -> Path:
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)})") from error
    os.close(descriptor)
    os.chmod(name, 0o666 & ~_umask())
    return Path(name)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
