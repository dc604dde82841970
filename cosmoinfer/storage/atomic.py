"""A file is written under another name in the same folder, flushed to disk, then renamed: it is whole or absent.

Its process holds a lock on it meanwhile; what a process that was killed has left is removed by the next one.
"""

import fcntl
import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cosmoinfer.errors import UserError
from cosmoinfer.stopping import STOP_REQUEST
from cosmoinfer.storage.opening import error_reason

MAX_PREFIX = 50  # characters of a name, before what makes a scratch file's own: together below 255 bytes
SUFFIX = ".part"
RANDOM_CHARACTERS = 8  # that make it, as tempfile has them
MIN_AGE = 10.0  # seconds of a file that nobody locks, before it is taken for a dead process's


@contextmanager
def atomic_write(path: Path, replace: bool = True) -> Iterator[Path]:
    """A scratch file in the same folder, to be filled: flushed and renamed on success, removed on failure.

    replace: whether a file of its name is replaced, also one that another process has made meanwhile. Raises
    FileExistsError where it is not to be, UserError when the folder or the disk does not take it.
    """
    remove_leftovers(path.with_name(glob.escape(path.name[:MAX_PREFIX])))
    with ExitStack() as cleanup:
        with STOP_REQUEST.held():
            scratch, descriptor = _create_scratch_file(path)
            cleanup.callback(_discard, scratch, descriptor)
        try:
            os.chmod(scratch, 0o666 & ~_umask())
            yield scratch
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
            _rename(scratch, path, replace)
        except FileExistsError:
            raise
        except OSError as error:
            left = "nothing" if _remove(scratch) else scratch
            raise UserError(f"{path}: could not be written ({error_reason(error)}); {left} is left behind") from error
    with suppress(OSError):  # the file is whole; some file systems cannot flush a folder
        _sync_folder(path.parent)


def _rename(scratch: Path, path: Path, replace: bool) -> None:
    """In one step. Raises FileExistsError where a file is there that is not to be replaced."""
    try:
        if not replace:
            os.link(scratch, path)
            return
    except FileExistsError:
        raise
    except OSError:  # of a file system without links nothing better can be asked
        if path.exists():
            raise FileExistsError(path) from None
    os.replace(scratch, path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process after the other do what is inside; a process that ends lets go. path: of a file to lock.

    Where the file system has no locks, nobody waits. Raises UserError where the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)})") from error
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_abandoned(path: Path) -> bool:
    """Whether a process that has ended left a lock file; False where there is none, or where there are no locks."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _is_locked_by_me(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Raises UserError if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror})") from error


def check_folder(path: Path) -> None:
    """Whether it can be made, if it is not there; nothing is left behind. Raises UserError if it cannot."""
    missing = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
    make_folder(path)
    for folder in missing:
        with suppress(OSError):  # something was put there meanwhile
            folder.rmdir()


def _discard(scratch: Path, descriptor: int) -> None:
    """Let go of the lock, and remove the file if it is still there."""
    with STOP_REQUEST.held():
        os.close(descriptor)
        _remove(scratch)


def _remove(scratch: Path) -> bool:
    """Whether it is gone."""
    try:
        scratch.unlink(missing_ok=True)
    except OSError:  # of a disk that turned read-only, say: another error than the one that is reported
        return False
    return True


def _create_scratch_file(path: Path) -> tuple[Path, int]:
    """The file, and a descriptor that holds a lock on it, if the file system has any."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:MAX_PREFIX]}.", suffix=SUFFIX, dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error_reason(error)})") from error
    _is_locked_by_me(descriptor)
    return Path(name), descriptor


def remove_leftovers(pattern: Path) -> None:
    """Scratch files of outputs whose processes are gone: no one holds a lock on them. pattern: of the outputs."""
    for name in glob.glob(f".{pattern.name}.{'?' * RANDOM_CHARACTERS}{SUFFIX}", root_dir=pattern.parent):
        with suppress(OSError):
            descriptor = os.open(pattern.parent / name, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if time.time() - os.fstat(descriptor).st_mtime > MIN_AGE and _is_locked_by_me(descriptor):
                    os.unlink(pattern.parent / name)
            finally:
                os.close(descriptor)


def _is_locked_by_me(descriptor: int) -> bool:
    """Lock an open file, until it is closed; whether no other process has. False where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
