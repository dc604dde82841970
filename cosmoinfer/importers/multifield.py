"""The CAMELS Multifield Dataset (Villaescusa-Navarro et al. 2022, ApJS 259, 61): maps and grids of one field a file.

Names say all but the parameters: ``Maps_Mgas_IllustrisTNG_LH_z=0.00.npy``, ``Grids_T_SIMBA_LH_128_z=0.0.npy``. Of maps,
15 in a row are of one simulation.
"""

import re
from pathlib import Path

from cosmoinfer.errors import UserError
from cosmoinfer.importers.npy import read_rows
from cosmoinfer.importers.parameter_tables import read_parameters
from cosmoinfer.importers.source import Importer, Request, Source, SourceData

MAPS_PER_SIMULATION = 15
NAME = re.compile(
    r"(?P<form>Maps|Grids)_(?P<field>[A-Za-z]+)_(?P<suite>\w+?)_(?P<set>LH|1P|CV|EX|BE|SB\w*?)(?:_(?P<side>\d+))?"
    r"_z=(?P<redshift>\d+(?:\.\d+)?)\.npy"
)


def _recognises(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None


def _read(path: Path, request: Request) -> Source:
    match = NAME.fullmatch(path.name)
    assert match is not None
    values = read_rows(path)
    kind, axes = ("map", 3) if match["form"] == "Maps" else ("grid", 4)
    if len(values.shape) != axes:
        raise UserError(f"{path}: has shape {values.shape}; expected {axes} axes, the first of them of the {kind}s")
    beside = path.with_name(f"params_{match['set']}_{match['suite']}.txt")
    parameters, notes = None, []
    if not request.read_options.parameters and (beside.exists() or not request.model_rows):
        if not beside.exists():
            raise UserError(
                f"{path}: expected its parameters in {beside.name} of the same folder, which is not there; "
                "`parameters=FILE` names another file"
            )
        parameters = read_parameters(beside, request.read_options)
        notes = [f"parameters are those of {beside}"]
    return Source(
        path,
        {"data": SourceData(values, {"kind": kind, "periodic": True})},
        parameters,
        rows_per_simulation=MAPS_PER_SIMULATION if kind == "map" else 0,
        channel=match["field"],
        attributes={"suite": match["suite"], "set": match["set"], "redshift": float(match["redshift"])},
        notes=tuple(notes),
    )


IMPORTER = Importer("the CAMELS Multifield Dataset, Maps_*.npy and Grids_*.npy", _recognises, _read)
