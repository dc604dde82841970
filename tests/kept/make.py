"""The files of this version, and the numbers in them: ``python -m tests.kept.make``, once, before it is released.

They are never made again: a later version that no longer reads them, or reads other numbers, breaks its promise.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from cosmoinfer import __version__
from tests.benchmarks.fuzz import STUDIES, make_files
from tests.kept.numbers import KEPT, NUMBERS, USES, numbers_of

MODEL = "--epochs 1 --ensemble 1 --hidden 4 --layers 1 --threads 1 --quiet"
NETWORK = "--network mlp:hidden=4 --epochs 1 --ensemble 1 --threads 1 --quiet"
COMMANDS = (
    "split sims.h5 -o split.h5",
    f"train-regressor sims.h5 --loss moment -o regressor.h5 {NETWORK}",
    f"train-regressor sims.h5 --target suite -o classifier.h5 {NETWORK}",
    f"train-flow sims.h5 --flow maf --support probit --noise cov.npy --compress pca:4 -o flow.h5 {MODEL}",
    f"train-flow sims.h5 --flow maf --support probit --summary regressor.h5 -o summarised.h5 {MODEL}",
    f"train-density rigid.h5 --flow maf -o density.h5 {MODEL}",
    "sample flow.h5 sims.h5 --draws 20 -o posterior.h5 --quiet",
    "sample regressor.h5 sims.h5 --draws 20 -o normals.h5 --quiet",
    "sample classifier.h5 sims.h5 -o probabilities.h5 --quiet",
    "simulate linear-gaussian -n 30 --truth --draws 20 -o exact.h5 --quiet",
    "evaluate normals.h5 -o metrics.h5 --quiet",
    "evaluate probabilities.h5 -o confusion.h5 --quiet",
    "score density.h5 rigid.h5 -o scores.h5 --quiet",
    "likelihood density.h5 rigid.h5 --rows 3 -o likelihood.h5 --quiet",
    "likelihood flow.h5 sims.h5 --rows 3 -o ratio.h5 --quiet",
    *STUDIES,
)


def main() -> None:
    folder = KEPT / __version__
    if folder.exists():
        sys.exit(f"{folder} is there already: files of a released version are never made again")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        make_files(made, COMMANDS)
        folder.mkdir()
        for name in ("sims.h5", "rigid.h5", *USES):
            shutil.copyfile(made / name, folder / name)
    numbers = {name: numbers_of(folder / name) for name in USES}
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
