"""The same rows for ours and for peers, from a simulator: a catalog file and the arrays that ``peers`` reads."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.simulators import SIMULATORS, BoxedLinearGaussian, Simulator

SPECTRA = SIMULATORS["power-spectrum"]  # 2 parameters, 40 numbers
BOX = BoxedLinearGaussian(dimensions=6)


@dataclass(frozen=True)
class Problem:
    """catalog: of training rows, and of ``held`` rows as its validation part.

    rows: .npz for a peer: a tenth more to train on, which it splits off by itself, so that it trains on as many; the
    held rows as its test rows. So nobody trains on the held rows, and all are scored on them.
    """

    catalog: Path
    rows: Path
    train: int
    held: int


def make(folder: Path, name: str, simulator: Simulator, train: int, held: int) -> Problem:
    """So many rows to train on; made only if it does not stand in the folder."""
    rows = math.ceil(train / 0.9)  # of which a peer takes int(0.9 rows)
    stem = f"{name}.{train}.{held}"
    problem = Problem(folder / f"{stem}.h5", folder / f"{stem}.npz", train, held)
    if problem.catalog.exists() and problem.rows.exists():
        return problem
    made, test = simulator.simulate(rows, 1), simulator.simulate(held, 2)
    box: dict[str, Any] = {field: getattr(made.parameters, field) for field in ("low", "high", "prior")}
    x, x_test = _prepared(made.data), _prepared(test.data)
    np.savez(problem.rows, theta_train=made.theta, x_train=x, theta_test=test.theta, x_test=x_test, **box, seed=0)
    arrays = {
        "parameters": np.concatenate([made.theta[:train], test.theta]),
        "data": np.concatenate([made.data[:train], test.data]).astype(np.float32),
        "split": np.repeat([0, 1], [train, held]).astype(np.uint8),
    }
    attributes = {"parameters": made.parameters.attributes(), "data": made.attributes}
    storage.write(problem.catalog, storage.FileContents("catalog", {}, arrays, attributes), force=True)
    return problem


def _prepared(x: np.ndarray) -> np.ndarray:
    """Of positive data with a wide range a user takes the logarithm, as we do by default."""
    return np.log10(x) if x.min() > 0 and x.max() > 100 * x.min() else x
