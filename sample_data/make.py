"""Write the sample data: ``python sample_data/make.py`` makes all files again, beside this one.

Each catalog is what one ``cosmoinfer simulate`` writes; that command makes others, of any problem and size. The tables
of text are such a catalog as people have it: parameters, spectra, and one observation of its own.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

SHIPPED = {
    "power_spectra.h5": "power-spectrum -n 2000",
    "maps.h5": "gaussian-maps -n 1000 --rows-per-simulation 4",
}
AS_TEXT = "power-spectrum -n 401 --seed 7 --set bins=20"  # the last row is the observation


def main(folder: Path) -> None:
    for file, problem in SHIPPED.items():
        _simulate(problem, folder / file)
    with tempfile.TemporaryDirectory() as scratch:
        _simulate(AS_TEXT, Path(scratch) / "text.h5")
        with h5py.File(Path(scratch) / "text.h5") as catalog:
            theta, spectra, k = (catalog[name][()] for name in ("parameters", "data", "k"))
    np.savetxt(folder / "parameters.txt", theta[:-1], fmt="%.5f", header="Omega_m sigma_8")
    np.savetxt(folder / "spectra.txt", spectra[:-1], fmt="%.4e")
    np.savetxt(
        folder / "observation.txt", np.stack([k, spectra[-1]], axis=1), fmt="%.4e", header="k [h/Mpc]  P [(Mpc/h)^3]"
    )


def _simulate(problem: str, path: Path) -> None:
    command = f"simulate {problem} --force -o {shlex.quote(str(path))}"
    subprocess.run([sys.executable, "-m", "cosmoinfer", *shlex.split(command)], check=True)  # noqa: S603 - our words


if __name__ == "__main__":
    main(Path(__file__).parent)
