"""HDF5 files opened to read, and errors for those that cannot be.

A file system that has no locks is read without them; a file that is being written is not, nor is one at which the
HDF5 library would crash.
"""

import codecs
import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from cosmoinfer.errors import DamageError, UserError
from cosmoinfer.storage.probe import survives

NO_LOCKS = {
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EACCES,  # of some network disks; where the file itself is forbidden, it stays so without a lock
    524,  # ENOTSUPP of Linux, which has no name in errno
}  # of the file system; EAGAIN is a writer's lock
OPEN_WITHOUT_LOCK = "file locking flag values don't match"  # of HDF5, where this process has the file open so already

FOREIGN_SIGNATURES = {
    b"\x93NUMPY": "an array of numpy (.npy)",
    b"PK\x03\x04": "an archive of arrays (.npz or .pt)",
    b"SIMPLE  =": "a FITS file",
}
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0e-\x1f]")  # but for white space
FIRST_BYTES = 4096  # by which text is told from other content
MAX_SHOWN_CHARACTERS = 60  # of a name that is too long
NO_REGULAR_FILE = "no regular file, but a pipe, a device or a socket"
CRASHES = "the HDF5 library crashes when it reads its text, or never ends"


@contextmanager
def open_file(path: Path | str, expected: str = "") -> Iterator[h5py.File]:
    """A file to read. expected: what it should be, for messages.

    Raises UserError for one that is missing or being written, DamageError for one that is truncated or damaged.
    """
    try:
        path = require_file(path)
        file = open_hdf5(path)
    except BlockingIOError as error:
        raise UserError(f"{path}: another process has it open to write; try again when it is done") from error
    except OSError as error:
        content = describe_foreign(Path(path))
        damage = f"is no HDF5 file, or a truncated one ({error_reason(error)})"
        problem = f"is {content}, no HDF5 file" if content else damage
        raise DamageError(f"{path}: {problem}{expected and f'; expected {expected}'}") from error
    with file:
        try:
            if not survives(path, file):
                raise DamageError(f"{path}: is damaged ({CRASHES})")
            yield file
        except UserError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py on damaged headers; JSON; text
            raise DamageError(f"{path}: is damaged ({error_reason(error)})") from error


def open_hdf5(path: Path) -> h5py.File:
    """To read; without a lock where the file system has none. Raises OSError as h5py does."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno not in NO_LOCKS and OPEN_WITHOUT_LOCK not in str(error):
            raise
        return h5py.File(path, "r", locking=False)


def describe_foreign(path: Path) -> str:
    """What a file that is no HDF5 begins as, ``a text file``; empty where that is not known."""
    try:
        with path.open("rb") as file:
            first = file.read(FIRST_BYTES)
    except OSError:
        return ""
    if name := next((name for signature, name in FOREIGN_SIGNATURES.items() if first.startswith(signature)), ""):
        return name
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(first)  # which may end within a character
    except UnicodeDecodeError:
        return ""
    return "a text file" if text and not CONTROL_CHARACTER.search(text) else ""


def require_file(path: Path | str) -> Path:
    """The path. Raises UserError when no file has it."""
    path = require_name(Path(path))
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if not path.is_file():
        raise UserError(f"{path}: is {'a folder' if path.is_dir() else NO_REGULAR_FILE}; expected a file")
    return path


def require_name(path: Path) -> Path:
    """The path. Raises UserError when no file system takes it, as one with a name of more than 255 bytes."""
    try:
        path.exists()
    except OSError as error:
        name = path.name if len(path.name) <= MAX_SHOWN_CHARACTERS else f"{path.name[:MAX_SHOWN_CHARACTERS]}..."
        raise UserError(f"{name}: cannot be the name of a file ({error_reason(error)})") from error
    return path


def require_unmodified(files: tuple[Path, ...], identity: tuple[int, ...]) -> None:
    """Raises UserError where a file is another than it was when these numbers were taken."""
    if file_identity(files) != identity:
        raise UserError(f"{' or '.join(map(str, files))}: was modified after it was opened")


def file_identity(files: tuple[Path, ...]) -> tuple[int, ...]:
    """Inode, size in bytes and time of the last change of each."""
    statuses = [require_file(path).stat() for path in files]
    return tuple(number for status in statuses for number in (status.st_ino, status.st_size, status.st_mtime_ns))


def error_reason(error: BaseException) -> str:
    """What the system says of an error, in one line."""
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]
