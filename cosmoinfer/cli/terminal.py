"""What the person at the terminal, or the log file of a batch job, gets to see."""

import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from cosmoinfer.tasks.reporter import Reporter

EVERY = 3.0  # seconds between two progress lines of a log file


@dataclass
class Terminal:
    """Results go to stdout, or as one JSON document; all else goes to stderr. Progress bars on a terminal only."""

    as_json: bool = False
    quiet: bool = False
    within: bool = False  # a step of a longer command, whose last step gives the document
    _last: float = field(default=0.0, repr=False)
    _open: bool = field(default=False, repr=False)

    def say(self, line: str) -> None:
        """A line about what is being done."""
        self._close_bar()
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """A line that nobody should miss, --quiet or not."""
        self._close_bar()
        print(f"warning: {line}", file=sys.stderr, flush=True)

    def result(self, line: str) -> None:
        """A line that the command was run for."""
        self._close_bar()
        print(line, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def document(self, content: dict[str, Any]) -> None:
        """The JSON document, if one was asked for."""
        self._close_bar()
        if self.as_json and not self.within:
            print(json.dumps(content, allow_nan=False), flush=True)

    def table(self, table: Any) -> None:
        """A Rich table, as a result."""
        from rich.console import Console

        self._close_bar()
        narrow = None if sys.stdout.isatty() else 140
        Console(file=sys.stderr if self.as_json else sys.stdout, width=narrow).print(table)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """On a terminal one line that is written over; in a log a line every few seconds, and the last one."""
        if self.quiet:
            return
        now = time.monotonic()
        if sys.stderr.isatty():
            width = 24 * done // max(1, total)
            bar = "━" * width + " " * (24 - width)
            print(f"\r\x1b[K{what} {bar} {done}/{total} {note}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif done == total or now - self._last >= EVERY:
            print(f"{what} {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
            self._last = now

    def reporter(self) -> Reporter:
        """For a task to report to."""
        return Reporter(self.say, self.result, self.warn, self.progress)

    def _close_bar(self) -> None:
        if self._open:
            print(file=sys.stderr, flush=True)
            self._open = False
