"""What the person at the terminal, or the log file of a batch job, gets to see."""

import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from cosmoinfer.errors import UserError
from cosmoinfer.tasks.reporter import Reporter

MAX_PAGE_WIDTH = 100  # columns; longer lines are hard to read
EVERY = 3.0  # seconds between two progress lines of a log file
SETTING = re.compile(r"`([a-z][a-z_0-9]*)(?:=([^`]*))?`")  # as messages name it, alone or with a value
EMBEDDING = "embedding_"


def with_options(text: str) -> str:
    """A message with the settings that it names as options: ``--learning-rate`` for `` `learning_rate` ``."""
    return SETTING.sub(lambda match: option(match[1]) + (f" {match[2]}" if match[2] else ""), text)


def option(setting: str) -> str:
    """Of the command line, for a setting; one of an embedding stands behind the embedding's name."""
    if setting.startswith(EMBEDDING):
        return f"--embedding ...:{setting.removeprefix(EMBEDDING)}"
    return "--" + setting.replace("_", "-")


def error_line(error: UserError) -> str:
    """What the command line says of an error."""
    value = f" {error.value}" if error.value else ""
    where = f"{option(error.setting)}{value}: " if error.setting else ""
    return where + with_options(error.message)


@dataclass
class Terminal:
    """Results go to stdout, or as one JSON document; all else goes to stderr. Progress bars on a terminal only."""

    as_json: bool = False
    quiet: bool = False

    _last: float = field(default=0.0, repr=False)
    _open: bool = field(default=False, repr=False)

    def say(self, line: str) -> None:
        """A line about what is being done."""
        self._close_bar()
        if not self.quiet:
            print(with_options(line), file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """A line that nobody should miss, --quiet or not."""
        self._close_bar()
        print(f"warning: {with_options(line)}", file=sys.stderr, flush=True)

    def result(self, line: str) -> None:
        """A line that the command was run for."""
        self._close_bar()
        print(with_options(line), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def document(self, content: dict[str, Any]) -> None:
        """The JSON document, if one was asked for."""
        self._close_bar()
        if self.as_json:
            print(with_options(json.dumps(content, allow_nan=False)), flush=True)

    def table(self, table: Any) -> None:
        """A Rich table, as a result."""
        from rich.console import Console

        self._close_bar()
        narrow = None if sys.stdout.isatty() else 140
        Console(file=sys.stderr if self.as_json else sys.stdout, width=narrow).print(table)

    def page(self, markdown: str) -> None:
        """A page of Markdown: rendered, in a pager, on a terminal; as it stands in a pipe."""
        if not sys.stdout.isatty():
            print(markdown.rstrip())
            return
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console(width=min(MAX_PAGE_WIDTH, Console().width))
        with console.pager(styles=True):
            console.print(Markdown(markdown))

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
