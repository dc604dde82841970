"""What a section is asked, and what it says: tables in words, the marks that it missed, and all its figures."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.speed.clock import Seconds

COMPARED = ["", "ours", "other", "times faster, CPU", "by the wall", "mark"]


class Unmeasured(Exception):
    """Why a section cannot be measured: a peer is missing."""


@dataclass(frozen=True)
class Task:
    """work: folder that keeps what is made. repeats: alternations. quick: tiny sizes, whose figures mean nothing."""

    work: Path
    repeats: int
    quick: bool


@dataclass
class Table:
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """Aligned, so that it reads on a terminal too."""
        widths = [max(3, *map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [self.columns, ["-" * width for width in widths], *self.rows]
        padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in padded)])


@dataclass
class Report:
    """missed: marks, a sentence each. figures: JSON."""

    tables: list[Table] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def table(self, title: str, columns: list[str]) -> Table:
        self.tables.append(Table(title, columns))
        return self.tables[-1]

    def mark(self, what: str, reached: bool, mark: str) -> str:
        """How a table shows a mark; where it is missed that is kept."""
        if not reached:
            self.missed.append(f"{what}: {mark}")
        return mark if reached else f"{mark} MISSED"

    def faster(
        self,
        table: Table,
        what: str,
        ours: Seconds,
        their_seconds: Seconds,
        mark: float | None = None,
        done: float = 0.0,
        unfinished: bool = False,
    ) -> None:
        """A row that compares. mark: on the CPU ratio, at least. done: how many were made in that time, to tell a rate.

        unfinished: the other was given up after its time.
        """
        ratio, wall, sign = their_seconds.cpu / ours.cpu, their_seconds.wall / ours.wall, "> " if unfinished else ""
        theirs = "did not finish" if unfinished else seconds_text(their_seconds.cpu, done)
        shown = "" if mark is None else self.mark(f"{table.title}, {what}", ratio >= mark, f"at least {mark:g}")
        table.rows.append(
            [what, seconds_text(ours.cpu, done), theirs, f"{sign}{ratio:.2f}", f"{sign}{wall:.2f}", shown]
        )

    @classmethod
    def read(cls, path: Path) -> "Report":
        held = json.loads(path.read_text())
        return cls([Table(**table) for table in held["tables"]], held["missed"], held["figures"])

    def write(self, path: Path) -> None:
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.write_text(json.dumps(asdict(self), indent=1))
        unfinished.replace(path)

    def markdown(self) -> str:
        return "\n\n".join(table.markdown() for table in self.tables)


def seconds_text(seconds: float, done: float = 0.0) -> str:
    """Seconds; or a rate, of so many done in them."""
    if done:
        return f"{done / seconds:,.0f} /s"
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{1000 * seconds:.3g} ms"
