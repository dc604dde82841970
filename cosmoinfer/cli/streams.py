"""Standard streams that never fail: what stdout or stderr does not take is dropped, and the work goes on.

A full disk, a reader that has gone (``| head``) or a terminal that has closed is no failure of the work: a command that
saves its results ends with the status of the work. What was only to be printed is lost with stdout: then it ends with
1 and one line on stderr, or quietly with 141 if the reader has gone. That holds for ``inspect``, ``guide``, a help, the
version, and every document of ``--json``. A stream that was closed (``>&-``) before the command started is one that
nobody asked for, as ``/dev/null`` is.
"""

import io
import os
import select
import sys
from typing import Any

from cosmoinfer.errors import UserError

BROKEN_PIPE = 141  # exit status, as a shell has it of a process that SIGPIPE ended
STANDARD_DESCRIPTORS = 3


class OutputLost(UserError):
    """Stdout did not take all that was to be printed. Exit status 1, or that of SIGPIPE and no line."""

    def __init__(self, error: OSError) -> None:
        is_pipe = isinstance(error, BrokenPipeError)
        super().__init__("" if is_pipe else f"stdout: {error.strerror}; not all output was printed")
        self.exit_status = BROKEN_PIPE if is_pipe else 1


class LossyFile(io.FileIO):
    """A file whose writing never fails. error: the first one, or None.

    Every write is tried: a log goes on when its disk has space again.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """How many bytes were written; all of them, where they were dropped."""
        try:
            while (written := super().write(data)) is None:  # a full pipe that does not block: wait for its reader
                select.select([], [self], [])
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written


def guard_streams() -> None:
    """Let stdout and stderr drop what they do not take, and replace a character that the encoding of stdout lacks.

    Once, before anything is printed or a file opened. A stream of a test or a notebook, no file, is left as it is.
    """
    _fill_standard_descriptors()
    sys.stdout = _guarded(sys.stdout, "replace")  # no error at the end of all work
    sys.stderr = _guarded(sys.stderr, "backslashreplace")


def check_stdout() -> None:
    """For a command whose output is saved nowhere. Raises OutputLost if stdout did not take all of it."""
    if error := stdout_error():
        raise OutputLost(error)


def stdout_error() -> OSError | None:
    """Why stdout did not take all that was printed so far, if so."""
    sys.stdout.flush()
    file = _raw_file(sys.stdout)
    return file.error if isinstance(file, LossyFile) else None


def _fill_standard_descriptors() -> None:
    """Open /dev/null for each standard descriptor that is closed.

    The next file would get its number, and a library that complains on stderr would write into an output.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < STANDARD_DESCRIPTORS:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _guarded(stream: Any, errors: str) -> Any:
    if stream is None:  # its number may by now be that of another file
        file = LossyFile(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
        return io.TextIOWrapper(io.BufferedWriter(file), "utf-8", errors)
    if not isinstance(_raw_file(stream), io.FileIO):
        return stream
    file = LossyFile(stream.fileno(), "w", closefd=False)
    by_line = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(io.BufferedWriter(file), stream.encoding, errors, line_buffering=by_line)


def _raw_file(stream: Any) -> Any:
    """The file under the buffers of a stream; None if there is none."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)
