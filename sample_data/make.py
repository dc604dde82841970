"""Write the sample catalogs: ``python sample_data/make.py`` makes both files again, beside this one.

``python sample_data/make.py --problem gaussian-maps --set pixels=64 --rows 20000 -o FILE`` makes another one, of any
problem and size.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import __version__, storage
from cosmoinfer.errors import UserError
from cosmoinfer.simulators import SIMULATORS

SEED = 0


@dataclass(frozen=True)
class Sample:
    """How much of a problem a file holds by default: rows, and how many of them come from one simulation."""

    rows: int = 1000
    rows_per_simulation: int = 1


SAMPLES = {problem: Sample() for problem in SIMULATORS}
SAMPLES |= {"power-spectrum": Sample(rows=2000), "gaussian-maps": Sample(rows_per_simulation=4)}
SHIPPED = {"power-spectrum": "power_spectra.h5", "gaussian-maps": "maps.h5"}


def catalog(
    problem: str, seed: int, settings: Sequence[str] = (), rows: int | None = None, each: int | None = None
) -> storage.Record:
    """The catalog of a problem; its data in single precision, its parameters in double.

    settings: NAME=NUMBER, what differs from the problem's own. rows, each (of one simulation): None for the default.
    """
    rows = SAMPLES[problem].rows if rows is None else rows
    each = SAMPLES[problem].rows_per_simulation if each is None else each
    if each < 1:
        raise UserError(f"--rows-per-simulation: expected at least 1, found {each}")
    if rows < 1 or rows % each:
        raise UserError(f"--rows: expected a multiple of {each}, the rows of a {problem} simulation, found {rows}")
    simulator = replace(SIMULATORS[problem], **dict(_setting(problem, setting) for setting in settings))
    made = simulator.simulate(rows // each, seed, each)
    meta = {
        "version": __version__,
        "problem": problem,
        "seed": seed,
        "rows": rows,
        "rows_per_simulation": each,
        "settings": asdict(simulator),
    }
    arrays = {
        "parameters": made.theta,
        "data": made.data.astype(np.float32),
        "simulation": made.simulation,
        **made.coordinates,
    }
    attributes = {"parameters": made.parameters.attributes(), "data": made.attributes, "k": {"units": "h/Mpc"}}
    return storage.Record("catalog", meta, arrays, attributes)


def _setting(problem: str, text: str) -> tuple[str, Any]:
    """A field of the problem and its value: positive, and whole where the default is whole."""
    name, _, value = text.partition("=")
    kinds = {field.name: type(field.default) for field in fields(SIMULATORS[problem])}
    known = [name for name, kind in kinds.items() if kind in (int, float)]
    if name not in known:
        raise UserError(f"--set {text}: {problem} has no setting {name!r}; there are {', '.join(known)}")
    try:
        number = kinds[name](value)
    except ValueError:
        number = 0
    if not 0 < number < np.inf:
        whole = "whole " if kinds[name] is int else ""
        raise UserError(f"--set {text}: expected {name}= and a positive {whole}number, found {value!r}")
    return name, number


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--problem", choices=SIMULATORS, help="one catalog of this problem; without it, both that ship")
    words.add_argument("--rows", type=int, help="default: 1000, of power-spectrum 2000")
    words.add_argument("--rows-per-simulation", type=int, metavar="ROWS", help="default: 1, of gaussian-maps 4")
    words.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER", help="a setting; can be repeated")
    words.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    words.add_argument("-o", "--output", type=Path, metavar="FILE", help="must not exist, without --force")
    words.add_argument("--force", action="store_true", help="replace the catalog that exists")
    given = words.parse_args()
    if given.problem is None:
        if vars(given) != vars(words.parse_args([])):
            words.error("every option needs --problem: what ships is made by the bare command only")
        for problem, file in SHIPPED.items():
            write(Path(__file__).parent / file, catalog(problem, SEED), force=True)
    else:
        if given.output is None:
            words.error("--problem needs --output FILE: what ships is made by the bare command only")
        storage.refuse_existing(given.output, "catalog", given.force)
        made = catalog(given.problem, given.seed, given.set, given.rows, given.rows_per_simulation)
        write(given.output, made, given.force)


def write(path: Path, record: storage.Record, force: bool = False) -> None:
    storage.write(path, record, force)
    print(f"{path}: {record.meta['rows']} rows of {record.meta['problem']}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"make.py: {error}")
