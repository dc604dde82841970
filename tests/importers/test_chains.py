"""Posterior chains in the layouts of GetDist, Cobaya, CosmoSIS and UltraNest."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from tests.command_line import call, done, refused

POINTS = np.random.default_rng(5).normal([0.3, 0.8], [0.01, 0.02], (60, 2))
WEIGHTS = np.random.default_rng(6).integers(1, 9, 60).astype(float)
LOGLIKE = np.linspace(3, 5, 60)


def lines(*columns: np.ndarray) -> str:
    return "".join(" ".join(f"{number:.17g}" for number in row) + "\n" for row in np.column_stack(columns))


def getdist(folder: Path) -> Path:
    (folder / "planck.paramnames").write_text("omegam\t\\Omega_m\nsigma8   \\sigma_8\nS8*\tS_8\n")
    (folder / "planck.ranges").write_text("omegam 0.1 0.9\nsigma8 N N\nS8 N N\n")
    table = (WEIGHTS, LOGLIKE, POINTS, POINTS[:, 1] ** 2)
    for number, rows in (("1", slice(0, 25)), ("2", slice(25, 60))):
        (folder / f"planck_{number}.txt").write_text(lines(*(column[rows] for column in table)))
    return folder / "planck"


def cobaya(folder: Path) -> Path:
    header = "#  weight  minuslogpost  omegam  sigma8  minuslogprior  chi2  chi2__planck\n"
    (folder / "run.1.txt").write_text(header + lines(WEIGHTS, LOGLIKE, POINTS, LOGLIKE, LOGLIKE, LOGLIKE))
    return folder / "run.1.txt"


def cosmosis(folder: Path) -> Path:
    section = "cosmological_parameters--"
    header = f"#{section}omegam\t{section}sigma8\tCOSMOLOGICAL_PARAMETERS--S_8\tprior\tlike\tpost\tweight\n"
    values = "## START_OF_VALUES_INI\n## [cosmological_parameters]\n## omegam = 0.1 0.3 0.9\n## sigma8 = 0.5 0.8 1.1\n"
    body = lines(POINTS, POINTS[:, :1], LOGLIKE, LOGLIKE, LOGLIKE, WEIGHTS)
    (folder / "chain.txt").write_text(f"{header}#sampler=nautilus\n{values}## END_OF_VALUES_INI\n{body}#nsample=60\n")
    return folder / "chain.txt"


def ultranest(folder: Path) -> Path:
    (folder / "weighted_post.txt").write_text("weight logl omegam sigma8\n" + lines(WEIGHTS, LOGLIKE, POINTS))
    return folder / "weighted_post.txt"


WRITERS = {"getdist": getdist, "cobaya": cobaya, "cosmosis": cosmosis, "ultranest": ultranest}


@pytest.mark.parametrize("layout", WRITERS)
def test_a_chain_keeps_points_and_weights(tmp_path: Path, layout: str) -> None:
    path = WRITERS[layout](tmp_path)
    done("import", path, "-o", tmp_path / "chain.h5")
    catalog = cosmoinfer.read_catalog(tmp_path / "chain.h5")
    assert catalog.parameters is not None and catalog.parameters.names == ("omegam", "sigma8")
    np.testing.assert_array_equal(catalog.theta, POINTS)
    np.testing.assert_array_equal(catalog.weights, WEIGHTS)
    np.testing.assert_array_equal(catalog.observables[0].array, POINTS)
    with h5py.File(tmp_path / "chain.h5") as file:
        np.testing.assert_array_equal(file["weights"], WEIGHTS)
    direct = cosmoinfer.read_catalog(path)
    assert direct.fingerprint == catalog.fingerprint
    np.testing.assert_array_equal(direct.weights, WEIGHTS)
    low = {"getdist": [0.1, -np.inf], "cosmosis": [0.1, 0.5]}.get(layout, [-np.inf] * 2)
    np.testing.assert_array_equal(catalog.parameters.low, low)
    if layout == "getdist":
        assert catalog.parameters.labels == (r"\Omega_m", r"\sigma_8")
    assert "/weights" in call("inspect", path)[1]


def test_a_training_refuses_weights(tmp_path: Path) -> None:
    done("import", cobaya(tmp_path), "-o", tmp_path / "chain.h5")
    complaint = "a training takes rows of equal weight only"
    assert complaint in refused("train-density", tmp_path / "chain.h5", "--unconditional")
    assert complaint in refused("train-flow", tmp_path / "run.1.txt")
    done("repack", tmp_path / "chain.h5", "-o", tmp_path / "packed.h5")
    np.testing.assert_array_equal(cosmoinfer.read_catalog(tmp_path / "packed.h5").weights, WEIGHTS)


def test_points_without_weight_are_left_out(tmp_path: Path) -> None:
    path = ultranest(tmp_path)
    path.write_text("weight logl omegam sigma8\n" + lines(np.r_[0.0, np.ones(59)], LOGLIKE, POINTS))
    catalog = cosmoinfer.read_catalog(path)
    assert len(catalog) == 59 and catalog.weights is None


def test_a_column_too_few_is_refused(tmp_path: Path) -> None:
    getdist(tmp_path)
    (tmp_path / "planck_1.txt").write_text(lines(WEIGHTS, LOGLIKE, POINTS))
    with pytest.raises(UserError, match="has 4 columns; expected 5, a weight, a likelihood and the 3 parameters"):
        cosmoinfer.read_catalog(tmp_path / "planck")
