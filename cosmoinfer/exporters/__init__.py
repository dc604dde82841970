"""Draws of posteriors as other tools read them, in files and as their objects. A format is a file, and a name here.

It knows tables of draws, and no posterior.
"""

from cosmoinfer.exporters.arviz import ArviZ, to_arviz
from cosmoinfer.exporters.csv import CSV, to_pandas
from cosmoinfer.exporters.draw_table import DrawTable
from cosmoinfer.exporters.exporter import Exporter, write_files
from cosmoinfer.exporters.getdist import GetDist, to_getdist
from cosmoinfer.exporters.npz import NPZ
from cosmoinfer.exporters.parquet import Parquet

EXPORTERS: dict[str, Exporter] = {
    "getdist": GetDist(),
    "arviz": ArviZ(),
    "csv": CSV(),
    "npz": NPZ(),
    "parquet": Parquet(),
}

__all__ = ["EXPORTERS", "DrawTable", "Exporter", "to_arviz", "to_getdist", "to_pandas", "write_files"]
