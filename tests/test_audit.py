"""The audit: each fault planted is found, and where there is none it is silent."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog, storage
from cosmoinfer.audit import LEVELS, audit, ranges
from cosmoinfer.catalog import Reading

SAMPLE_DATA = Path(__file__).parent.parent / "sample_data"
N = 200
RNG = np.random.default_rng(0)
THETA = RNG.uniform([0.1, 0.6], [0.5, 1.0], size=(N, 2))
VECTOR = RNG.normal(size=(N, 5))
READING = Reading()
BOX = {"names": ["Omega_m", "sigma_8"], "low": [0.1, 0.6], "high": [0.5, 1.0], "prior": ["uniform", "uniform"]}


@pytest.fixture
def findings(tmp_path):
    """The audit of a good catalog in which something was changed."""

    def found(layout=None, reading=READING, **changes):
        datasets = {"parameters": THETA, "data": VECTOR, **changes}
        with h5py.File(tmp_path / "sims.h5", "w") as file:
            for name, values in datasets.items():
                if values is not None:
                    file.create_dataset(name, data=values, **(layout or {}))
            if "parameters" in file:
                file["parameters"].attrs.update(BOX)
        path = tmp_path / "sims.h5"
        return audit(catalog.assemble(path, reading), storage.contents(path))

    return found


def of(level, findings):
    return [finding.text for finding in findings if finding.level == level]


def changed(values, rows, columns, to):
    values = values.copy()
    values[rows, columns] = to
    return values


def serious(findings):
    return of("error", findings) + of("warning", findings)


def test_a_good_catalog_has_nothing_to_look_at(findings):
    assert serious(findings()) == []


@pytest.mark.parametrize("name", ["maps.h5", "power_spectra.h5"])
def test_the_sample_data_has_nothing_to_look_at(name):
    path = SAMPLE_DATA / name
    assert serious(audit(catalog.assemble(path, Reading()), storage.contents(path))) == []


PLANTED = {
    "NaN in the data": (
        {"data": changed(VECTOR, [3, 8], 0, np.nan)},
        "error",
        "2 rows hold NaN or inf (row 3, 8); --drop-nonfinite skips them",
    ),
    "inf in the parameters": ({"parameters": changed(THETA, 5, 0, np.inf)}, "error", "1 rows hold NaN or inf (row 5)"),
    "outside the box": (
        {"parameters": changed(THETA, [0, 7], [0, 1], 1.2)},
        "error",
        "2 rows lie outside the declared box (row 0, 7)",
    ),
    "a fixed parameter": ({"parameters": changed(THETA, slice(None), 1, 0.8)}, "warning", "sigma_8 never varies"),
    "fixed parameters": (
        {"parameters": np.tile([0.3, 0.8], (N, 1))},
        "error",
        "Omega_m, sigma_8 never varies",
    ),
    "repeated data": (
        {"data": np.concatenate([VECTOR[:3], VECTOR[:3], VECTOR[6:]])},
        "warning",
        "3 rows repeat the data of another (row 0, 1, 2)",
    ),
    "ids too many": (
        {"parameters": np.repeat(THETA[:20], 10, axis=0)},
        "warning",
        "200 simulations share 20 sets of parameters",
    ),
    "the same everywhere": ({"data": np.ones((N, 5))}, "error", "/data: the same in every row"),
    "constant features": (
        {"data": changed(VECTOR, slice(None), [1, 3], 7.0)},
        "warning",
        "/data: 2 constant features (1, 3)",
    ),
    "few rows": ({"parameters": THETA[:99], "data": VECTOR[:99]}, "warning", "only 99 rows"),
    "observations": ({"parameters": None}, "note", "no /parameters: observations"),
    "a wide range": (
        {"data": 10 ** changed(np.abs(VECTOR), [0, 1], 0, [-3, 4])},
        "note",
        "/data: positive, dynamic range 1e+07",
    ),
    "zeros": ({"data": changed(np.abs(VECTOR), [1, 2, 3], 2, 0.0)}, "note", ", 3 exact zeros"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_was_planted_is_found(findings, fault):
    changes, level, text = PLANTED[fault]
    assert any(text in found for found in of(level, findings(**changes)))
    assert not any(text in found for found in of(level, findings()))


def test_rows_of_one_simulation_may_share_parameters(findings):
    theta, simulation = np.repeat(THETA[:20], 10, axis=0), np.repeat(np.arange(20), 10)
    assert serious(findings(parameters=theta, simulation=simulation)) == []


def test_zeros_are_not_what_is_missing(findings):
    """A NaN is no number: not zero, not the smallest, and a feature that is constant but for it is constant."""
    told = of("note", findings(data=changed(np.abs(VECTOR), [1, 2], 2, np.nan)))
    assert any("positive" in text for text in told) and not any("zeros" in text for text in told)
    spoiled = changed(changed(VECTOR, slice(None), 1, 7.0), 4, 1, np.nan)
    assert "/data: 1 constant features (1)" in of("warning", findings(data=spoiled))


def test_gaps_are_no_fault_where_nan_marks_them(findings):
    values = changed(np.abs(VECTOR), slice(0, N, 2), 0, np.nan)
    (broken,) = of("error", findings(data=values))
    assert "100 rows hold NaN or inf" in broken and "--missing mask" in broken
    masked = findings(data=values, reading=Reading(missing="mask"))
    assert serious(masked) == []
    assert "/data: 10 % of its entries are gaps" in of("note", masked)
    assert not any("zeros" in text for text in of("note", masked))
    never = findings(data=changed(values, slice(None), 3, np.nan), reading=Reading(missing="mask"))
    assert serious(never) == ["/data: 1 features always missing (3)"]
    empty = findings(data=changed(values, 9, slice(None), np.nan), reading=Reading(missing="mask"))
    assert serious(empty) == ["1 rows hold inf, or nothing but gaps (row 9); --drop-nonfinite skips them"]


def test_rows_of_a_class_share_it(findings):
    """Two classes are not two sets of parameters that simulations share."""
    label = np.arange(N) % 2
    assert serious(findings(**{"classes/suite": label}, reading=Reading(target="suite"))) == []


def test_the_layout_on_disk_is_told(findings):
    assert "/data: float64, contiguous" in of("note", findings())
    told = of("note", findings({"chunks": (50, 1), "compression": "gzip"}, data=VECTOR.astype("f4")))
    assert "/data: float32, chunks of 50 rows, gzip" in told


def test_what_the_catalog_assumed_is_told(findings):
    assert "/data: taken as vector, told by its 2 axes" in of("note", findings())


def test_the_worst_comes_first(findings):
    found = findings(data=changed(changed(VECTOR, slice(None), 1, 7.0), 3, 0, np.nan))
    levels = [LEVELS.index(finding.level) for finding in found]
    assert levels == sorted(levels)
    assert {finding.level for finding in found} == set(LEVELS)


def test_ranges_are_of_the_numbers_that_are_there(tmp_path):
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["parameters"], file["data"] = [[0.2, 0.7], [0.4, np.nan]], [[1.0, np.nan], [3.0, -2.0]]
        file["parameters"].attrs.update(BOX)
    assert ranges(catalog.assemble(tmp_path / "sims.h5", Reading())) == {
        "Omega_m": "0.2..0.4, box 0.1..0.5 uniform",
        "sigma_8": "0.7..0.7, box 0.6..1 uniform",
        "/data": "vector (2,), -2..3",
    }


def test_ranges_of_gaps_and_of_classes(tmp_path):
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["data"], file["classes/suite"] = [[1.0, np.nan], [3.0, -2.0]], [1, 1]
        file["classes/suite"].attrs["names"] = ["TNG", "SIMBA"]
    assert ranges(catalog.assemble(tmp_path / "sims.h5", Reading(target="suite", missing="mask"))) == {
        "suite": "rows of each class: TNG 0, SIMBA 2",
        "/data": "vector (2,), -2..3, 25 % gaps",
    }
