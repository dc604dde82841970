"""Tables for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.table import Table

from cosmoinfer.formatting import format_with_error

MAX_PAIRS = 15  # pairs of parameters, those of six of them, that a table lists


@dataclass(frozen=True)
class WrappingTable:
    """A table whose columns go side by side as far as the width allows, the others below, under the same heads.

    heads: title of each column that names the rows -> its cells; columns: the same, of what is told of them.
    """

    title: str
    heads: Mapping[str, Sequence[str]]
    columns: Mapping[str, Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        most = options.max_width // (2 * len(self.heads)) - len(" │ ")  # heads fold before they take more than half
        heads = {name: max(1, min(_width(name, cells), most)) for name, cells in self.heads.items()}
        room = options.max_width - len("│") - sum(width + len(" │ ") for width in heads.values())
        widths = {name: _width(name, cells) + len(" │ ") for name, cells in self.columns.items()}
        block: list[str] = []
        for name in self.columns:
            if block and sum(widths[one] for one in (*block, name)) > room:
                yield self._table(heads, block)
                block = []
            block.append(name)
        yield self._table(heads, block)

    def _table(self, heads: Mapping[str, int], block: list[str]) -> Table:
        table = Table(title=self.title)
        for name, width in heads.items():
            table.add_column(escape(name), overflow="fold", width=width)
        for name in block:
            table.add_column(escape(name), justify="right", overflow="fold")
        cells = (*self.heads.values(), *(self.columns[name] for name in block))
        for row in zip(*cells, strict=True):
            table.add_row(*map(escape, row))
        return table


def _width(name: str, cells: Sequence[str]) -> int:
    return max(map(len, (name, *cells)))


def metrics_table(document: dict[str, Any]) -> RenderableType:
    """A row a metric, a column a parameter; then what concerns all together, two of them or one row; the verdicts.

    Of a classifier, the confusion.
    """
    title = f"{document['rows']} rows of {document['simulations']} simulations; 68.3 % intervals"
    metrics, verdicts = document["metrics"], document["verdict"]["parameters"]
    found = metrics["parameters"]
    columns = {name: [cell(entries[name]) for entries in found.values()] for name in verdicts}
    parts: list[RenderableType] = [WrappingTable(title, {"metric": [*found]}, columns)] if found else []
    parts.append(_values_table(metrics, "together" if found else title))
    parts.append(two_column_table(verdicts, "verdict"))
    if "confusion" in document:
        parts.append(confusion_table(document["confusion"]))
    return Group(*parts)


def confusion_table(confusion: dict[str, Any]) -> Table:
    """A row a true class, a column the class that its rows are taken for."""
    table = Table(title="rows by true class and guess")
    table.add_column("true class")
    for name in confusion["classes"]:
        table.add_column(name, justify="right")
    table.add_column("told right", justify="right")
    for number, (name, counts) in enumerate(zip(confusion["classes"], confusion["counts"], strict=True)):
        right = f"{100 * counts[number] / sum(counts):.1f} %" if sum(counts) else "-"
        table.add_row(name, *map(str, counts), right)
    return table


def two_column_table(rows: Mapping[str, str], title: str) -> Table:
    """Two columns: what, and what it is."""
    table = Table(title=title, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(escape(key), escape(value))
    return table


def _values_table(metrics: dict[str, Any], title: str) -> Table:
    """A row a metric that has one value, or one for each pair of parameters or row."""
    table = Table(title=title)
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right")
    for metric, entry in metrics["joint"].items():
        table.add_row(metric, cell(entry))
    for scope in ("pairs", "local"):
        for metric, entries in metrics.get(scope, {}).items():
            table.add_section()
            for name, entry in list(entries.items())[:MAX_PAIRS]:
                table.add_row(escape(f"{metric}[{name}]"), cell(entry))
            if len(entries) > MAX_PAIRS:
                table.add_row(f"{metric}: {len(entries) - MAX_PAIRS} others are in the metrics file")
    return table


def cell(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    if entry["low"] is None:
        return f"{entry['value']:.3g}"
    return format_with_error(entry["value"], (entry["high"] - entry["low"]) / 2)
