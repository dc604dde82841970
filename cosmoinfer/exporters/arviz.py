"""InferenceData of ArviZ as netCDF-4: groups ``posterior`` and ``sample_stats``, dimensions chain and draw."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.exporters.draw_table import DrawTable, accepted_names
from cosmoinfer.exporters.exporter import Exporter, FileWriter
from cosmoinfer.exporters.packages import required

REFUSED = re.compile(r"[/\x00-\x1f\x7f]+")  # in names of netCDF
DIMENSIONS = ("chain", "draw", "row", "simulation")


class ArviZ(Exporter):
    """One chain; a dimension ``row`` where there are several observations. ``sample_stats.lp`` is log_prob.

    The LaTeX of a parameter is its ``long_name``, between dollar signs.
    """

    suffix = ".nc"

    def names(self, table: DrawTable) -> tuple[str, ...]:
        return accepted_names(table.names, REFUSED, DIMENSIONS)

    def files(self, table: DrawTable, output: Path) -> dict[Path, FileWriter]:
        return {output: partial(_write, table)}


def to_arviz(table: DrawTable) -> Any:
    """``arviz.InferenceData`` (a ``DataTree`` from ArviZ 1 on) of what the file holds.

    Raises UserError where ArviZ is not installed.
    """
    arviz, xarray = required("arviz", "an InferenceData"), required("xarray", "an InferenceData")
    datasets = {}
    for name, group in _groups(table).items():
        variables = {key: (entry.dimensions, entry.values, entry.attributes) for key, entry in group.items()}
        coordinates = {key: value for key, value in variables.items() if key in DIMENSIONS}
        datasets[name] = xarray.Dataset(
            {key: value for key, value in variables.items() if key not in DIMENSIONS}, coordinates
        )
    if hasattr(arviz, "InferenceData"):
        return arviz.InferenceData(**datasets)
    return xarray.DataTree.from_dict(datasets)


def _write(table: DrawTable, path: Path) -> None:
    storage.write_netcdf(path, _groups(table))


def _groups(table: DrawTable) -> dict[str, dict[str, storage.Variable]]:
    """Coordinates first, then the parameters, and log_prob in a group of its own."""
    table.check_memory()
    n, count, _ = table.samples.shape
    several = n > 1
    dimensions = ("chain", "draw", "row") if several else ("chain", "draw")
    coordinates = {"chain": np.arange(1), "draw": np.arange(count)}
    coordinates |= {"row": table.index} if several else {}
    variables = {name: storage.Variable((name,), values) for name, values in coordinates.items()}

    def variable(values: np.ndarray, label: str) -> storage.Variable:
        """values: (n, S)."""
        chain = values.T[None] if several else values[0][None]  # (1, S, n) or (1, S)
        return storage.Variable(dimensions, np.ascontiguousarray(chain), {"long_name": label})

    samples = np.asarray(table.samples)
    entries = enumerate(zip(_names(table), table.labels, strict=True))
    posterior = {name: variable(samples[..., column], f"${label}$") for column, (name, label) in entries}
    groups = {"posterior": variables | posterior}
    if table.log_prob is not None:
        groups["sample_stats"] = variables | {"lp": variable(np.asarray(table.log_prob), "log_prob")}
    return groups


def _names(table: DrawTable) -> tuple[str, ...]:
    return ArviZ().names(table)
