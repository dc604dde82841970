"""A measurement in the HDF5 form of sacc 2: tables of astropy, a data type each, in the order that a column gives."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from tests.command_line import done, linear, refused, write

ELL = np.array([10.0, 50.0, 100.0])
COVARIANCE = np.diag(np.arange(1.0, 7.0)) + 0.1


def write_sacc(path: Path, form: str = "full") -> np.ndarray:
    """Two data types of three points; returns the vector in its order."""
    point = [("tracer_0", "S8"), ("tracer_1", "S8"), ("value", "f8"), ("sacc_ordering", "i8"), ("ell", "f8")]
    with h5py.File(path, "w") as file:
        for name, first in (("galaxy_density_cl", 3), ("galaxy_shear_cl_ee", 0)):
            rows = [(b"source_0", b"source_1", first + 0.5 * place, first + place, ELL[place]) for place in range(3)]
            file[f"data/{name}"] = np.array(rows, dtype=point)
            file[f"data/{name}"].attrs["SACCTYPE"] = "data"
        file["sacc_hdf5_version"] = np.array([1], np.int32)
        file["metadata"] = np.zeros(0)
        file["tracer/source_0"] = np.zeros(20, dtype=[("z", "f8"), ("nz", "f8")])
        if form == "full":
            file["covariance_cov"] = np.array([(row,) for row in COVARIANCE], dtype=[("row", "f8", (6,))])
        elif form == "diagonal":
            file["covariance_cov"] = np.array(np.diag(COVARIANCE), dtype=[("variance", "f8")])
        else:
            for number, name in enumerate(("covariance_cov", "covariance_cov_1")):
                block = COVARIANCE[3 * number : 3 * number + 3, 3 * number : 3 * number + 3]
                file[name] = np.array([(row,) for row in block], dtype=[("block_row", "f8", (3,))])
                file[name].attrs["SACCBIDX"] = number
    return np.array([0, 0.5, 1, 3, 3.5, 4])


@pytest.mark.parametrize("form", ["full", "diagonal", "block"])
def test_a_measurement_is_an_observation_and_a_covariance(tmp_path: Path, form: str) -> None:
    vector = write_sacc(tmp_path / "data.hdf5", form)
    expected = {"full": COVARIANCE, "diagonal": np.diag(np.diag(COVARIANCE))}.get(form)
    catalog = cosmoinfer.read_catalog(tmp_path / "data.hdf5")
    assert catalog.theta is None and len(catalog) == 1
    np.testing.assert_array_equal(catalog.observables[0].array[0], vector)
    done("import", tmp_path / "data.hdf5", "-o", tmp_path / "observed.h5")
    with h5py.File(tmp_path / "observed.h5") as file:
        np.testing.assert_array_equal(file["ell"], np.r_[ELL, ELL])
        assert file["data_type"].asstr()[[0, 5]].tolist() == ["galaxy_shear_cl_ee", "galaxy_density_cl"]
        assert file["tracers"].asstr()[0] == "source_0,source_1"
        if expected is not None:
            np.testing.assert_array_equal(file["covariance"], expected)
        else:
            assert not file["covariance"][:3, 3:].any() and file["covariance"][4, 4] == COVARIANCE[4, 4]


def test_a_flow_is_trained_on_its_noise_and_applied_to_it(tmp_path: Path) -> None:
    write_sacc(tmp_path / "data.hdf5")
    sims = write(tmp_path / "sims.h5", *linear(60, 1, features=6))
    quick = ("--flow", "maf:hidden=4,layers=1", "--epochs", 1, "--ensemble", 1, "--support", "probit")
    done("train-flow", sims, "--noise", tmp_path / "data.hdf5", *quick, "-o", tmp_path / "flow.h5")
    done("sample", tmp_path / "flow.h5", tmp_path / "data.hdf5", "-o", tmp_path / "posterior.h5", "--draws", 10)
    assert len(cosmoinfer.read_posterior(tmp_path / "posterior.h5")) == 1
    with h5py.File(tmp_path / "data.hdf5", "a") as file:
        del file["covariance_cov"]
    assert "holds no covariance" in refused("train-flow", sims, "--noise", tmp_path / "data.hdf5", *quick)
