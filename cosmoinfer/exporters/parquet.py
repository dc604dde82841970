"""Parquet, the columns of pandas, polars and the like: one table of all draws, a group of rows an observation."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer.exporters.draw_table import DrawTable, unused
from cosmoinfer.exporters.exporter import Exporter, FileWriter
from cosmoinfer.exporters.packages import required


class Parquet(Exporter):
    """Columns ``row``, the parameters by name, with their LaTeX as ``label`` of the field, and ``log_prob``."""

    suffix = ".parquet"

    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        arrow = required("pyarrow", "parquet")
        required("pyarrow.parquet", "parquet")
        return {output: partial(_write, table, arrow)}


def _write(table: DrawTable, arrow: Any, path: Path) -> None:
    row_name = unused("row", table.names)
    entries = zip(table.names, table.labels, strict=True)
    fields = [arrow.field(row_name, arrow.int64())]
    fields += [arrow.field(name, arrow.float64(), metadata={"label": label}) for name, label in entries]
    if table.log_prob is not None:
        fields.append(arrow.field(unused("log_prob", (row_name, *table.names)), arrow.float64()))
    schema = arrow.schema(fields)
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for row, samples, log_prob in table.observations():
            columns = [np.full(len(samples), row), *samples.T] + ([] if log_prob is None else [log_prob])
            arrays = [arrow.array(np.ascontiguousarray(column)) for column in columns]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
