"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.highlighter import ReprHighlighter
from rich.table import Table
from rich.text import Text

from cosmoinfer.printable import MAX_CELL, one_line

if TYPE_CHECKING:
    from cosmoinfer.metrics import Evaluation
    from cosmoinfer.metrics.tables import Table as StringTable
    from cosmoinfer.posterior import ObservationSummary

MAX_TITLE_COLUMNS = 80

NO_STYLES: Mapping[str, str] = {}
VERDICT_STYLES = {  # by how a verdict begins, the first that does
    "calibrated": "green",
    "conservative": "yellow",
    "not constrained": "dim",
    "fixed": "",
    "no width": "",
    "too few": "",
    "calibration not": "",
    "": "red",
}

Column = tuple[str, Sequence[str]]  # title, cells


@dataclass(frozen=True)
class WrappingTable:
    """A table whose columns stand side by side as far as the width allows, the others below, each time with the heads.

    title: above the table.
    heads: the columns that name the rows, each a title and its cells; repeated in each block of columns.
    columns: the others. Titles may be the same, and are of one line, as cells are.
    """

    title: str
    heads: Sequence[Column]
    columns: Sequence[Column]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heads, columns = ([_printed_column(column) for column in group] for group in (self.heads, self.columns))
        max_head = options.max_width // (2 * len(heads)) - len(" │ ")  # heads fold before they take more than half
        widths = [max(1, min(_width(head), max_head)) for head in heads]
        room = options.max_width - len("│") - sum(width + len(" │ ") for width in widths)
        block: list[Column] = []
        for column in columns:
            if block and sum(_width(member) + len(" │ ") for member in (*block, column)) > room:
                yield self._table(heads, widths, block)
                block = []
            block.append(column)
        yield self._table(heads, widths, block)

    def _table(self, heads: list[Column], widths: list[int], block: list[Column]) -> Table:
        table = _titled_table(self.title)
        for (name, _), width in zip(heads, widths, strict=True):
            table.add_column(Text(name), overflow="fold", width=width)
        for name, _ in block:
            table.add_column(Text(name), justify="right", overflow="fold")
        for row in zip(*(cells for _, cells in (*heads, *block)), strict=True):
            table.add_row(*map(_cell, row))
        return table


def _titled_table(title: str, show_header: bool = True) -> Table:
    """Without columns. The title of a narrow table stands in one line, unless it is very long."""
    title = one_line(title, MAX_CELL)
    width = min(len(title), MAX_TITLE_COLUMNS)
    return Table(title=Text(title, style="table.title"), show_header=show_header, min_width=width)


def _printed_column(column: Column) -> Column:
    title, cells = column
    return one_line(title, MAX_CELL), [one_line(cell, MAX_CELL) for cell in cells]


def _cell(text: str) -> Text:
    """As ``rich`` shows a text, but that it is no markup and has no emoji by name, whatever it holds."""
    return ReprHighlighter()(Text(one_line(text, MAX_CELL)))


def _width(column: Column) -> int:
    title, cells = column
    return max(map(len, (title, *cells)))


def metrics_table(evaluation: "Evaluation", complete: bool = True) -> RenderableType:
    """Metrics by parameter, joint metrics, verdicts; of a classifier, the confusion. complete: with all metrics."""
    return Group(*map(render_table, evaluation.tables(complete)))


def observations_table(summaries: Sequence["ObservationSummary"]) -> RenderableType:
    """Median with 68 % interval, or a limit: a row a parameter for one observation, else a row an observation."""
    title = summaries[0].heading
    if len(summaries) == 1:
        return two_column_table({name: entry.text for name, entry in summaries[0].constraints.items()}, title)
    columns = [(name, [entry.constraints[name].text for entry in summaries]) for name in summaries[0].constraints]
    return WrappingTable(title, [("row", [str(entry.row) for entry in summaries])], columns)


def render_table(table: "StringTable") -> RenderableType:
    """For the terminal: columns that do not fit stand below."""
    if not table.numeric:
        return two_column_table(dict(table.rows), table.title, VERDICT_STYLES)  # type: ignore[arg-type]
    columns = list(zip(table.header, zip(*table.rows, strict=True), strict=True))
    return WrappingTable(table.title, columns[: table.name_columns], columns[table.name_columns :])


def two_column_table(rows: Mapping[str, str], title: str, styles: Mapping[str, str] = NO_STYLES) -> Table:
    """A name and a text in each row, without a header. styles: of texts, by how they begin; the empty one of others."""
    table = _titled_table(title, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(_cell(key), _styled(value, styles) if styles else _cell(value))
    return table


def _styled(text: str, styles: Mapping[str, str]) -> Text:
    """A cell in the style of the first beginning that is its own."""
    return Text(
        one_line(text, MAX_CELL), style=next(style for start, style in styles.items() if text.startswith(start))
    )
