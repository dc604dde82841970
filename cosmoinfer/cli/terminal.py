"""Output of a command on a terminal, or in the log file of a batch job: lines, tables, pages, progress."""

import json
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from cosmoinfer.errors import UserError
from cosmoinfer.printable import one_line
from cosmoinfer.tasks.reporter import Reporter

if TYPE_CHECKING:
    from rich.progress import Progress

MAX_PAGE_COLUMNS = 100  # longer lines are hard to read
MIN_COLUMNS = 20  # to which lines are folded
MAX_TABLE_COLUMNS = 140  # in a file, which has no width of its own
LOG_INTERVAL_SECONDS = 3.0  # between two progress lines of a log file
BAR_COLUMNS = 24
SETTING = re.compile(r"`([a-z][a-z_0-9]*)(?:=([^`]*))?`")  # as messages name it, alone or with a value
EMBEDDING = "embedding_"

OPEN_BAR = ExitStack()  # the progress bar on the terminal, if there is one; closed before anything else is printed


def with_options(text: str) -> str:
    """A message with the settings that it names as options: ``--learning-rate`` for `` `learning_rate` ``."""
    return SETTING.sub(lambda match: option(match[1], match[2] or ""), text)


def option(setting: str, value: str = "") -> str:
    """Of the command line, for a setting and its value; one of an embedding stands behind the embedding's name."""
    if setting.startswith(EMBEDDING):
        return f"--embedding ...:{setting.removeprefix(EMBEDDING)}" + (f"={value}" if value else "")
    return "--" + setting.replace("_", "-") + (f" {value}" if value else "")


def printed(text: str) -> str:
    """A line as it is printed: settings as options, and what it quotes of a file such that it is one line and inert."""
    return one_line(with_options(text))


def error_lines(error: UserError, short_names: Mapping[str, str] | None = None) -> list[str]:
    """What the command line says of an error. short_names: ``-n``, of settings whose options have one."""
    short = f"{short_names[error.setting]}/" if short_names and error.setting in short_names else ""
    where = f"{short}{option(error.setting, error.written_value)}: " if error.setting else ""
    return [one_line(where + with_options(message)) for message in error.messages]


@dataclass
class _LoggedTask:
    """In a log: its name, when its first line was printed, in seconds, how much was done then, and at its last line."""

    name: str
    start: float
    done: int
    latest: int


@dataclass
class Terminal:
    """Results go to stdout, or as one JSON document; all other output goes to stderr. Progress bars on a terminal only.

    as_json: print the JSON document. quiet: neither progress nor lines about it.
    """

    as_json: bool = False
    quiet: bool = False

    _last_logged: float = field(default=0.0, repr=False)  # seconds
    _task: "_LoggedTask | None" = field(default=None, repr=False)
    _bar: "Progress | None" = field(default=None, repr=False)

    def info(self, line: str) -> None:
        """Print a line about what is being done."""
        self._close_bar()
        if not self.quiet:
            _print(printed(line), sys.stderr)

    def warn(self, line: str) -> None:
        """Print a warning, with ``--quiet`` too."""
        self._close_bar()
        _print(f"warning: {printed(line)}", sys.stderr)

    def result(self, line: str) -> None:
        """Print a line that the command was run for."""
        self._close_bar()
        _print(printed(line), sys.stderr if self.as_json else sys.stdout)

    def document(self, content: Mapping[str, object] | None) -> None:
        """Print the JSON document, if ``as_json`` and there is one: ASCII, with names as they are in files."""
        self._close_bar()
        if self.as_json and content is not None:
            print(json.dumps(content, allow_nan=False), flush=True)

    def table(self, table: Any) -> None:
        """Print a table of ``rich``, as a result."""
        from rich.console import Console

        self._close_bar()
        width = None if sys.stdout.isatty() else MAX_TABLE_COLUMNS
        Console(file=sys.stderr if self.as_json else sys.stdout, width=width).print(table)

    def page(self, markdown: str) -> None:
        """Show a page of Markdown: rendered, in a pager, on a terminal; its source in a pipe."""
        if not sys.stdout.isatty():
            print(markdown.rstrip())
            return
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console(width=min(MAX_PAGE_COLUMNS, Console().width))
        with console.pager(styles=True):
            console.print(Markdown(markdown))

    def progress(self, task: str, done: int, total: int, note: str = "") -> None:
        """Show how much of a task is done: in a bar on a terminal; in a log a line every few seconds, and the last one.

        task: the name of what is counted.
        """
        if self.quiet:
            return
        task, note = one_line(task), one_line(note)
        if sys.stderr.isatty():
            self._show_bar(task, done, total, note)
        elif done == total or time.monotonic() - self._last_logged >= LOG_INTERVAL_SECONDS:
            print(
                f"{task} {done}/{total} {note}".rstrip() + self._times(task, done, total), file=sys.stderr, flush=True
            )
            self._last_logged = time.monotonic()

    def _times(self, task: str, done: int, total: int) -> str:
        """For a log: the time of day, how long the task has taken since its first line, and what is left of it."""
        now = time.monotonic()
        if self._task is None or self._task.name != task or done <= self._task.latest:
            self._task = _LoggedTask(task, now, done, done)
            return time.strftime("  [%H:%M:%S]")
        self._task.latest = done
        elapsed = now - self._task.start
        left = elapsed * (total - done) / (done - self._task.done)
        return time.strftime(f"  [%H:%M:%S, {_duration(elapsed)} elapsed, {_duration(left)} left]")

    def reporter(self) -> Reporter:
        """The callbacks of a task that reports here."""
        return Reporter(self.info, self.result, self.warn, self.progress)

    def _show_bar(self, task: str, done: int, total: int, note: str) -> None:
        """One bar, which the next task takes over."""
        from rich import progress
        from rich.console import Console

        if self._bar is None:
            name, remark = (
                progress.TextColumn(f"{{task.{text}}}", markup=False) for text in ("description", "fields[note]")
            )
            columns = (name, progress.BarColumn(BAR_COLUMNS), progress.MofNCompleteColumn(), remark)
            time_left = progress.TimeRemainingColumn(compact=True)
            bar = progress.Progress(*columns, time_left, console=Console(stderr=True))
            bar.add_task(task, total=total, note=note)
            self._bar = OPEN_BAR.enter_context(bar)
        (shown,) = self._bar.tasks
        if task != shown.description or done < shown.completed:
            self._bar.reset(shown.id, description=task, total=total)
        self._bar.update(shown.id, completed=done, total=total, note=note)

    def _close_bar(self) -> None:
        OPEN_BAR.close()
        self._bar = None


def _print(line: str, stream: TextIO) -> None:
    """On a terminal in lines that end between words."""
    if stream.isatty():
        width = max(shutil.get_terminal_size().columns, MIN_COLUMNS)
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    print(line, file=stream, flush=True)


def _duration(seconds: float) -> str:
    """``0:42``, ``12:05``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
