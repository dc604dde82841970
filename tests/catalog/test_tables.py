"""Parameters as tables: compound datasets, frames of pandas, one dataset each."""

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions, from_arrays
from cosmoinfer.errors import UserError

N = 12
RNG = np.random.default_rng(0)
THETA = np.stack([RNG.uniform(0.1, 0.5, N), RNG.uniform(0.25, 4.0, N)], axis=1)
VECTOR = RNG.normal(size=(N, 6))
NAMES = ("Omega_m", "A")
BOX = {"low": [0.1, 0.25], "high": [0.5, 4.0], "prior": ["uniform", "log-uniform"]}


def structured(**columns):
    table = np.zeros(N, [(name, np.asarray(values).dtype) for name, values in columns.items()])
    for name, values in columns.items():
        table[name] = values
    return table


TABLE = structured(Omega_m=THETA[:, 0], A=THETA[:, 1].astype("f4"), seed=np.arange(N), code=np.array([b"GIZMO"] * N))


@pytest.fixture
def make(tmp_path):
    """Writes what a function puts into /parameters beside data; gives back the path of the file."""

    def write(fill):
        with h5py.File(tmp_path / "sims.h5", "w") as file:
            file["data"] = VECTOR
            fill(file)
        return tmp_path / "sims.h5"

    return write


def dataset(values, **attributes):
    def fill(file):
        file["parameters"] = values
        file["parameters"].attrs.update(attributes)

    return fill


def columns(attributes=None, **values):
    """One dataset a parameter; attributes of the group, or of a dataset by its name."""

    def fill(file):
        group = file.create_group("parameters")
        for name, column in values.items():
            group[name] = column
        for name, value in (attributes or {}).items():
            (group[name].attrs.update(value) if name in group else group.attrs.__setitem__(name, value))

    return fill


def frame(attributes=None, text=False):
    """As ``DataFrame.to_hdf`` lays out A, seed and Omega_m in that order: numbers of one type in a block."""

    def fill(file):
        group = file.create_group("parameters")
        group.attrs.update({"pandas_type": np.bytes_("frame"), "TITLE": h5py.Empty("S1")} | (attributes or {}))
        group["axis0"] = np.array(["A", "seed", "Omega_m"], "S")
        group["axis1"] = np.arange(N)
        group["block0_items"], group["block0_values"] = np.array(["A", "Omega_m"], "S"), THETA[:, ::-1]
        group["block1_items"], group["block1_values"] = np.array(["seed"], "S"), np.arange(N)[:, None]
        if text:
            group["block1_values"].attrs["value_type"] = np.bytes_("str")

    return fill


def read(path, **options):
    simulations = catalog.read(path, ReadOptions(**options))
    return simulations.require_parameters()


@pytest.mark.parametrize(
    ("fill", "names"),
    [
        (dataset(TABLE[["Omega_m", "A"]]), ()),
        (dataset(TABLE), NAMES),
        (dataset(TABLE, names=list(NAMES)), ()),
        (columns(Omega_m=THETA[:, 0], A=TABLE["A"]), NAMES),
        (columns({"names": list(NAMES)}, Omega_m=THETA[:, 0], A=TABLE["A"], about=np.array(b"text")), ()),
        (columns(Omega_m=THETA[:, :1], A=TABLE["A"][None], seed=np.arange(N)), NAMES),
    ],
)
def test_named_columns_are_parameters(make, fill, names):
    parameters, theta = read(make(fill), names=names)
    assert parameters.names == NAMES and theta.dtype == np.float64
    np.testing.assert_allclose(theta, THETA, rtol=1e-6)


def test_datasets_without_an_order_are_taken_by_name(make):
    parameters, theta = read(make(columns(Omega_m=THETA[:, 0], A=THETA[:, 1])))
    assert parameters.names == ("A", "Omega_m")
    np.testing.assert_array_equal(theta, THETA[:, ::-1])


def test_a_frame_of_pandas_has_its_columns_in_order(make):
    parameters, theta = read(make(frame()))
    assert parameters.names == ("A", "seed", "Omega_m")
    np.testing.assert_array_equal(theta, np.stack([THETA[:, 1], np.arange(N), THETA[:, 0]], axis=1))
    parameters, theta = read(make(frame(text=True)), names=NAMES)
    np.testing.assert_array_equal(theta, THETA)
    with pytest.raises(
        UserError, match=r"the column seed holds no numbers .*; `names=A,Omega_m` reads those of numbers"
    ):
        read(make(frame(text=True)))


def test_a_series_and_a_table_of_pandas_are_without_their_index(make):
    def series(file):
        file["parameters/index"], file["parameters/values"] = np.arange(N), THETA[:, 0]
        file["parameters"].attrs.update({"pandas_type": np.bytes_("series"), "name": np.bytes_("Omega_m")})

    def table(file):
        file["parameters/table"] = structured(index=np.arange(N), Omega_m=THETA[:, 0], A=THETA[:, 1])
        file["parameters/_i_table/index/sorted"] = np.zeros((0, 4))
        file["parameters"].attrs["pandas_type"] = np.bytes_("frame_table")

    parameters, theta = read(make(series))
    assert parameters.names == ("Omega_m",)
    np.testing.assert_array_equal(theta, THETA[:, :1])
    parameters, theta = read(make(table))
    assert parameters.names == NAMES
    np.testing.assert_array_equal(theta, THETA)


@pytest.mark.parametrize(
    "fill",
    [
        dataset(TABLE[["Omega_m", "A"]], **BOX),
        dataset(TABLE, names=list(NAMES), **BOX),
        dataset(TABLE[["A", "Omega_m"]], names=list(NAMES), **BOX),
        columns({"names": list(NAMES), **BOX}, A=THETA[:, 1], Omega_m=THETA[:, 0]),
        columns(
            {
                "names": list(NAMES),
                "Omega_m": {"low": 0.1, "high": 0.5},
                "A": {"low": 0.25, "high": 4.0, "prior": "log-uniform"},
            },
            A=THETA[:, 1],
            Omega_m=THETA[:, 0],
        ),
    ],
)
def test_box_and_prior_are_those_of_the_columns(make, fill):
    parameters, _ = read(make(fill))
    assert parameters.names == NAMES
    assert (parameters.low.tolist(), parameters.high.tolist()) == (BOX["low"], BOX["high"])
    assert parameters.prior == ("uniform", "log-uniform")


def test_some_columns_keep_their_box(make):
    parameters, theta = read(make(dataset(TABLE[["Omega_m", "A"]], **BOX)), names=("A",))
    assert (parameters.names, parameters.low.tolist(), parameters.high.tolist()) == (("A",), [0.25], [4.0])
    np.testing.assert_allclose(theta[:, 0], THETA[:, 1], rtol=1e-6)


def test_a_masked_value_of_astropy_is_missing(make):
    mask = np.arange(N) == 3
    table = structured(**{"Omega_m": THETA[:, 0], "Omega_m.mask": mask, "A": THETA[:, 1]})
    with pytest.raises(UserError, match=r"1 of 12 rows hold NaN or inf \(row 3\)"):
        read(make(dataset(table)))
    parameters, theta = read(make(dataset(table)), drop_nonfinite=True)
    assert parameters.names == NAMES and len(theta) == N - 1


@pytest.mark.parametrize(
    ("fill", "complaint"),
    [
        (dataset(TABLE), "the column code holds no numbers .*; `names=Omega_m,A,seed` reads those of numbers"),
        (columns(a=THETA), r"the column a has shape \(12, 2\); expected one number a row"),
        (columns(a=THETA[:, 0], b=THETA[:5, 0]), "the columns have different numbers of rows: a 12, b 5"),
        (columns(a=THETA[:5, 0]), "/parameters has 5 rows, the data have 12"),
        (lambda file: file.create_group("parameters"), "/parameters is an empty group; expected"),
        (columns({"low": [0.1]}, a=THETA[:, 0]), "declares low of a group, whose datasets have no order"),
        (dataset(TABLE, names=["Omega_m", "B"]), "the attribute names lists B, and the columns are Omega_m, A"),
        (dataset(structured(values_block_0=THETA[:, 0])), "a table of pandas, whose names of columns are pickled"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_and_no_observation(make, fill, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        catalog.read(make(fill))
    assert "\n" not in str(error.value)


def test_one_row_may_have_scalars(make):
    def fill(file):
        del file["data"]
        file["data"] = VECTOR[:1]
        file["parameters/A"], file["parameters/Omega_m"] = 1.0, 0.3

    np.testing.assert_array_equal(read(make(fill))[1], [[1.0, 0.3]])


def test_structured_arrays_are_tables_in_python_too():
    simulations = from_arrays(TABLE[["Omega_m", "A"]], VECTOR, low=BOX["low"], high=BOX["high"])
    parameters, theta = simulations.require_parameters()
    assert parameters.names == NAMES and parameters.low.tolist() == BOX["low"]
    np.testing.assert_allclose(theta, THETA, rtol=1e-6)
    assert from_arrays(TABLE, VECTOR, names=NAMES).parameters.names == NAMES
