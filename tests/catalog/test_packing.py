"""Packed data, as netCDF writes them: unpacked before anything is learned, with a note; fill values are gaps."""

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions, multi_file, repack
from cosmoinfer.errors import UserError

N = 40
RNG = np.random.default_rng(0)
THETA = RNG.uniform(size=(N, 2))
VALUES = RNG.normal(5, 1, size=(N, 6))
SCALE, OFFSET, FILL = 1e-3, 5.0, np.int16(-32767)
STORED = np.round((VALUES - OFFSET) / SCALE).astype("i2")
PACKED = {"scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": FILL}


def write(path, data=STORED, theta=THETA, parameters=None, name="data", ids=None, **attributes):
    with h5py.File(path, "w", libver="v110") as file:
        file[name] = data
        file[name].attrs.update(attributes)
        if theta is not None:
            file["parameters"] = theta
            file["parameters"].attrs.update({"names": ["a", "b"]} | (parameters or {}))
        if ids is not None:
            file["simulation"] = ids
    return path


def values(simulations):
    return simulations.observables[0].read(np.arange(len(simulations)))


@pytest.mark.parametrize("streamed", [False, True])
def test_packed_data_are_unpacked_in_double_precision_with_a_note(tmp_path, small_memory, streamed):
    path = write(tmp_path / "sims.h5", **PACKED)
    simulations = catalog.read(path, memory=100 if streamed else None)
    assert simulations.is_streamed == streamed
    np.testing.assert_array_equal(values(simulations), STORED * SCALE + OFFSET)
    assert simulations.observables[0].values.dtype == np.float64
    notes = " | ".join(simulations.notes)
    assert "/data: packed; a value is 0.001 * stored + 5 (scale_factor, add_offset)" in notes
    assert "/data: -32767 is its fill value (_FillValue, missing_value), and read as NaN" in notes


def test_each_file_has_its_own_scale(tmp_path):
    write(tmp_path / "sims0.h5", ids=np.arange(N), **PACKED)
    halved = np.round((VALUES - OFFSET) / (2 * SCALE)).astype("i2")
    write(tmp_path / "sims1.h5", halved, ids=np.arange(N) + N, scale_factor=2 * SCALE, add_offset=OFFSET)
    both = multi_file.read(str(tmp_path / "sims*.h5"))
    np.testing.assert_allclose(values(both)[N:], values(both)[:N], atol=1.5 * SCALE)


@pytest.mark.parametrize("key", ["_FillValue", "missing_value"])
@pytest.mark.parametrize(("dtype", "fill"), [("f8", 1e20), ("f4", 9.969209968386869e36), ("i4", -999), ("u1", 255)])
def test_a_fill_value_is_a_gap_or_is_refused_by_name(tmp_path, key, dtype, fill):
    data = np.round(20 * VALUES).astype(dtype)
    data[::7, 3] = fill
    path = write(tmp_path / "sims.h5", data, **{key: fill})
    with pytest.raises(
        UserError, match=rf"6 of 40 rows hold NaN or inf .*; /data: {fill:.6g} is its fill value".replace("+", r"\+")
    ):
        catalog.read(path)
    gaps = np.flatnonzero(np.isnan(values(catalog.read(path, ReadOptions(missing="mask")))[:, 3]))
    np.testing.assert_array_equal(gaps, np.arange(0, N, 7))
    assert len(catalog.read(path, ReadOptions(drop_nonfinite=True))) == N - 6


def test_parameters_are_unpacked_too_and_a_fill_value_among_them_is_none(tmp_path):
    theta = np.round(THETA / 1e-4).astype("i4")
    packing = {"scale_factor": 1e-4, "_FillValue": np.int32(-1)}
    simulations = catalog.read(write(tmp_path / "sims.h5", VALUES, theta, packing))
    np.testing.assert_allclose(simulations.theta, THETA, atol=1e-4)
    theta[3, 0] = -1
    path = write(tmp_path / "sims.h5", VALUES, theta, packing)
    with pytest.raises(UserError, match=r"/parameters: 1 of 40 rows hold NaN .*/parameters: -1 is its fill value"):
        catalog.read(path)


@pytest.mark.parametrize("attributes", [{"_FillValue": np.nan}, {"missing_value": np.float32(np.nan)}, {}])
def test_what_declares_nothing_is_read_as_it_is(tmp_path, attributes):
    simulations = catalog.read(write(tmp_path / "sims.h5", VALUES.astype("f4"), **attributes))
    assert simulations.observables[0].array.dtype == np.float32 and simulations.conversions == ()
    plain = catalog.read(write(tmp_path / "plain.h5", VALUES.astype("f4")))
    assert simulations.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"scale_factor": 0.0}, "the attribute scale_factor is 0"),
        ({"scale_factor": [1.0, 2.0]}, r"the attribute scale_factor holds \[1.0, 2.0\]; expected one number"),
        ({"add_offset": np.nan}, "the attribute add_offset holds .*; expected one number"),
        ({"scale_factor": "1e-3"}, "the attribute scale_factor holds the text 1e-3; expected numbers"),
    ],
)
def test_a_scale_that_is_none_is_refused(tmp_path, attributes, complaint):
    with pytest.raises(UserError, match=complaint):
        catalog.read(write(tmp_path / "sims.h5", **attributes))


def test_a_valid_range_and_a_fill_value_in_words_are_noted_and_not_applied(tmp_path):
    simulations = catalog.read(write(tmp_path / "sims.h5", VALUES, valid_min=0.0, missing_value="n/a"))
    np.testing.assert_array_equal(values(simulations), VALUES)
    assert "/data: declares valid_min, which is not applied" in simulations.notes
    assert "/data: its missing_value is text, and not applied" in simulations.notes


def test_a_packed_coordinate_is_unpacked_before_a_cut(tmp_path):
    path = write(tmp_path / "sims.h5", VALUES)
    with h5py.File(path, "a") as file:
        file["k"] = np.arange(6, dtype="i2")
        file["k"].attrs["scale_factor"] = 0.1
    assert catalog.read(path, ReadOptions(scale_cut=("k<0.25",))).observables[0].row_shape == (3,)


def test_a_repacked_catalog_is_not_unpacked_twice(tmp_path):
    path = write(tmp_path / "sims.h5", data=STORED, **PACKED)
    with h5py.File(path, "a") as file:
        file["parameters"].attrs["scale_factor"] = 2.0
    simulations = catalog.read_unchecked(path, ReadOptions())
    repack.repack(simulations, ReadOptions(), tmp_path / "copy.h5", {"command": "repack"})
    assert catalog.read(tmp_path / "copy.h5").fingerprint == catalog.read(path).fingerprint


@pytest.mark.parametrize("beside", [{}, {"_FillValue": np.nan}])
@pytest.mark.parametrize("factor", [0.5, np.array([0.25]), np.array([0.5, 1.0])])
def test_the_scale_factor_of_the_universe_is_not_packing(tmp_path, factor, beside):
    """Of floats that nothing else declares as packed it is not applied, and told; wherever it stands."""
    path = write(tmp_path / "sims.h5", VALUES, parameters={"scale_factor": factor}, scale_factor=factor, **beside)
    with h5py.File(path, "a") as file:
        file.attrs["scale_factor"] = 0.5
    simulations = catalog.read(path)
    np.testing.assert_array_equal(values(simulations), VALUES)
    np.testing.assert_array_equal(simulations.theta, THETA)
    notes = " | ".join(simulations.notes)
    assert f"/data: its scale_factor, {np.squeeze(factor)}, is not applied" in notes
    assert f"/parameters: its scale_factor, {np.squeeze(factor)}, is not applied" in notes


@pytest.mark.parametrize("beside", [{"add_offset": 0.0}, {"_FillValue": 1e20}, {"missing_value": np.float32(-999)}])
def test_floats_are_packed_beside_an_offset_or_a_fill_value(tmp_path, beside):
    path = write(tmp_path / "sims.h5", VALUES, scale_factor=0.5, **beside)
    np.testing.assert_array_equal(values(catalog.read(path)), VALUES / 2)
