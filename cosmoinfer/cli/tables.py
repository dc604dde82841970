"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from cosmoinfer.metrics import Evaluation
    from cosmoinfer.metrics.tables import Table as StringTable

MAX_TITLE_COLUMNS = 80


@dataclass(frozen=True)
class WrappingTable:
    """A table whose columns stand side by side as far as the width allows, the others below, each time with the heads.

    title: above the table.
    heads: title of each column that names the rows -> its cells; repeated in each block of columns.
    columns: title of each other column -> its cells.
    """

    title: str
    heads: Mapping[str, Sequence[str]]
    columns: Mapping[str, Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        max_head = options.max_width // (2 * len(self.heads)) - len(" │ ")  # heads fold before they take more than half
        heads = {name: max(1, min(_width(name, cells), max_head)) for name, cells in self.heads.items()}
        room = options.max_width - len("│") - sum(width + len(" │ ") for width in heads.values())
        widths = {name: _width(name, cells) + len(" │ ") for name, cells in self.columns.items()}
        block: list[str] = []
        for name in self.columns:
            if block and sum(widths[column] for column in (*block, name)) > room:
                yield self._table(heads, block)
                block = []
            block.append(name)
        yield self._table(heads, block)

    def _table(self, heads: Mapping[str, int], block: list[str]) -> Table:
        table = Table(title=self.title, min_width=_title_width(self.title))
        for name, width in heads.items():
            table.add_column(escape(name), overflow="fold", width=width)
        for name in block:
            table.add_column(escape(name), justify="right", overflow="fold")
        cells = (*self.heads.values(), *(self.columns[name] for name in block))
        for row in zip(*cells, strict=True):
            table.add_row(*map(escape, row))
        return table


def _title_width(title: str) -> int:
    """So that the title of a narrow table stands in one line, unless it is very long."""
    return min(len(title), MAX_TITLE_COLUMNS)


def _width(name: str, cells: Sequence[str]) -> int:
    return max(map(len, (name, *cells)))


def metrics_table(evaluation: "Evaluation") -> RenderableType:
    """Metrics by parameter, joint metrics, verdicts; of a classifier, the confusion."""
    return Group(*map(render_table, evaluation.tables()))


def render_table(table: "StringTable") -> RenderableType:
    """For the terminal: columns that do not fit stand below."""
    if not table.numeric:
        return two_column_table(dict(table.rows), table.title)  # type: ignore[arg-type]
    columns = dict(zip(table.header, zip(*table.rows, strict=True), strict=True))
    heads = {name: columns.pop(name) for name in table.header[: table.name_columns]}
    return WrappingTable(table.title, heads, columns)


def two_column_table(rows: Mapping[str, str], title: str) -> Table:
    """A name and a text in each row, without a header."""
    table = Table(title=title, show_header=False, min_width=_title_width(title))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    return table
