"""Being asked to stop: by a signal of a batch system, or because the time that was given is over.

A stop is carried out at once, but where work looks for it itself, at places from which it can go on.
"""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cosmoinfer.errors import UserError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SIGCONT, which a batch system may send before them, is none
DURATION = r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?:in)?)?(?:(\d{1,9})s)?"
UNITS = (86_400, 3_600, 60, 1)  # seconds
MAX_SECONDS = 1000 * UNITS[0]
INTERRUPTED = 130  # exit status, as a shell has it of a process that SIGINT ended
REPEATED_AFTER = 5.0  # seconds after a request that was lost, as in the destructor of an object, another one counts
OTHER_RANK = "another rank was asked to"
EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command may be run again


class Stopped(BaseException):
    """A stop was requested. Like KeyboardInterrupt it is no ``Exception``, so that nothing takes it for an error.

    message: who asked, and what the same command does. Exit status 75.
    """

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class StopRequest:
    """Of this process. reason: who asked, in words; empty as long as nobody did."""

    def __init__(self) -> None:
        self.reason, self._n_postponing, self._since = "", 0, 0.0
        self._n_holding, self._interrupted = 0, False

    def __bool__(self) -> bool:
        return bool(self.reason)

    def listen(self) -> None:
        """Let SIGNALS be requests, from now on, and only the first SIGINT interrupt. In the main thread."""
        for number in SIGNALS:
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # ignored, it stays so
            signal.signal(signal.SIGINT, self._interrupt)

    def after(self, seconds: float) -> None:
        """Let the end of so many seconds be a request. In the main thread, by SIGALRM; the first call counts."""
        signal.signal(signal.SIGALRM, self._handle)
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def ignore(self) -> None:
        """Let no signal change the exit status of a process whose work is done. In the main thread."""
        for number in (*SIGNALS, signal.SIGALRM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """For work that looks for a request itself, and raises Stopped where it can go on.

        Raises Stopped at its end if there was a request.
        """
        self._n_postponing += 1
        try:
            yield
        finally:
            self._n_postponing -= 1
        if self.reason and not self._n_postponing:
            raise self.stopped()

    @contextmanager
    def held(self) -> Iterator[None]:
        """For a few lines that must not be left in their midst: a request, and SIGINT, wait for their end."""
        self._n_holding += 1
        try:
            yield
        finally:
            self._n_holding -= 1
        if self._interrupted and not self._n_holding:
            self._interrupted = False
            raise KeyboardInterrupt
        if self.reason and not self._n_holding and not self._n_postponing:
            raise self.stopped()

    def stopped(self, kept: str = "") -> Stopped:
        """The exception to raise. kept: the file from which the same command goes on, if there is one."""
        remedy = f"the same command goes on from {kept}" if kept else "run the same command again"
        return Stopped(f"stopped ({self.reason or OTHER_RANK}); {remedy}")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.reason and now - self._since < REPEATED_AFTER:  # a second request changes nothing
            return
        if not self.reason:
            self.reason = "its time is over" if number == signal.SIGALRM else signal.Signals(number).name
        self._since = now
        if not self._n_postponing and not self._n_holding:
            raise self.stopped()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Once, and not while a request is carried out: it would end in the midst of what cleans up."""
        if not self.reason:
            signal.signal(number, signal.SIG_IGN)
            if not self._n_holding:
                raise KeyboardInterrupt
            self._interrupted = True


STOP_REQUEST = StopRequest()


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``10min``, ``23h50m`` or ``1d12h``. Raises UserError for anything else."""
    if not (match := re.fullmatch(DURATION, text.strip().lower())) or not any(match.groups()):
        raise UserError("expected a time as 90s, 10min or 23h50m")
    seconds = sum(int(number) * unit for number, unit in zip(match.groups(default="0"), UNITS, strict=True))
    if not 1 <= seconds <= MAX_SECONDS:
        raise UserError(f"expected 1s to {MAX_SECONDS // UNITS[0]}d")
    return float(seconds)
