"""One file a simulation, as Quijote stores power spectra, and a table of parameters by row."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from tests.command_line import done, refused

K = np.geomspace(0.01, 0.5, 20)
NAMES = "Omega_m Omega_b h n_s sigma_8"
TABLE = "latin_hypercube_params.txt"
PATTERN = "Pk/*/Pk_m_z=0.txt"


def write_folder(
    folder: Path, count: int = 24, missing: int | None = None, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (count, 5) and spectra (count, 20); the folder of one simulation may be missing."""
    stream = np.random.default_rng(3)
    theta = np.round(stream.uniform([0.1, 0.03, 0.5, 0.8, 0.6], [0.5, 0.07, 0.9, 1.2, 1.0], (count, 5)), 5)
    spectra = stream.lognormal(8, 1, (count, len(K)))
    (folder / TABLE).write_text(f"#{NAMES.replace(' ', '      ')}\n" + _lines(theta))
    for number in range(count):
        if number + first != missing:
            (folder / f"Pk/{number + first}").mkdir(parents=True)
            table = np.c_[K, spectra[number]]
            (folder / f"Pk/{number + first}/Pk_m_z=0.txt").write_text(_lines(table))
    return theta, spectra


def _lines(values: np.ndarray) -> str:
    return "".join(" ".join(f"{number:.17g}" for number in row) + "\n" for row in values)


def read(folder: Path, **settings: object) -> cosmoinfer.Catalog:
    return cosmoinfer.read_catalog(folder / PATTERN, parameters=str(folder / TABLE), **settings)


def test_a_folder_of_spectra_is_a_catalog_in_numeric_order(tmp_path: Path) -> None:
    theta, spectra = write_folder(tmp_path)
    catalog = read(tmp_path)
    assert catalog.parameters is not None and catalog.parameters.names == tuple(NAMES.split())
    np.testing.assert_array_equal(catalog.theta, theta)
    np.testing.assert_array_equal(catalog.observables[0].array, spectra)
    np.testing.assert_array_equal(catalog.simulation.astype(int), np.arange(24))
    np.testing.assert_allclose(catalog.parameters.low, [0.1, 0.03, 0.5, 0.8, 0.6])
    done("import", tmp_path / PATTERN, "--parameters", tmp_path / TABLE, "-o", tmp_path / "sims.h5")
    stored = cosmoinfer.read_catalog(tmp_path / "sims.h5")
    assert (stored.fingerprint, stored.selection_hash) == (catalog.fingerprint, catalog.selection_hash)
    with h5py.File(tmp_path / "sims.h5") as file:
        np.testing.assert_allclose(file["k"], K)
    cut = [entry.observables[0].array for entry in (read(tmp_path, scale_cut=["k<0.1"]), stored)]
    np.testing.assert_array_equal(cut[0], cut[1][:, K < 0.1])


@pytest.mark.parametrize(("missing", "first"), [(7, 0), (0, 0), (23, 0), (7, 1)])
def test_a_missing_simulation_leaves_its_row_out(tmp_path: Path, missing: int, first: int) -> None:
    theta, spectra = write_folder(tmp_path, missing=missing, first=first)
    catalog = read(tmp_path)
    kept = np.arange(24) != missing - first
    np.testing.assert_array_equal(catalog.theta, theta[kept])
    np.testing.assert_array_equal(catalog.observables[0].array, spectra[kept])
    assert any(f"without data: 1 ({missing})" in note for note in catalog.notes)


def test_parameters_are_found_by_id(tmp_path: Path) -> None:
    theta, spectra = write_folder(tmp_path, 6)
    for number in range(6):
        (tmp_path / f"Pk/{number}").rename(tmp_path / f"Pk/LH_{number}")
    order = [3, 1, 0, 2, 5, 4, 4]  # of the table, with a row too many
    rows = [f"LH_{row if place < 6 else 9}," + ",".join(map(str, theta[row])) for place, row in enumerate(order)]
    (tmp_path / TABLE).write_text("Name," + NAMES.replace(" ", ",") + "\r\n" + "\r\n".join(rows) + "\r\n")
    catalog = read(tmp_path)
    np.testing.assert_array_equal(catalog.theta, theta)
    np.testing.assert_array_equal(catalog.observables[0].array, spectra)
    assert catalog.simulation.tolist() == [f"LH_{number}" for number in range(6)]


FOLDERS: dict[str, tuple[str, str]] = {  # files in a folder, and the pattern that is named
    "numbered": ("Pk_0.txt Pk_1.txt Pk_10.txt params.txt", "Pk_*.txt"),
    "one number of two": ("Pk_0_z=0.5.txt Pk_1_z=0.5.txt", "Pk_*_z=0.5.txt"),
    "one": ("readme.md sims.h5", "sims.h5"),
    "in folders": ("readme.md 0/Pk_z=0.txt 1/Pk_z=0.txt 2/Pk_z=0.txt", "*/Pk_z=0.txt"),
    "arrays": ("maps_1.npy maps_2.npy notes.txt", "maps_*.npy"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_is_refused_by_a_pattern_of_its_files(tmp_path: Path, case: str) -> None:
    files, pattern = FOLDERS[case]
    for name in files.split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError) as caught:
        cosmoinfer.read_catalog(tmp_path)
    path = f"{tmp_path}/{pattern}"
    instead = f"name its files by a pattern, '{path}'" if "*" in pattern else f"name a file of it, as {path}"
    assert caught.value.message == f"{tmp_path}: is a folder; {instead}"


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; none of its files holds data"):
        cosmoinfer.read_catalog(tmp_path)


def test_columns_say_what_several_are(tmp_path: Path) -> None:
    write_folder(tmp_path, 6)
    for number in range(6):
        table = np.c_[K, K * number, K + number, K - number]
        (tmp_path / f"Pk/{number}/Pk_m_z=0.txt").write_text("# k [h/Mpc] P0 P2 P4\n" + _lines(table))
    with pytest.raises(UserError, match=r"20 lines of 4 columns \(k, P0, P2, P4\); `columns=coordinate=0,data=1`"):
        read(tmp_path)
    multipoles = read(tmp_path, columns="coordinate=k,data=P0,P2,P4").observables[0]
    assert multipoles.kind == "profile" and multipoles.row_shape == (3, 20)
    np.testing.assert_allclose(multipoles.array[5, 1], K + 5)
    two = read(tmp_path, columns="coordinate=0,monopole=P0,quadrupole=P2")
    assert [entry.name for entry in two.observables] == ["data/monopole", "data/quadrupole"]


def test_arrays_of_one_simulation_each_stay_in_their_files(tmp_path: Path) -> None:
    grids = np.random.default_rng(1).lognormal(size=(12, 8, 8, 8)).astype(np.float32)
    for number, grid in enumerate(grids):
        np.save(tmp_path / f"grid_{number}.npy", np.asfortranarray(grid) if number % 2 else grid.astype(">f4"))
    np.save(tmp_path / "theta.npy", np.random.default_rng(2).random((12, 2)))
    settings = ("--parameters", tmp_path / "theta.npy", "--kind", "grid")
    done("import", tmp_path / "grid_*.npy", *settings, "-o", tmp_path / "grids.h5")
    (observable,) = cosmoinfer.read_catalog(tmp_path / "grids.h5").observables
    assert observable.kind == "grid"
    np.testing.assert_array_equal(observable.array[:, 0], grids)


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one row too few": (
        lambda path: (path / TABLE).write_text("".join((path / TABLE).read_text().splitlines(True)[:-1])),
        "expected 24 rows, one a row of the data, found 23",
    ),
    "another coordinate": (
        lambda path: (path / "Pk/9/Pk_m_z=0.txt").write_text(_lines(np.c_[2 * K, K])),
        "column 0 differs from that of",
    ),
    "a line less": (
        lambda path: (path / "Pk/9/Pk_m_z=0.txt").write_text(_lines(np.c_[K, K][1:])),
        "expected 20 lines of 2 columns",
    ),
    "no match": (lambda path: (path / "Pk").rename(path / "Bk"), "no file matches"),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, fault: str) -> None:
    write_folder(tmp_path)
    spoil, complaint = REFUSALS[fault]
    spoil(tmp_path)
    assert complaint in refused(
        "import", tmp_path / PATTERN, "--parameters", tmp_path / TABLE, "-o", tmp_path / "out.h5"
    )
