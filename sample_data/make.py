"""Write the sample catalogs: ``python sample_data/make.py`` makes both files again, beside this one.

Each is what one ``cosmoinfer simulate`` writes; that command makes others, of any problem and size.
"""

import shlex
import subprocess
import sys
from pathlib import Path

SHIPPED = {
    "power_spectra.h5": "power-spectrum -n 2000",
    "maps.h5": "gaussian-maps -n 1000 --rows-per-simulation 4",
}


def main(folder: Path) -> None:
    for file, problem in SHIPPED.items():
        command = f"simulate {problem} --force -o {shlex.quote(str(folder / file))}"
        subprocess.run([sys.executable, "-m", "cosmoinfer", *shlex.split(command)], check=True)  # noqa: S603 - our words


if __name__ == "__main__":
    main(Path(__file__).parent)
