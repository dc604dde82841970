"""Catalogs from arrays: the checks, the rows and the fingerprint of a file that holds the same arrays."""

from dataclasses import asdict

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions, from_arrays
from cosmoinfer.errors import UserError

N = 12
RNG = np.random.default_rng(0)
THETA = np.stack([RNG.uniform(0.1, 0.5, N), RNG.uniform(0.25, 4.0, N)], axis=1)
VECTOR = RNG.normal(size=(N, 6)).astype(np.float32)
MAPS = RNG.normal(size=(N, 8, 8))
BOX = {"names": ["Omega_m", "A"], "low": [0.1, 0.25], "high": [0.5, 4.0], "prior": ["uniform", "log-uniform"]}


def from_file(path, datasets, attributes, **reading):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values).attrs.update(attributes.get(name, {}))
    return catalog.read(path, ReadOptions(**reading))


def assert_same(left, right):
    assert left.fingerprint == right.fingerprint
    assert (left.selection_hash, left.declared_priors, left.notes) == (
        right.selection_hash,
        right.declared_priors,
        right.notes,
    )
    assert (left.classes, len(left), left.memory_limit) == (right.classes, len(right), right.memory_limit)
    np.testing.assert_equal(asdict(left.hashes(np.arange(N))), asdict(right.hashes(np.arange(N))))
    for actual, expected in zip(left.observables, right.observables, strict=True):
        assert (actual.name, actual.kind, actual.periodic, actual.masked) == (
            expected.name,
            expected.kind,
            expected.periodic,
            expected.masked,
        )
        np.testing.assert_array_equal(actual.values, expected.values)
    np.testing.assert_array_equal(left.simulation, right.simulation)
    np.testing.assert_array_equal(left.split_labels, right.split_labels)
    for name in ("low", "high", "prior", "labels") if left.parameters else ():
        np.testing.assert_array_equal(getattr(left.parameters, name), getattr(right.parameters, name))


def test_arrays_are_the_catalog_that_a_file_with_them_is(tmp_path):
    read = from_file(
        tmp_path / "sims.h5",
        {"parameters": THETA, "data": VECTOR, "simulation": np.arange(N) // 3, "split": np.arange(N) % 3},
        {"parameters": BOX},
    )
    assert_same(from_arrays(THETA, VECTOR, **BOX, simulation=np.arange(N) // 3, split=np.arange(N) % 3), read)


def test_several_arrays_by_name_have_a_kind_each(tmp_path):
    read = from_file(
        tmp_path / "sims.h5",
        {"parameters": THETA, "data/spectrum": VECTOR, "data/density": MAPS},
        {"data/spectrum": {"kind": "vector"}, "data/density": {"kind": "map"}},
    )
    arrays = from_arrays(THETA, {"spectrum": VECTOR, "density": MAPS}, kind={"spectrum": "vector", "density": "map"})
    assert_same(arrays, read)
    assert [summary.name for summary in arrays.observables] == ["data/density", "data/spectrum"]


def test_without_theta_they_are_observations(tmp_path):
    read = from_file(tmp_path / "observed.h5", {"data": VECTOR}, {})
    made = from_arrays(x=VECTOR)
    assert_same(made, read)
    assert made.theta is None and made.parameters is None


def test_classes_take_the_place_of_parameters(tmp_path):
    labels = np.arange(N) % 2
    read = from_file(
        tmp_path / "sims.h5",
        {"classes/gravity": labels, "data": VECTOR},
        {"classes/gravity": {"names": ["GR", "f(R)"]}},
        target="gravity",
    )
    assert_same(from_arrays(labels, VECTOR, names=["gravity"], classes=["GR", "f(R)"]), read)


def test_one_parameter_may_be_flat_and_one_prior_serve_all():
    single = from_arrays(THETA[:, 0], VECTOR, names=["Omega_m"], low=0.1, high=0.5)
    assert single.theta.shape == (N, 1) and single.parameters.prior == ("uniform",)
    normal = from_arrays(THETA, VECTOR, prior="normal", prior_mean=[0.3, 1], prior_std=[0.1, 1])
    assert normal.parameters.prior == ("normal", "normal") and normal.parameters.mean.tolist() == [0.3, 1]


def test_gaps_are_allowed_where_they_are_declared():
    gaps = np.where(np.arange(6) == 2, np.nan, VECTOR)
    assert from_arrays(THETA, gaps, missing="mask").observables[0].masked
    with pytest.raises(UserError, match="all of its 12 rows"):
        from_arrays(THETA, gaps, drop_nonfinite=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_what_a_masked_array_hides_is_a_gap(dtype):
    """As netCDF4 gives arrays; the numbers under the mask are fill values."""
    hidden = np.broadcast_to(np.arange(6) == 2, VECTOR.shape)
    values = np.ma.masked_array((100 * VECTOR).astype(dtype), hidden)
    read = from_arrays(THETA, values, missing="mask").observables[0].array
    np.testing.assert_array_equal(read, np.where(hidden, np.nan, (100 * VECTOR).astype(dtype)))
    with pytest.raises(UserError, match="rows hold NaN or inf"):
        from_arrays(THETA, values)
    whole = np.ma.masked_array(VECTOR)
    np.testing.assert_array_equal(from_arrays(THETA, whole).observables[0].array, VECTOR)
    unknown = np.ma.masked_array(THETA, np.repeat(np.arange(N)[:, None] == 3, 2, axis=1))
    assert from_arrays(unknown, VECTOR).has_theta.tolist() == [row != 3 for row in range(N)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"theta": THETA}, "^x: expected an array"),
        ({"theta": THETA[:-1], "x": VECTOR}, "expected the same number of rows, found x 12, theta 11"),
        ({"theta": THETA, "x": VECTOR[:5, 0]}, "expected the same number of rows, found x 5, theta 12"),
        ({"x": VECTOR[:5, 0]}, r"/data has shape \(5,\); expected \(1, 5\) for one row of 5 numbers"),
        (
            {"theta": THETA, "x": VECTOR, "names": ["Omega_m"]},
            "^names: expected one name a column of theta, 2, found 1",
        ),
        ({"theta": THETA, "x": VECTOR, "low": [0.3, 0.2], "high": [0.5, 4.0]}, "rows lie outside the declared box"),
        ({"theta": THETA, "x": np.where(VECTOR > 1, np.nan, VECTOR)}, "rows hold NaN or inf"),
        ({"theta": THETA, "x": VECTOR, "kind": "picture"}, "'picture' is not known"),
        ({"theta": THETA, "x": {"a": VECTOR}, "kind": {"b": "vector"}}, "kind=b@vector: names b, and the data are a"),
        ({"x": VECTOR, "names": ["Omega_m"]}, "describe theta, which is missing"),
        ({"theta": THETA, "x": VECTOR, "simulation": np.arange(N) / 2}, "expected integers or strings"),
        ({"theta": THETA, "x": VECTOR, "split": np.arange(3)}, "found x 12, theta 12, split 3"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        from_arrays(**arguments)


def test_catalog_repr_names_rows_simulations_parameters_prior_box_and_shapes():
    sims = from_arrays(THETA, {"pk": VECTOR, "maps": MAPS}, **BOX, simulation=np.arange(N) // 3)
    assert repr(sims).splitlines() == [
        "Catalog arrays",
        "  rows: 12 of 4 simulations",
        "  parameters: Omega_m 0.1..0.5, A 0.25..4",
        "  /data/maps: map (1, 8, 8) a row",
        "  /data/pk: vector (6,) a row",
    ]
    html = sims._repr_html_()
    assert "<caption>Catalog arrays</caption>" in html and "<th>/data/pk</th><td>vector (6,) a row</td>" in html
    assert "none (observations)" in repr(from_arrays(x=VECTOR))
    assert "&lt;b&gt;" in from_arrays(THETA, VECTOR, names=["<b>", "a"])._repr_html_()


def test_a_cut_by_a_coordinate_needs_a_file():
    sims = from_arrays(THETA, VECTOR)
    assert catalog.select(sims, ReadOptions(scale_cut=("0:4",))).observables[0].row_shape == (4,)
    with pytest.raises(UserError, match="scale_cut: needs a file with a dataset /k"):
        catalog.select(sims, ReadOptions(scale_cut=("k<3",)))


def test_masked_text_is_refused():
    ids = np.ma.masked_array(["a", "b", "c"], [True, False, False])
    with pytest.raises(UserError, match="a masked array of type <U1 is not understood; expected numbers"):
        from_arrays(theta=np.zeros((3, 1)), x=np.ones((3, 2)), simulation=ids)
