"""The audit: each fault planted is found, and where there is none it is silent."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog, simulators, storage
from cosmoinfer.audit import (
    CHECKS,
    LEVELS,
    QUICK_BUDGET,
    association,
    audit_before_training,
    audit_catalog,
    check,
    value_ranges,
)
from cosmoinfer.audit.association import N_MEAN_SQUARES, ridge_probe
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.split import by_hash, by_labels
from tests.command_line import call, done, linear, write
from tests.examples import linear_gaussian

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
N = 200
RNG = np.random.default_rng(0)
THETA = RNG.uniform([0.1, 0.6], [0.5, 1.0], size=(N, 2))
VECTOR = (THETA - [0.3, 0.8]) @ RNG.normal(size=(2, 5)) * 5 + RNG.normal(size=(N, 5))
READING = ReadOptions()
BOX = {  # text of fixed length is not read in another process first
    "names": np.array(["Omega_m", "sigma_8"], "S"),
    "low": [0.1, 0.6],
    "high": [0.5, 1.0],
    "prior": np.array(["uniform", "uniform"], "S"),
}


@pytest.fixture
def findings(tmp_path):
    """The audit of a good catalog in which something was changed."""

    def audit(layout=None, read_options=READING, box=BOX, classes=("TNG", "SIMBA"), full=False, **changes):
        datasets = {"parameters": THETA, "data": VECTOR, **changes}
        with h5py.File(tmp_path / "sims.h5", "w") as file:
            for name, values in datasets.items():
                if values is not None:
                    file.create_dataset(name, data=values, **(layout or {}))
            if "parameters" in file:
                file["parameters"].attrs.update(box)
            if "classes/suite" in file:
                file["classes/suite"].attrs["names"] = np.array(classes, "S")
        path = tmp_path / "sims.h5"
        return audit_catalog(catalog.read_unchecked(path, read_options), storage.describe_datasets(path), full)

    return audit


def messages_of(level, findings):
    return [finding.message for finding in findings if finding.level == level]


def changed(values, rows, columns, to):
    values = values.copy()
    values[rows, columns] = to
    return values


def serious(findings):
    return messages_of("error", findings) + messages_of("warning", findings)


@pytest.mark.parametrize("full", [False, True])
def test_a_good_catalog_has_nothing_to_look_at(findings, full):
    assert serious(findings(full=full)) == []


PLANTED = {
    "NaN in the data": (
        {"data": changed(VECTOR, [3, 8], 0, np.nan)},
        "error",
        "2 rows contain NaN or inf (row 3, 8); `drop_nonfinite` skips them",
    ),
    "inf in the parameters": (
        {"parameters": changed(THETA, 5, 0, np.inf)},
        "error",
        "1 rows contain NaN or inf (row 5)",
    ),
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
        "3 rows duplicate the data of another (row 0, 1, 2)",
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
    "zeros": ({"data": changed(np.abs(VECTOR), [1, 2, 3], 2, 0.0)}, "note", ", 3 exact zeros"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_audit_finds_planted_faults(findings, fault):
    changes, level, text = PLANTED[fault]
    assert any(text in message for message in messages_of(level, findings(**changes)))
    assert not any(text in message for message in messages_of(level, findings()))


def test_rows_of_one_simulation_may_share_parameters(findings):
    theta, simulation = np.repeat(THETA[:20], 10, axis=0), np.repeat(np.arange(20), 10)
    assert serious(findings(parameters=theta, simulation=simulation)) == []


def test_zeros_are_not_what_is_missing(findings):
    """A NaN is no number: not zero, not the smallest, and a feature that is constant but for it is constant."""
    notes = messages_of("note", findings(data=changed(np.abs(VECTOR), [1, 2], 2, np.nan)))
    assert any("positive" in text for text in notes) and not any("zeros" in text for text in notes)
    spoiled = changed(changed(VECTOR, slice(None), 1, 7.0), 4, 1, np.nan)
    assert any("/data: 1 constant features (1)" in text for text in messages_of("warning", findings(data=spoiled)))


def test_gaps_are_no_fault_where_nan_marks_them(findings):
    values = changed(np.abs(VECTOR), slice(0, N, 2), 0, np.nan)
    (broken,) = messages_of("error", findings(data=values))
    assert "100 rows contain NaN or inf" in broken and "`missing=mask`" in broken
    masked = findings(data=values, read_options=ReadOptions(missing="mask"))
    assert serious(masked) == []
    assert "/data: 10 % of its values are missing" in messages_of("note", masked)
    assert not any("zeros" in text for text in messages_of("note", masked))
    never = findings(data=changed(values, slice(None), 3, np.nan), read_options=ReadOptions(missing="mask"))
    assert serious(never) == ["/data: 1 features always missing (3); `scale_cut` cuts them off"]
    empty = findings(data=changed(values, 9, slice(None), np.nan), read_options=ReadOptions(missing="mask"))
    assert serious(empty) == [
        "1 rows contain inf, or no value that is not missing (row 9); `drop_nonfinite` skips them"
    ]


def test_rows_of_a_class_share_it(findings):
    """Two classes are not two sets of parameters that simulations share."""
    label = np.arange(N) % 2
    assert serious(findings(**{"classes/suite": label}, read_options=ReadOptions(target="suite"))) == []


def test_audit_warns_of_the_hdf5_layout(findings):
    assert "/data: float64, contiguous" in messages_of("note", findings())
    notes = messages_of("note", findings({"chunks": (50, 1), "compression": "gzip"}, data=VECTOR.astype("f4")))
    assert "/data: float32, chunks of 50 rows, gzip" in notes


def test_audit_notes_the_assumptions_of_reading(findings):
    assert "/data: taken as vector, from its 2 axes" in messages_of("note", findings())


def test_the_worst_comes_first(findings):
    ordered = findings(data=changed(changed(VECTOR, slice(None), 1, 7.0), 3, 0, np.nan))
    levels = [LEVELS.index(finding.level) for finding in ordered]
    assert levels == sorted(levels)
    assert {finding.level for finding in ordered} == set(LEVELS)


def test_ranges_are_of_the_numbers_that_are_there(tmp_path):
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["parameters"], file["data"] = [[0.2, 0.7], [0.4, np.nan]], [[1.0, np.nan], [3.0, -2.0]]
        file["parameters"].attrs.update(BOX)
    assert value_ranges(catalog.read_unchecked(tmp_path / "sims.h5", ReadOptions())) == {
        "Omega_m": "0.2..0.4, box 0.1..0.5 uniform",
        "sigma_8": "0.7..0.7, box 0.6..1 uniform",
        "/data": "vector (2,), -2..3",
    }


def test_a_prior_is_recognised_as_a_training_recognises_it(tmp_path):
    values = 0.05 * 10 ** np.linspace(0, 1, 200)
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["parameters"], file["data"] = np.column_stack([values, values]), VECTOR
    bounds = "a=0.05:0.5,b=0.05:0.5:uniform"
    read = catalog.read_unchecked(tmp_path / "sims.h5", ReadOptions(names=("a", "b"), bounds=bounds))
    ranges = value_ranges(read)
    assert ranges["a"] == "0.05..0.5, box 0.05..0.5 taken as log-uniform"
    assert ranges["b"] == "0.05..0.5, box 0.05..0.5 uniform"


def test_ranges_of_gaps_and_of_classes(tmp_path):
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["data"], file["classes/suite"] = [[1.0, np.nan], [3.0, -2.0]], [1, 1]
        file["classes/suite"].attrs["names"] = ["TNG", "SIMBA"]
    assert value_ranges(catalog.read_unchecked(tmp_path / "sims.h5", ReadOptions(target="suite", missing="mask"))) == {
        "suite": "rows of each class: TNG 0, SIMBA 2",
        "/data": "vector (2,), -2..3, 25 % missing",
    }


# ------------------------------------------------------------------------------------------------- the whole audit
G, EACH = 150, 4  # simulations, and rows of one where they are several
MANY = np.repeat(np.arange(G), EACH)
FEW_THETA, FEW_DATA = linear(G, seed=1)
ROWS_DATA = FEW_DATA[MANY] + 0.3 * np.random.default_rng(2).normal(size=(G * EACH, 8))
BY_NAME = np.array(sorted(range(N), key=str))
GROUPS_BY_NAME = np.array(sorted(range(G), key=str))
PARTS = by_hash(np.arange(N).astype(str)).partition_of(np.arange(N).astype(str))
TRAINING, TEST = np.flatnonzero(PARTS == 0), np.flatnonzero(PARTS == 2)
MAPS = 1 + 0.1 * THETA[:, :1, None, None] + THETA[:, 1, None, None, None] * RNG.normal(size=(N, 2, 8, 8))
SEVERAL = {"parameters": FEW_THETA[MANY], "data": ROWS_DATA, "simulation": MANY}


def more(column):
    """A third parameter."""
    return {
        "parameters": np.column_stack([THETA, column]),
        "box": {"names": [*BOX["names"], b"third"]},
    }


def rows(theta, which, to):
    """Rows put in the place of others."""
    return changed(theta, which, slice(None), to)


HIDDEN_PIXELS = np.isin(np.arange(MAPS.size), MAPS[0].size * np.arange(3, 6) + 5).reshape(MAPS.shape)  # one each
FAULTS = {  # what is changed, which check must find it, how serious it is, and what it says
    "parameters of other simulations": (
        {"parameters": RNG.permutation(THETA)},
        "data_parameter_association",
        "warning",
        "a ridge regression finds no dependence of the data on Omega_m, sigma_8",
    ),
    "data sorted by name": (
        {"data": VECTOR[BY_NAME]},
        "data_parameter_association",
        "error",
        "the data are sorted by name",
    ),
    "parameters sorted by name": (
        {"parameters": THETA[BY_NAME]},
        "data_parameter_association",
        "error",
        "the parameters are sorted by name",
    ),
    "sorted by name, counted from one": (
        {"data": VECTOR[np.array(sorted(range(N), key=lambda row: str(row + 1)))]},
        "data_parameter_association",
        "error",
        "the data are sorted by name",
    ),
    "simulations sorted by name": (
        SEVERAL | {"data": ROWS_DATA.reshape(G, EACH, 8)[GROUPS_BY_NAME].reshape(-1, 8)},
        "data_parameter_association",
        "error",
        "different simulations are paired",
    ),
    "a header as a row": (
        {"data": np.roll(VECTOR, 1, axis=0)},
        "data_parameter_association",
        "error",
        "shifted by one",
    ),
    "reversed": ({"data": VECTOR[::-1]}, "data_parameter_association", "error", "reversed order"),
    "parameters tiled": (
        SEVERAL | {"parameters": np.tile(FEW_THETA, (EACH, 1)), "simulation": np.tile(np.arange(G), EACH)},
        "data_parameter_association",
        "error",
        "cycles through all simulations",
    ),
    "a test row is a training row": (
        {
            "parameters": rows(THETA, TEST[:2], THETA[TRAINING[:2]]),
            "data": rows(VECTOR, TEST[:2], VECTOR[TRAINING[:2]]),
        },
        "split_leakage",
        "warning",
        f"2 rows of the test or validation partition duplicate the data of training rows (row {TEST[0]}, {TEST[1]})",
    ),
    "parameters on both sides": (
        {"parameters": rows(THETA, TEST[:3], THETA[TRAINING[:3]])},
        "split_leakage",
        "warning",
        "3 rows of the test or validation partition have the parameters of training rows",
    ),
    "no ids": (
        SEVERAL | {"simulation": None},
        "duplicate_rows",
        "warning",
        "600 simulations share 150 sets of parameters; if rows share a simulation, give `rows_per_simulation=4`",
    ),
    "NaN": (
        {"data": changed(VECTOR, [3, 8], 0, np.nan)},
        "nonfinite_values",
        "error",
        "2 rows contain NaN or inf (row 3, 8)",
    ),
    "always missing": (
        {"data": changed(VECTOR, slice(None), 2, np.nan), "read_options": ReadOptions(missing="mask")},
        "missing_data",
        "warning",
        "/data: 1 features always missing (2)",
    ),
    "constant features": (
        {"data": changed(VECTOR, slice(None), [1, 3], 7.0)},
        "constant_features",
        "warning",
        "/data: 2 constant features (1, 3); `scale_cut`",
    ),
    "nearly constant": (
        {"data": changed(VECTOR.astype("f4"), slice(None), 1, 1e7 + VECTOR[:, 1])},
        "constant_features",
        "warning",
        "/data: 1 nearly constant features (1)",
    ),
    "a constant channel": (
        {"data": changed(MAPS, slice(None), 1, 3.0)},
        "constant_features",
        "warning",
        "/data: channel 1 is the same in every row",
    ),
    "a channel twice": (
        {"data": MAPS[:, [0, 0]]},
        "duplicate_features",
        "warning",
        "/data: 1 channels are copies (channel 1 of 0)",
    ),
    "a feature twice": ({"data": VECTOR[:, [0, 1, 2, 1]]}, "duplicate_features", "warning", "copies (feature 3 of 1)"),
    "a summary twice": (
        {"data": None, "data/a": VECTOR, "data/b": VECTOR},
        "duplicate_features",
        "warning",
        "/data/b is a copy of /data/a",
    ),
    "an empty map": (
        {"data": rows(MAPS[:, 0], [5], 0.0)},
        "uniform_rows",
        "warning",
        "1 rows consist of a single value, 0 (row 5)",
    ),
    "outside the box": ({"parameters": changed(THETA, 7, 1, 1.2)}, "outside_prior_box", "error", "sigma_8 0.6"),
    "per cent": (
        {"parameters": THETA * [100, 1]},
        "outside_prior_box",
        "error",
        "(a hundredth of it would lie inside: is the box in other units?)",
    ),
    "a wide box": (
        {"box": BOX | {"high": [5.0, 1.0]}},
        "prior_mismatch",
        "warning",
        "fill 8.1 % of its box 0.1..5; if the box is that of another set",
    ),
    "another prior": (
        {
            "parameters": changed(THETA, slice(None), 0, 0.05 * 10 ** (THETA[:, 0] / 0.4 - 0.25)),
            "box": BOX | {"low": [0.05, 0.6]},
        },
        "prior_mismatch",
        "warning",
        "they are log-uniform: declare it by `bounds='Omega_m=0.05:0.5:log'`",
    ),
    "a box without high": (
        {"box": {"names": BOX["names"], "low": [0.1, 0.6]}},
        "half_open_box",
        "warning",
        "Omega_m, sigma_8: one of low and high is given",
    ),
    "a fixed parameter": (
        {"parameters": changed(THETA, slice(None), 1, 0.8)},
        "fixed_parameters",
        "warning",
        "sigma_8 never varies",
    ),
    "a fixed set": (
        {"parameters": np.tile([0.3, 0.8], (N, 1))},
        "fixed_parameters",
        "error",
        "Omega_m, sigma_8 never varies",
    ),
    "a function of another": (
        more(THETA[:, 0] ** 3),
        "derived_parameters",
        "warning",
        "third is a monotone function of Omega_m",
    ),
    "a linear function of others": (
        more(THETA[:, 0] - 2 * THETA[:, 1]),
        "derived_parameters",
        "warning",
        "third is an exact linear function of Omega_m, sigma_8",
    ),
    "a power of others": (
        more(THETA[:, 0] * THETA[:, 1] ** 2),
        "derived_parameters",
        "warning",
        "third is a power-law function of Omega_m, sigma_8",
    ),
    "a parameter of four values": (
        {"parameters": changed(THETA, slice(None), 1, 0.6 + 0.1 * (np.arange(N) * 7919 % N % 4))},
        "discrete_parameters",
        "warning",
        "sigma_8 takes 4 values only",
    ),
    "the answer among the data": (
        {"data": changed(VECTOR, slice(None), 4, 3 - 100 * THETA[:, 0]).astype("f4")},
        "target_leakage",
        "warning",
        "/data: feature 4 is Omega_m itself",
    ),
    "a number of objects among the data": (
        {"data": changed(VECTOR, slice(None), 0, np.round(1000 * THETA[:, 1] + 3 * RNG.normal(size=N)))},
        "count_leakage",
        "warning",
        "/data: feature 0, a number of objects, alone predicts sigma_8 (R2 of ranks 1.00)",
    ),
    "rows padded with zeros": (
        {"data": np.where(np.arange(40) < np.round(90 * THETA[:, :1] - 4), RNG.normal(3, 1, (N, 40)), 0)},
        "count_leakage",
        "warning",
        "/data: the number of entries before the zeros at its end, a number of objects, alone predicts Omega_m",
    ),
    "few simulations": (
        {"parameters": THETA[:100], "data": VECTOR[:100], "simulation": np.arange(1300, 1400)},
        "split_shares",
        "warning",
        "the split has 78/5/17 of 100 simulations, where 70/15/15 were meant",
    ),
    "an index among the data": (
        {"data": changed(VECTOR, slice(None), 0, np.arange(N))},
        "row_number_feature",
        "warning",
        "/data: feature 0 rises or falls monotonically with the row number",
    ),
    "a row too few": (
        {name: np.delete(values, 17, axis=0) for name, values in SEVERAL.items()},
        "simulation_ids",
        "warning",
        "1 of 150 simulations do not have 4 rows like the others: simulation 4 (3); look for",
    ),
    "ids of other rows": (
        SEVERAL | {"simulation": np.roll(MANY, 2)},
        "simulation_ids",
        "warning",
        "Omega_m, sigma_8 differs between rows of one simulation",
    ),
    "one row of another simulation": (
        SEVERAL | {"parameters": rows(FEW_THETA[MANY], [4], FEW_THETA[0])},
        "simulation_ids",
        "warning",
        "differs between rows of simulation 1, but not of the others",
    ),
    "a parameter of each row": (
        SEVERAL | {"parameters": changed(FEW_THETA[MANY], slice(None), 1, RNG.uniform(0.6, 1.0, len(MANY)))},
        "simulation_ids",
        "note",
        "sigma_8 varies within simulations, whose rows stay together in a split",
    ),
    "an id twice": (
        {"simulation": np.where(np.arange(N) == 9, 8, np.arange(N)), "parameters": rows(THETA, [9], THETA[8])},
        "simulation_ids",
        "warning",
        "simulation 8 has several rows, all others have one",
    ),
    "few rows": ({"parameters": THETA[:99], "data": VECTOR[:99]}, "too_few_rows", "warning", "only 99 rows"),
    "few test simulations": (
        {name: values[: 40 * EACH] for name, values in SEVERAL.items()},
        "empty_partition",
        "warning",
        "simulations are in the test partition",
    ),
    "nothing to test on": (
        {"split": np.arange(N) % 2},
        "empty_partition",
        "error",
        "the test partition of the split is empty",
    ),
    "a simulation in two parts": (
        SEVERAL | {"split": np.arange(G * EACH) % 3},
        "empty_partition",
        "error",
        "/split: simulation 0 is in two partitions",
    ),
    "multipoles": (
        {"data": np.tile(VECTOR[:, None], (1, 3, 2))},
        "unclear_axes",
        "error",
        "declare `kind=profile` (3 channels of 10)",
    ),
    "one class": (
        {"classes/suite": np.zeros(N, int), "read_options": ReadOptions(target="suite")},
        "class_counts",
        "error",
        "all rows are of class TNG",
    ),
    "a rare class": (
        {
            "classes/suite": np.where(VECTOR[:, 0] > np.sort(VECTOR[:, 0])[-12], 1, 0),
            "read_options": ReadOptions(target="suite"),
        },
        "class_counts",
        "warning",
        "few rows of class SIMBA (11)",
    ),
    "clipped": (
        {"data": np.minimum(VECTOR, [1e9, 1e9, 1.5, 1e9, 1e9])},
        "saturation",
        "warning",
        "have exactly the largest value 1.5 (features 2)",
    ),
    "a code for what is missing": (
        {"data": changed(VECTOR, slice(None, None, 9), 3, -99.0)},
        "saturation",
        "warning",
        "have exactly the smallest value -99 (features 3)",
    ),
    "saturated pixels": (
        {"data": np.minimum(MAPS, 2.6)},
        "saturation",
        "warning",
        "have exactly the largest value 2.6 (channels 0, 1)",
    ),
    "half precision": ({"data": VECTOR.astype("f2")}, "float_precision", "warning", "float16 keeps three digits"),
    "overflown integers": (
        {"data": np.clip(np.round(60 * VECTOR), -128, 127).astype("i1")},
        "float_precision",
        "warning",
        "int8 values reach the limits of their type (-128..127)",
    ),
    "healpy's UNSEEN": (
        {"data": np.where(HIDDEN_PIXELS, -1.6375e30, MAPS)},
        "missing_value_codes",
        "warning",
        "/data: 3 numbers in 3 rows are exactly -1.6375e+30 (row 3, 4, 5)",
    ),
    "a row in other units": (
        {"data": rows(VECTOR, [6], 1e10 * VECTOR[6])},
        "outliers",
        "warning",
        "they are left out of the scalings",
    ),
    "many rows in other units": (
        {"data": rows(VECTOR, range(40), 1e6 * VECTOR[:40])},
        "outliers",
        "warning",
        "so many rule the scalings",
    ),
    "a positive row in other units": (
        {"data": np.exp(rows(VECTOR, [6], VECTOR[6] - 230.0))},
        "outliers",
        "warning",
        "(row 6); look for other units",
    ),
    "a map in other units": (
        {"data": rows(MAPS, [6], 1e10 * MAPS[6])},
        "outliers",
        "warning",
        "(row 6); look for other units",
    ),
    "a wide range": (
        {"data": 10 ** changed(np.abs(VECTOR) % 1, [0, 1], 0, [-3, 4])},
        "dynamic_range",
        "note",
        "/data: positive, dynamic range 1e+07",
    ),
    "nearly one value": (
        {"data": changed(VECTOR, slice(2, None), 3, VECTOR[:2, 3].mean())},
        "near_constant",
        "note",
        "one value in 99 % of the rows of 1 features (3)",
    ),
    "a layout without chunks": ({}, "storage_layout", "note", "/data: float64, contiguous"),
}
WITH = {  # what another check must say of the same fault, because it is true as well
    "a test row is a training row": {"duplicate_rows"},
    "parameters on both sides": {"duplicate_rows"},
    "no ids": {"split_leakage"},
    "an empty map": {"outliers"},
    "ids of other rows": {"split_leakage"},
    "a code for what is missing": {"outliers", "missing_value_codes"},
    "healpy's UNSEEN": {"outliers"},
    "a wide range": {"data_parameter_association"},
}


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{check}-{fault}" for fault, (_, check, _, _) in FAULTS.items()])
def test_the_whole_audit_finds_a_fault_and_no_other(findings, fault):
    changes, check, level, text = FAULTS[fault]
    audited = findings(full=True, **changes)
    assert any(text in entry.message for entry in audited if (entry.check, entry.level) == (check, level)), audited
    serious_checks = {entry.check for entry in audited if entry.level != "note"}
    assert serious_checks <= {check} | WITH.get(fault, set()), audited


def test_every_check_has_a_fault_that_it_finds():
    assert {check for _, check, _, _ in FAULTS.values()} == set(CHECKS)


@pytest.mark.parametrize("name", ["maps.h5", "power_spectra.h5"])
def test_the_sample_data_have_nothing_to_look_at(name):
    path = SAMPLE_DATA / name
    assert (
        serious(audit_catalog(catalog.read_unchecked(path, ReadOptions()), storage.describe_datasets(path), full=True))
        == []
    )


def poisson(theta, *mean):
    """Numbers of clusters in bins of mass."""
    powers = np.arange(3, 3 + 3 * len(mean), 3)
    return np.random.default_rng(0).poisson(theta[:, :1] * np.array(mean) * theta[:, 1:] ** powers)


COUNTED = np.random.default_rng(1).uniform([0.1, 0.6], [0.5, 1.0], (2000, 2))
SOUND = {  # data in which rows agree by chance, or in single precision
    "three counts": poisson(COUNTED, 20, 6, 1.5),
    "five counts": poisson(COUNTED, 100, 80, 60, 50, 40),
    "sparse counts": poisson(COUNTED, *[0.3] * 12),
    "densities": poisson(COUNTED, 20, 6, 1.5) / 64.0,
    "clipped at zero": np.maximum(np.random.default_rng(0).normal(-1 + 3 * COUNTED[:, :1], 1, (2000, 3)), 0),
    "1e44": 1e44 * (1 + COUNTED[:, :1] + 0.1 * np.random.default_rng(0).normal(size=(2000, 6))),
    "an offset": 1e10 + 100 * (COUNTED[:, :1] + 0.1 * np.random.default_rng(0).normal(size=(2000, 6))),
    "int64": (1e9 + 10 * COUNTED[:, :1] + np.random.default_rng(0).normal(size=(2000, 6))).astype("i8"),
}


@pytest.mark.parametrize("data", SOUND)
def test_rows_that_agree_by_chance_are_neither_copies_nor_failed(findings, data):
    result = findings(full=True, parameters=COUNTED, data=SOUND[data])
    assert {finding.check for finding in result} & {"duplicate_rows", "split_leakage", "uniform_rows"} == set()


def test_copies_of_counts_have_the_parameters_of_their_originals_too(findings):
    data, theta = poisson(COUNTED, 20, 6, 1.5), COUNTED.copy()
    data[100:110], theta[100:110] = data[:10], theta[:10]
    texts = messages_of("warning", findings(parameters=theta, data=data))
    assert any("10 rows duplicate the data of another" in text for text in texts)


def test_failed_simulations_among_counts_are_found(findings):
    counts = np.random.default_rng(0).poisson(30, (200, 1, 5, 8))
    counts[[3, 7]] = 0
    texts = messages_of("warning", findings(full=True, parameters=COUNTED[:200], data=counts))
    assert any("2 rows consist of a single value, 0 (row 3, 7)" in text for text in texts)
    vector = np.where(np.arange(2000)[:, None] % 500 == 0, -99.0, SOUND["clipped at zero"])
    texts = messages_of("warning", findings(full=True, parameters=COUNTED, data=vector))
    assert any("4 rows consist of a single value, -99" in text for text in texts)


def test_unknown_parameters_are_named(findings):
    errors = messages_of("error", findings(parameters=rows(THETA, [2, 4], np.nan)))
    assert "2 rows contain NaN or inf (row 2, 4) in /parameters; `drop_nonfinite` skips them" in errors


TNG = ("IllustrisTNG.h5", ReadOptions())
SIMBA = (
    "SIMBA_foreign_layout.h5",
    ReadOptions(
        "LH/params",
        ("LH/SFRH",),
        names=("Omega_m", "sigma_8", "A_SN1", "A_AGN1", "A_SN2", "A_AGN2"),
        bounds="Omega_m=0.1:0.5,sigma_8=0.6:1,A_SN1=.25:4,A_AGN1=.25:4:log,A_SN2=.5:2:log,A_AGN2=.5:2:log",
    ),
)


@pytest.mark.parametrize("name, read_options", [TNG, SIMBA], ids=["TNG", "SIMBA"])
@pytest.mark.parametrize("infer", [(), ("A_AGN1", "Omega_m")], ids=["all", "some"])
def test_real_simulations_have_nothing_to_look_at(shared, name, read_options, infer):
    path = shared / "data" / "camels_sfrh" / name
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    read_options = replace(read_options, infer=infer)
    sims = catalog.select(catalog.read_unchecked(path, read_options), read_options)
    assert serious(audit_catalog(sims, storage.describe_datasets(path), full=True)) == []


def test_audit_finds_string_sorted_rows_in_real_simulations(shared, tmp_path):
    path = shared / "data" / "camels_sfrh" / "IllustrisTNG.h5"
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    sims = catalog.read(path)
    order = np.array(sorted(range(len(sims)), key=str))
    mixed = replace(sims, observables=sims.select(order).observables)
    (finding,) = audit_before_training(mixed, by_hash(sims.simulation))
    assert "(in the right order it is 0.7" in finding.text and "the data are sorted by name" in finding.text


@pytest.mark.parametrize("name", simulators.SIMULATORS)
def test_simulators_have_nothing_to_look_at(name, tmp_path):
    problem = simulators.SIMULATORS[name]
    made = (replace(problem, pixels=16) if name == "gaussian-grids" else problem).simulate(200, 1)
    arrays = {"parameters": made.theta, "data": made.data.astype(np.float32), "simulation": made.simulation}
    attributes = {"parameters": made.parameters.attributes(), "data": made.attributes}
    path = tmp_path / "sims.h5"
    storage.write(path, storage.FileContents("catalog", {}, arrays, attributes))
    read_options = ReadOptions(missing="mask" if np.isnan(made.data).any() else "")
    assert (
        serious(audit_catalog(catalog.read_unchecked(path, read_options), storage.describe_datasets(path), full=True))
        == []
    )


SIDE = np.linspace(0, 1, 15)
DESIGNS = {  # orders that have a meaning: u (N, 2) in the box
    "sorted": np.column_stack([np.sort(RNG.random(N)), RNG.random(N)]),
    "a grid": np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), axis=-1).reshape(-1, 2),
    "one at a time": np.concatenate(
        [np.column_stack([SIDE, np.full(15, 0.51)]), np.column_stack([np.full(60, 0.49), np.linspace(0, 1, 60)])]
    ),
    "one that matters": np.column_stack([RNG.random(N), RNG.random(N)]),
}


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("design", DESIGNS)
def test_an_order_that_has_a_meaning_is_no_fault(findings, design, noise):
    u = DESIGNS[design]
    matters = [1, 0] if design == "one that matters" else [1, 1]
    slope = np.random.default_rng(3).normal(size=(2, 6)) * np.array(matters)[:, None]
    x = (u - 0.5) @ slope + 0.3 * np.sin(4 * u[:, :1] + np.arange(6)) + noise * RNG.normal(size=(len(u), 6))
    reported = findings(full=True, parameters=np.array([0.1, 0.6]) + 0.4 * u, data=x)
    discrete = {"a grid": 2, "one at a time": 2}.get(design, 0)  # parameters of few values: no density, in any order
    found = [finding for finding in reported if finding.level != "note"]
    assert sum(finding.check == "discrete_parameters" for finding in found) == discrete
    expected = ("too_few_rows", "empty_partition", "split_shares", "discrete_parameters")
    assert [finding.message for finding in found if finding.check not in expected] == []


def test_what_the_data_do_not_constrain_is_a_note(findings):
    x = THETA[:, :1] * np.ones(5) + 0.1 * RNG.normal(size=(N, 5))
    reported = findings(full=True, data=x)
    assert serious(reported) == []
    assert any("no dependence of the data on sigma_8" in text for text in messages_of("note", reported))


@pytest.mark.parametrize("how", [lambda t, n: t**2 + 0.1 * n, lambda t, n: t * n], ids=["even", "scatter"])
def test_data_parameter_association_without_linear_dependence_is_no_finding(findings, how):
    """x even in theta, or of a scatter that theta scales: no slope, and no finding."""
    t = np.sign(THETA[:, :1] - 0.3) * np.abs(THETA[:, :1] - 0.3)
    assert serious(findings(full=True, data=how(10 * t, RNG.normal(size=(N, 6))))) == []


# ------------------------------------------------------------------------------------------------ before a training
def test_arrays_are_declared_by_their_arguments():
    values = np.column_stack([0.05 * 10 ** (THETA[:, 0] / 0.4 - 0.25), THETA[:, 1]])
    sims = catalog.from_arrays(values, VECTOR, low=[0.05, 0.6], high=[0.5, 9.0], prior="uniform")
    remedies = [finding.remedy for finding in audit_before_training(sims, by_hash(sims.simulation))]
    assert "they are log-uniform: declare it by `prior=log-uniform`" in remedies
    assert any(remedy.endswith("correct it by `low` and `high`") for remedy in remedies)
    assert not any("bounds" in remedy for remedy in remedies)


def test_few_rows_are_counted_by_partition_before_a_training():
    sims = catalog.from_arrays(THETA[:8], VECTOR[:8], split=[0, 0, 0, 0, 0, 0, 1, 2])
    (finding,) = audit_before_training(sims, by_labels(sims.simulation, sims.split_labels))
    assert finding.check == "too_few_rows"
    assert finding.text == "only 8 rows, of which 6 train, 1 validate and 1 test"


def test_the_audit_before_a_training_stays_within_its_budget(monkeypatch):
    """Of a large catalog it regresses on a few thousand simulations and a hundred features, so that it is quick."""
    sizes = []

    def recording_probe(features):
        sizes.append(features.shape)
        return ridge_probe(features)

    monkeypatch.setattr(association, "ridge_probe", recording_probe)
    sims = linear_gaussian(6, rows=20_000)
    sims = replace(sims, observables=(replace(sims.observables[0], values=np.tile(sims.observables[0].values, 8)),))
    noisy = replace(sims.observables[0], values=sims.observables[0].values + RNG.normal(size=(20_000, 96)))
    sims, split = replace(sims, observables=(noisy,)), by_hash(sims.simulation)
    assert audit_before_training(sims, split) == []
    ((rows, features),) = sizes
    assert rows <= QUICK_BUDGET.simulations == 2000
    assert features <= QUICK_BUDGET.features + N_MEAN_SQUARES == 144


def test_training_commands_warn_and_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theta, x = linear(300, seed=3)
    sims = write(tmp_path / "sims.h5", theta, x[np.array(sorted(range(300), key=str))])
    tiny = ("--epochs", 1, "--hidden", 4, "--layers", 1, "--threads", 1)
    for line in (
        ["train-regressor", sims, *tiny],
        ["train-flow", sims, "--flow", "maf", "--support", "soft", "--ensemble", 1, *tiny],
        ["train-density", sims, "--flow", "maf", *tiny],
    ):
        status, _, err = call(*line)
        assert status == 0
        (warning,) = [text for text in err.splitlines() if text.startswith("warning: parameters and data")]
        assert "sorted by name (0, 1, 10, 100, ...)" in warning and "sort files by number" in warning


def test_the_audit_on_the_command_line(tmp_path):
    theta, x = linear(300, seed=3)
    clean = write(tmp_path / "clean.h5", theta, x)
    mixed = write(tmp_path / "mixed.h5", theta, np.roll(x, 1, axis=0))
    unrelated = write(tmp_path / "unrelated.h5", theta, RNG.permutation(x))
    checks = {finding["check"] for finding in json.loads(done("inspect", clean, "--audit", "--json"))["findings"]}
    assert "data_parameter_association" in checks
    assert "ridge" not in done("inspect", clean)
    assert done("inspect", mixed)
    status, out, err = call("inspect", mixed, "--audit", "--json")
    (finding,) = [entry for entry in json.loads(out)["findings"] if entry["level"] == "error"]
    assert status == 1 and finding["check"] == "data_parameter_association" and "shifted by one" in finding["text"]
    assert "a training would break: parameters and data" in err
    lines = done("inspect", unrelated, "--audit").splitlines()
    (warning,) = [line for line in lines if line.startswith("warning: ")]
    assert "a ridge regression finds no dependence of the data on Omega_m, sigma_8" in warning
    assert warning.endswith(" (data_parameter_association)")


def test_an_audit_needs_no_torch(tmp_path):
    code = "import sys, cosmoinfer.audit; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("unit", [1e-45, 1e-40, 1e39, 1e200])
def test_units_are_no_fault(findings, unit):
    quiet = [entry.check for entry in findings(full=True, data=unit * VECTOR.astype(np.float64))]
    assert not set(quiet) & {"float_precision", "outliers", "constant_features", "missing_value_codes"}


@pytest.mark.parametrize(
    "data",
    [
        np.where(np.arange(N)[:, None] == 3, 1e38, np.full((N, 5), 1e-300)),  # a dynamic range beyond all numbers
        np.where(np.arange(N)[:, None] == 3, -1e300, 1e-40 * VECTOR),  # a deviation beyond all numbers
    ],
)
@pytest.mark.filterwarnings("error")
def test_ratios_beyond_all_numbers_are_infinite_without_a_warning(findings, data):
    assert findings(data=data, full=True)


def test_a_sample_of_the_rows_of_a_large_catalog_is_audited(tmp_path, monkeypatch):
    """Whole simulations of it, and a note that says so."""
    monkeypatch.setattr(check, "MAX_SAMPLED_NUMBERS", 1000)
    rows = check.sample_rows(catalog.read(write(tmp_path / "sims.h5", *linear(240, 1)), memory=1))
    assert 0 < len(rows) < 240 and not rows.is_streamed
    assert rows.notes[-1] == f"{len(rows)} of its 240 rows are audited, as it does not fit into memory"
