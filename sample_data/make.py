"""Write the sample catalogs: ``python sample_data/make.py`` makes both files again, beside this one.

``python sample_data/make.py --problem power-spectrum --rows 20000 --seed 1 -o FILE`` makes a larger one of either kind.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import __version__, storage
from cosmoinfer.errors import UserError
from cosmoinfer.simulators import SIMULATORS

SEED = 0


@dataclass(frozen=True)
class Sample:
    """A file that ships: its name, its number of rows, and how many of them come from one simulation."""

    file: str
    rows: int
    rows_per_simulation: int


SAMPLES = {
    "power-spectrum": Sample("power_spectra.h5", rows=2000, rows_per_simulation=1),
    "gaussian-maps": Sample("maps.h5", rows=1000, rows_per_simulation=4),
}


def catalog(problem: str, rows: int, seed: int) -> storage.Record:
    """The catalog of a problem; its data in single precision, its parameters in double."""
    each = SAMPLES[problem].rows_per_simulation
    if rows < 1 or rows % each:
        raise UserError(f"--rows: expected a multiple of {each}, the rows of a {problem} simulation, found {rows}")
    made = SIMULATORS[problem].simulate(rows // each, seed, each)
    meta = {
        "version": __version__,
        "problem": problem,
        "seed": seed,
        "rows": rows,
        "rows_per_simulation": each,
        "settings": asdict(SIMULATORS[problem]),
    }
    arrays = {
        "parameters": made.theta,
        "data": made.data.astype(np.float32),
        "simulation": made.simulation,
        **made.coordinates,
    }
    attributes = {"parameters": made.parameters.attributes(), "data": made.attributes, "k": {"units": "h/Mpc"}}
    return storage.Record("catalog", meta, arrays, attributes)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--problem", choices=SAMPLES, help="one catalog of this problem; without it, both that ship")
    words.add_argument("--rows", type=int, help="default: as many as the file that ships")
    words.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    words.add_argument("-o", "--output", type=Path, metavar="FILE", help="must not exist, without --force")
    words.add_argument("--force", action="store_true", help="replace the file that exists")
    given = words.parse_args()
    if given.problem is None:
        if given.rows is not None or given.output is not None or given.seed != SEED:
            words.error("--rows, --seed and --output need --problem")
        for problem, sample in SAMPLES.items():
            write(Path(__file__).parent / sample.file, catalog(problem, sample.rows, SEED), force=True)
    else:
        if given.output is None:
            words.error("--problem needs --output FILE: what ships is made by the bare command only")
        rows = SAMPLES[given.problem].rows if given.rows is None else given.rows
        storage.refuse_existing(given.output, given.force)
        write(given.output, catalog(given.problem, rows, given.seed), given.force)


def write(path: Path, record: storage.Record, force: bool = False) -> None:
    storage.write(path, record, force)
    print(f"{path}: {record.meta['rows']} rows of {record.meta['problem']}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"make.py: {error}")
