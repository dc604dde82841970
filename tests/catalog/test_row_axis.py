"""Which axis holds the rows: files of Julia, MATLAB and Fortran, single rows without an axis, complex data."""

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions, from_arrays
from cosmoinfer.catalog.row_axis import ModelRow
from cosmoinfer.errors import UserError
from cosmoinfer.storage.encoding import RowAxis

N, K = 12, 6
RNG = np.random.default_rng(0)
THETA = RNG.uniform(size=(N, 2))
VECTOR = RNG.normal(size=(N, K))
MAPS = RNG.normal(size=(N, 3, 9, 10))
NAMES = {"names": ["a", "b"], "low": [0.0, 0.0], "high": [1.0, 1.0]}
COMPLEX = VECTOR + 1j * VECTOR[::-1]


@pytest.fixture
def make(tmp_path):
    """Writes datasets by path, and what describes the parameters; gives back the path of the file."""

    def write(datasets, **parameters):
        with h5py.File(tmp_path / "sims.h5", "w", libver="v110") as file:
            for path, values in datasets.items():
                file[path] = values
            if "parameters" in file:
                file["parameters"].attrs.update(parameters or NAMES)
        return tmp_path / "sims.h5"

    return write


def assert_same(left, right):
    assert left.fingerprint == right.fingerprint
    np.testing.assert_array_equal(left.theta, right.theta)


# ----------------------------------------------------------------------------------------- axes in reverse order
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("data", [VECTOR, MAPS])
@pytest.mark.parametrize("parameters", ["reversed", "rows first"])
def test_transpose_reverses_the_axes_that_are_reversed(make, small_memory, streamed, data, parameters):
    rows_first = catalog.read(make({"parameters": THETA, "data": data}))
    path = make({"parameters": THETA.T if parameters == "reversed" else THETA, "data": data.T})
    memory = 100 if streamed else None
    simulations = catalog.read(path, ReadOptions(transpose=True), memory=memory)
    assert_same(simulations, rows_first)
    assert any("/data: " in note and "whose axes are turned" in note for note in simulations.notes)
    from_memory = from_arrays(THETA.T, data.T, names=["a", "b"], low=[0, 0], high=[1, 1], transpose=True)
    assert from_memory.fingerprint == rows_first.fingerprint


def test_parameters_of_each_simulation_may_be_reversed(make):
    rows = {"data": VECTOR.T, "simulation": np.repeat(np.arange(4), 3)}
    turned = catalog.read(make({"parameters": THETA[:4].T, **rows}), ReadOptions(transpose=True))
    np.testing.assert_array_equal(turned.theta, np.repeat(THETA[:4], 3, axis=0))


@pytest.mark.parametrize(
    ("theta", "data", "complaint"),
    [
        (THETA.T, VECTOR.T, r"/data \(6, 12\) and parameters \(2, 12\) have axes in reverse order"),
        (THETA, VECTOR.T, r"; /data \(6, 12\) have axes in reverse order"),
        (THETA.T, VECTOR, r"; parameters \(2, 12\) have axes in reverse order"),
        (THETA, MAPS.T, r"/data \(10, 9, 3, 12\) have axes in reverse order"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_error_of_reversed_axes_names_them_and_the_setting(make, theta, data, complaint, named):
    parameters = NAMES if named else {"low": [0.0, 0.0]}
    with pytest.raises(UserError, match=rf"{complaint}, as Julia, MATLAB and Fortran write them; `transpose` turns"):
        catalog.read(make({"parameters": theta, "data": data}, **parameters))


def test_ids_of_matlab_have_two_axes(make):
    ids = np.repeat(np.arange(4), 3)
    simulations = catalog.read(make({"parameters": THETA, "data": VECTOR, "simulation": ids[None]}))
    assert simulations.simulation.tolist() == ids.astype(str).tolist()


# ----------------------------------------------------------------------------------------------------- one axis
def test_one_number_a_simulation_is_a_vector_of_one(make):
    simulations = catalog.read(make({"parameters": THETA, "data": VECTOR[:, 0]}))
    assert simulations.observables[0].values.shape == (N, 1)
    assert "/data: (12,) taken as one number a row" in simulations.notes
    assert from_arrays(THETA, VECTOR[:, 0]).observables[0].values.shape == (N, 1)


def test_one_simulation_may_lack_the_axis_of_rows(make):
    simulations = catalog.read(make({"parameters": THETA[:1], "data": VECTOR[0]}))
    np.testing.assert_array_equal(simulations.observables[0].values, VECTOR[:1])
    flat = catalog.read(make({"parameters": THETA[0], "data": VECTOR[:1]}))
    np.testing.assert_array_equal(flat.theta, THETA[:1])


def test_a_single_axis_of_which_nothing_is_known_is_refused_with_both_shapes(make):
    with pytest.raises(UserError, match=r"expected \(1, 6\) for one row of 6 numbers, or \(6, 1\) for 6 rows of one"):
        catalog.read(make({"data": VECTOR[0]}))


@pytest.mark.parametrize(
    ("stored", "row", "transpose", "expected"),
    [
        ((6,), ModelRow((6,)), False, RowAxis.ABSENT),
        ((6,), ModelRow((1,)), False, RowAxis.ONLY),
        ((9,), ModelRow((6,), is_cut=True), False, RowAxis.ABSENT),
        ((9,), ModelRow((1,), is_cut=True), False, RowAxis.ABSENT),
        ((6, 6), ModelRow((6,)), False, RowAxis.FIRST),
        ((6, 6), ModelRow((6,)), True, RowAxis.LAST),
        ((6, 9), ModelRow((6,)), True, RowAxis.LAST),
        ((9, 6), ModelRow((6,)), True, RowAxis.FIRST),
        ((8, 8), ModelRow((1, 8, 8)), False, RowAxis.ABSENT),
        ((3, 8, 8), ModelRow((3, 8, 8)), False, RowAxis.ABSENT),
        ((3, 8, 8), ModelRow((1, 8, 8)), False, RowAxis.FIRST),
        ((10, 9, 3), ModelRow((3, 9, 10)), True, RowAxis.LAST),
    ],
)
def test_the_rows_of_an_observation_are_those_that_fit_the_model(make, stored, row, transpose, expected):
    values = RNG.normal(size=stored)
    if stored == (10, 9, 3):  # a map of three channels, in reverse order, and one row
        values, expected = values[..., None], RowAxis.LAST
    read = catalog.read(make({"data": values}), ReadOptions(transpose=transpose), model_rows=[row])
    rows = {
        RowAxis.FIRST: values,
        RowAxis.LAST: values.T,
        RowAxis.ABSENT: values[None],
        RowAxis.ONLY: values[:, None],
    }[expected]
    np.testing.assert_array_equal(read.observables[0].values.reshape(rows.shape), rows)
    assert len(read) == len(rows)


# ------------------------------------------------------------------------------------------- complex and boolean
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("data", "kind", "form", "expected"),
    [
        (COMPLEX, "", "amplitude", np.abs(COMPLEX)),
        (COMPLEX, "", "parts", np.concatenate([COMPLEX.real, COMPLEX.imag], axis=1)),
        (COMPLEX, "profile", "parts", np.stack([COMPLEX.real, COMPLEX.imag], axis=1)),
        (COMPLEX[:, None], "profile", "parts", np.stack([COMPLEX.real, COMPLEX.imag], axis=1)),
        (MAPS[:, 0] * 1j, "map", "amplitude", np.abs(MAPS[:, :1])),
        (MAPS[:, 0] * (1 + 2j), "map", "parts", np.stack([MAPS[:, 0], 2 * MAPS[:, 0]], axis=1)),
        (MAPS * (1 + 2j), "map", "parts", np.concatenate([MAPS, 2 * MAPS], axis=1)),
    ],
)
def test_complex_data_are_parts_or_amplitudes(make, small_memory, streamed, data, kind, form, expected):
    path = make({"parameters": THETA, "data": data})
    simulations = catalog.read(path, ReadOptions(complex=form, kind=kind), memory=100 if streamed else None)
    np.testing.assert_array_equal(simulations.observables[0].read(np.arange(N)), expected)
    assert f"/data: complex, taken as {form}" in simulations.conversions


def test_a_note_counts_the_parts_of_complex_data_as_channels(make):
    read = catalog.read(make({"parameters": THETA, "data": MAPS[:, 0] * 1j}), ReadOptions(complex="parts"))
    assert any("2 channels of 9 x 10" in note for note in read.notes), read.notes


def test_parts_of_maps_with_channels_last_are_channels(make):
    path = make({"parameters": THETA, "data": np.moveaxis(MAPS * (1 + 2j), 1, -1)})
    simulations = catalog.read(path, ReadOptions(complex="parts", channels="last"))
    np.testing.assert_array_equal(simulations.observables[0].values, np.concatenate([MAPS, 2 * MAPS], axis=1))


def test_complex_data_are_refused_without_a_form(make):
    with pytest.raises(UserError, match=r"/data holds complex numbers; `complex=parts` reads .*, `complex=amplitude`"):
        catalog.read(make({"parameters": THETA, "data": COMPLEX}))
    with pytest.raises(UserError, match=r"complex: 'phase' is not known; there are parts, amplitude"):
        ReadOptions(complex="phase")
    assert from_arrays(THETA, COMPLEX, complex="amplitude").observables[0].row_shape == (K,)


def test_truth_values_are_numbers(make):
    simulations = catalog.read(make({"parameters": THETA > 0.5, "data": VECTOR > 0}))
    np.testing.assert_array_equal(simulations.observables[0].values, VECTOR > 0)
    np.testing.assert_array_equal(simulations.theta, THETA > 0.5)
    assert from_arrays(THETA, VECTOR > 0).fingerprint == from_arrays(THETA, (VECTOR > 0).astype(int)).fingerprint
