"""The CAMELS Multifield Dataset in the layout of its authors: names say suite, set, field and redshift."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from cosmoinfer.importers import npy
from tests.command_line import done, refused

MAPS, PARAMETERS = "Maps_{field}_IllustrisTNG_LH_z=0.00.npy", "params_LH_IllustrisTNG.txt"
NAMES = ("Omega_m", "sigma_8", "A_SN1", "A_AGN1", "A_SN2", "A_AGN2")


def write_parameters(folder: Path, count: int, name: str = PARAMETERS, columns: int = 6) -> np.ndarray:
    stream = np.random.default_rng(2)
    low, high = np.array([0.1, 0.6, 0.25, 0.25, 0.5, 0.5]), np.array([0.5, 1.0, 4, 4, 2, 2])
    theta = np.round(low + (high - low) * stream.random((count, 6)), 5)[:, :columns]
    np.savetxt(folder / name, theta, fmt="%.5f")
    return theta


def write_maps(folder: Path, field: str, rows: int = 900) -> np.ndarray:
    maps = np.random.default_rng(len(field)).lognormal(size=(rows, 16, 16)).astype(np.float32)
    np.save(folder / MAPS.format(field=field), maps)
    return maps


def test_maps_and_their_parameters_are_a_catalog(tmp_path: Path) -> None:
    theta, maps = write_parameters(tmp_path, 60), write_maps(tmp_path, "Mgas")
    path = tmp_path / MAPS.format(field="Mgas")
    catalog = cosmoinfer.read_catalog(path)
    assert catalog.parameters is not None and catalog.theta is not None
    assert catalog.parameters.names == NAMES
    assert catalog.parameters.prior == ("uniform", "uniform", *["log-uniform"] * 4)
    np.testing.assert_array_equal(catalog.parameters.low, [0.1, 0.6, 0.25, 0.25, 0.5, 0.5])
    np.testing.assert_array_equal(catalog.theta, np.repeat(theta, 15, axis=0))
    np.testing.assert_array_equal(catalog.simulation.astype(int), np.arange(900) // 15)
    (observable,) = catalog.observables
    assert observable.kind == "map" and observable.periodic
    np.testing.assert_array_equal(observable.array[:, 0], maps)
    done("import", path, "-o", tmp_path / "sims.h5")
    stored = cosmoinfer.read_catalog(tmp_path / "sims.h5")
    assert (stored.fingerprint, stored.selection_hash) == (catalog.fingerprint, catalog.selection_hash)
    with h5py.File(tmp_path / "sims.h5") as file:
        assert (file.attrs["suite"], file.attrs["set"], file.attrs["redshift"]) == (b"IllustrisTNG", b"LH", 0.0)


def test_fields_become_channels_and_stay_in_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parameters(tmp_path, 60)
    gas, temperature = write_maps(tmp_path, "Mgas"), write_maps(tmp_path, "T")
    monkeypatch.setattr(npy.storage, "load_npy", lambda path: pytest.fail("all of it was read"))
    paths = [tmp_path / MAPS.format(field=field) for field in ("Mgas", "T")]
    done("import", *paths, "-o", tmp_path / "both.h5")
    with h5py.File(tmp_path / "both.h5") as file:
        assert file["data"].shape == (900, 2, 16, 16) and file["data"].dtype == np.float32
        assert file["data"].attrs["channels"].astype(str).tolist() == ["Mgas", "T"]
        np.testing.assert_array_equal(file["data"][:, 0], gas)
        np.testing.assert_array_equal(file["data"][:, 1], temperature)
    by_pattern = cosmoinfer.read_catalog(tmp_path / "Maps_*_z=0.00.npy")
    assert by_pattern.fingerprint == cosmoinfer.read_catalog(tmp_path / "both.h5").fingerprint


def test_a_grid_is_one_simulation(tmp_path: Path) -> None:
    theta = write_parameters(tmp_path, 12, "params_LH_Nbody_SIMBA.txt", columns=2)
    grids = np.random.default_rng(0).lognormal(size=(12, 8, 8, 8)).astype(np.float32)
    np.save(tmp_path / "Grids_Mtot_Nbody_SIMBA_LH_128_z=0.0.npy", grids)
    catalog = cosmoinfer.read_catalog(tmp_path / "Grids_Mtot_Nbody_SIMBA_LH_128_z=0.0.npy")
    assert catalog.parameters is not None and catalog.parameters.names == NAMES[:2]
    assert catalog.observables[0].kind == "grid" and catalog.observables[0].periodic
    np.testing.assert_array_equal(catalog.theta, theta)


def test_other_sets_have_their_own_columns(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "params_SB28_IllustrisTNG.txt", np.random.default_rng(1).random((4, 28)))
    np.save(tmp_path / "Maps_Mgas_IllustrisTNG_SB28_z=0.00.npy", np.random.default_rng(2).random((60, 16, 16)))
    catalog = cosmoinfer.read_catalog(tmp_path / "Maps_Mgas_IllustrisTNG_SB28_z=0.00.npy")
    assert catalog.parameters is not None and len(catalog.parameters) == 28
    assert not np.isfinite(catalog.parameters.low).any()


@pytest.mark.parametrize(
    ("rows", "simulations", "complaint"),
    [
        (900, 450, "expected 60 or 900 rows (one a simulation, or one a row of the data), found 450"),
        (899, 60, "899 rows are no multiple of"),
        (900, 59, "expected 60 or 900 rows (one a simulation, or one a row of the data), found 59"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(
    tmp_path: Path, rows: int, simulations: int, complaint: str
) -> None:
    write_parameters(tmp_path, simulations)
    write_maps(tmp_path, "Mgas", rows)
    assert complaint in refused("import", tmp_path / MAPS.format(field="Mgas"), "-o", tmp_path / "out.h5")


def test_absent_parameters_are_asked_for(tmp_path: Path) -> None:
    write_maps(tmp_path, "Mgas")
    with pytest.raises(UserError, match=r"its parameters in params_LH_IllustrisTNG\.txt of the same folder"):
        cosmoinfer.read_catalog(tmp_path / MAPS.format(field="Mgas"))


def test_a_run_goes_from_maps_to_figures(tmp_path: Path) -> None:
    write_parameters(tmp_path, 60)
    write_maps(tmp_path, "Mgas")
    quick = ("--embedding", "cnn:hidden=2", "--flow", "maf:hidden=4,layers=1", "--epochs", 1, "--ensemble", 1)
    maps = tmp_path / MAPS.format(field="Mgas")
    done("run", maps, *quick, "--support", "probit", "--draws", 20, "-o", tmp_path / "results")
    assert list((tmp_path / "results" / "figures").iterdir())
    assert len(cosmoinfer.read_posterior(tmp_path / "results" / "posterior.h5")) == 60
