"""Tables for the terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

MOST = 15  # pairs of parameters, those of six of them, that a table lists


def metrics_table(document: dict[str, Any]) -> RenderableType:
    """A row a metric, a column a parameter; what concerns all together, two of them or one row stands below.

    Of a classifier, the confusion.
    """
    table = _parameters_table(document)
    return Group(table, confusion_table(document["confusion"])) if "confusion" in document else table


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


def listing(rows: dict[str, str], title: str) -> Table:
    """Two columns: what, and what it is."""
    table = Table(title=title, show_header=False)
    for key, value in rows.items():
        table.add_row(key, value)
    return table


def _parameters_table(document: dict[str, Any]) -> Table:
    names = list(document["verdict"]["parameters"])
    table = Table(title=f"{document['rows']} rows of {document['simulations']} simulations; 68.3 % intervals")
    table.add_column("metric")
    for name in names:
        table.add_column(name, justify="right")
    for metric, entries in document["metrics"]["parameters"].items():
        table.add_row(metric, *(cell(entries[name]) for name in names))
    table.add_section()
    for metric, entry in document["metrics"]["joint"].items():
        table.add_row(metric, cell(entry))
    for scope in ("pairs", "local"):
        for metric, entries in document["metrics"].get(scope, {}).items():
            table.add_section()
            for name, entry in list(entries.items())[:MOST]:
                table.add_row(escape(f"{metric}[{name}]"), cell(entry))
            if len(entries) > MOST:
                table.add_row(f"{metric}: {len(entries) - MOST} others are in the metrics file")
    table.add_section()
    table.add_row("verdict", *document["verdict"]["parameters"].values())
    return table


def cell(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return "-"
    if entry["low"] is None:
        return f"{entry['value']:.3g}"
    return f"{entry['value']:.3g} ± {(entry['high'] - entry['low']) / 2:.1g}"
