"""Comma-separated values, which every tool reads: one table of all draws."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer.exporters.draw_table import DrawTable, unused
from cosmoinfer.exporters.exporter import Exporter, FileWriter
from cosmoinfer.exporters.packages import required


class CSV(Exporter):
    """Columns ``row``, the parameters by name, and ``log_prob`` where it is known; one line a draw."""

    suffix = ".csv"

    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        return {output: partial(_write, table)}


def to_pandas(table: DrawTable) -> Any:
    """``pandas.DataFrame`` of the same columns. Raises UserError where pandas is not installed."""
    return required("pandas", "a table of pandas").DataFrame(table.columns())


def _write(table: DrawTable, path: Path) -> None:
    names = [unused("row", table.names), *table.names]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names if table.log_prob is None else [*names, unused("log_prob", names)])
        for row, samples, log_prob in table.observations():
            values = samples if log_prob is None else np.column_stack([samples, log_prob])
            writer.writerows([row, *draw] for draw in values.tolist())
