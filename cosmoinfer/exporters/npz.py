"""Arrays of numpy by name, ``numpy.load`` without pickle."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer.exporters.draw_table import DrawTable
from cosmoinfer.exporters.exporter import Exporter, FileWriter
from cosmoinfer.memory import check_memory


class NPZ(Exporter):
    """``samples`` (n, S, P), ``log_prob`` (n, S), ``truth`` (n, P) where known, ``row`` and ``simulation`` (n,);
    ``names``, ``labels``, ``low`` and ``high`` (P,), ``derived`` (P,) bool."""

    suffix = ".npz"

    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        return {output: partial(_write, table)}


def _write(table: DrawTable, path: Path) -> None:
    check_memory(2 * int(np.prod(table.samples.shape)), f"draws of shape {table.samples.shape}")
    draws = {"samples": table.samples, "log_prob": table.log_prob, "truth": table.truth}
    arrays = {name: np.asarray(values) for name, values in draws.items() if values is not None}
    arrays |= {"row": table.index, "simulation": np.asarray(table.simulation, dtype=np.str_)}
    arrays |= {"names": np.array(table.names), "labels": np.array(table.labels)}
    arrays |= {"low": table.parameters.low, "high": table.parameters.high}
    arrays["derived"] = np.isin(table.names, table.derived)
    with path.open("wb") as file:  # of a path numpy would change the name
        save: Any = np.savez
        save(file, **arrays)
