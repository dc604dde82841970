"""Catalogs: our layout and other people's, and what is wrong with a file told before a training trusts it."""

import hashlib
from dataclasses import asdict

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import declared_priors

N = 12
RNG = np.random.default_rng(0)
THETA = np.stack([RNG.uniform(0.1, 0.5, N), RNG.uniform(0.25, 4.0, N)], axis=1)
VECTOR = RNG.normal(size=(N, 6)).astype(np.float32)
BOX = {"names": ["Omega_m", "A"], "low": [0.1, 0.25], "high": [0.5, 4.0], "prior": ["uniform", "log-uniform"]}


@pytest.fixture
def make(tmp_path):
    """Writes a file as anybody might: datasets by path, attributes by dataset; gives back its path.

    Text on the heap of files without checksums is read in another process first: tests/storage/test_probe.py.
    """

    def written(datasets, attributes=None, name="sims.h5", **layout):
        with h5py.File(tmp_path / name, "w", libver="v110") as file:
            for path, values in datasets.items():
                node = file.create_dataset(path, data=values, **(layout if np.ndim(values) == 2 else {}))
                node.attrs.update((attributes or {}).get(path, {}))
        return tmp_path / name

    return written


@pytest.fixture
def ours(make):
    return make({"parameters": THETA, "data": VECTOR}, {"parameters": BOX})


def fingerprint(path, **reading):
    return catalog.read(path, ReadOptions(**reading)).fingerprint


def refused(path, complaint, **reading):
    with pytest.raises(UserError, match=complaint) as error:
        catalog.read(path, ReadOptions(**reading))
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------------------------------------------------- our layout
def test_our_own_layout_needs_no_words(make):
    result = catalog.read(
        make(
            {"parameters": THETA, "data": VECTOR, "simulation": np.arange(N) // 3, "split": np.arange(N) % 3},
            {"parameters": {**BOX, "labels": [r"\Omega_m", "A"]}, "data": {"kind": "vector"}},
        )
    )
    parameters, theta = result.require_parameters()
    assert (parameters.names, parameters.labels) == (("Omega_m", "A"), (r"\Omega_m", "A"))
    assert (parameters.low.tolist(), parameters.high.tolist()) == ([0.1, 0.25], [0.5, 4.0])
    assert parameters.prior == ("uniform", "log-uniform")
    assert result.declared_priors == set(result.parameters.names)
    assert theta.dtype == np.float64
    np.testing.assert_array_equal(theta, THETA)
    np.testing.assert_array_equal(result.observables[0].values, VECTOR)
    assert result.simulation.tolist() == [str(number) for number in np.arange(N) // 3]
    assert result.split_labels.tolist() == (np.arange(N) % 3).tolist()
    assert result.index.tolist() == list(range(N))
    assert result.notes == ()
    assert len(result) == N


def test_without_ids_the_simulation_is_the_row_number(ours):
    assert catalog.read(ours).simulation.tolist() == [str(row) for row in range(N)]


@pytest.mark.parametrize("ids", [[f"LH_{row}" for row in range(N)], np.array([f"LH_{row}" for row in range(N)], "S")])
def test_ids_may_be_strings(make, ids):
    result = catalog.read(make({"data": VECTOR, "simulation": ids}))
    assert result.simulation.tolist() == [f"LH_{row}" for row in range(N)]


KINDS = {
    "vector": [((6,), (6,))],
    "profile": [((2, 6), (2, 6))],
    "map": [((8, 8), (1, 8, 8)), ((3, 8, 8), (3, 8, 8))],
    "grid": [((8, 8, 8), (1, 8, 8, 8)), ((2, 8, 8, 8), (2, 8, 8, 8))],
}
DEFAULT_KINDS = {(6,): "vector", (8, 8): "map", (3, 8, 8): "map", (2, 8, 8, 8): "grid"}


WAYS = ("in the file", "on the command line", "from its axes")
CASES = [
    (kind, *shapes, declared)
    for kind, pairs in KINDS.items()
    for shapes in pairs
    for declared in WAYS
    if declared != "from its axes" or DEFAULT_KINDS.get(shapes[0]) == kind
]


@pytest.mark.parametrize(("kind", "shape", "expected", "declared"), CASES)
def test_every_kind_is_read(make, kind, shape, expected, declared):
    values = RNG.normal(size=(N, *shape))
    path = make({"data": values}, {"data": {"kind": kind}} if declared == "in the file" else {})
    result = catalog.read(path, ReadOptions(kind=kind if declared == "on the command line" else ""))
    (summary,) = result.observables
    assert (summary.kind, summary.row_shape) == (kind, expected)
    assert (declared == "from its axes") == any(f"taken as {kind}, from its" in note for note in result.notes)
    np.testing.assert_array_equal(summary.values.ravel(), values.ravel())


def test_every_kind_of_the_table_is_tested():
    assert KINDS.keys() == catalog.kinds.AXES_OF_KIND.keys()


def test_several_summaries_stand_in_a_group(make):
    fields = RNG.normal(size=(N, 8, 8))
    result = catalog.read(make({"data/pk": VECTOR, "data/maps": fields, "parameters": THETA}, {"parameters": BOX}))
    assert [(observable.name, observable.kind, observable.row_shape) for observable in result.observables] == [
        ("data/maps", "map", (1, 8, 8)),
        ("data/pk", "vector", (6,)),
    ]


@pytest.mark.parametrize("periodic", [True, False])
def test_whether_a_map_wraps_around_is_read(make, periodic):
    path = make({"data": RNG.normal(size=(N, 8, 8))}, {"data": {"periodic": periodic}})
    assert catalog.read(path).observables[0].periodic is periodic


def test_observations_have_no_parameters(make):
    result = catalog.read(make({"data": VECTOR}))
    assert result.parameters is result.theta is None
    with pytest.raises(UserError, match=r"has no /parameters; expected a catalog with parameters, found observations"):
        result.require_parameters()


def test_assumed_names_and_boxes_are_notes(make):
    notes = catalog.read(make({"parameters": THETA, "data": VECTOR})).notes
    assert notes == (
        "/data: taken as vector, from its 2 axes",
        "/parameters: has no names; called parameter_0, parameter_1",
        "no box known for parameter_0, parameter_1: taken as unbounded (`bounds` declares one)",
    )


# ------------------------------------------------------------------------------------------------- other people's files
def test_a_foreign_layout_is_read_with_all_its_options(make):
    datasets = {"LH/params": THETA[:4], "LH/maps": RNG.normal(size=(N, 8, 8)), "LH/pk": VECTOR, "k": np.arange(6.0)}
    path = make(datasets)
    reading = ReadOptions(
        parameters="/LH/params",
        data=("/LH/pk", "LH/maps"),
        rows_per_simulation=3,
        names=("Omega_m", "A"),
        bounds="Omega_m=0.1:0.5, A=0.25:4:log",
        infer=("A",),
        scale_cut=("LH/pk@1<k<=3",),
    )
    result = catalog.read(path, reading)
    parameters, theta = result.require_parameters()
    assert (parameters.names, parameters.prior, parameters.low.tolist()) == (("A",), ("log-uniform",), [0.25])
    np.testing.assert_array_equal(theta, np.repeat(THETA[:4, 1:], 3, axis=0))
    np.testing.assert_array_equal(result.observables[0].values, VECTOR[:, [2, 3]])
    assert result.observables[1].row_shape == (1, 8, 8)
    assert result.simulation.tolist() == [str(row // 3) for row in range(N)]
    assert result.declared_priors == set(result.parameters.names)


def test_slashes_before_names_do_not_matter(make):
    path = make({"LH/params": THETA, "LH/pk": VECTOR, "LH/id": np.arange(N) + 7}, {"LH/params": BOX})
    with_slashes = ReadOptions(parameters="/LH/params", data=("/LH/pk",), simulation="/LH/id")
    without_slashes = ReadOptions(parameters="LH/params", data=("LH/pk",), simulation="LH/id")
    assert catalog.read(path, with_slashes).fingerprint == catalog.read(path, without_slashes).fingerprint
    assert catalog.read(path, with_slashes).declared_priors
    assert catalog.read(path, with_slashes).simulation[0] == "7"


def test_real_simulations_in_a_foreign_layout(shared):
    path = shared / "data" / "camels_sfrh" / "SIMBA_foreign_layout.h5"
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    names = ("Omega_m", "sigma_8", "A_SN1", "A_AGN1", "A_SN2", "A_AGN2")
    bounds = "Omega_m=0.1:0.5,sigma_8=0.6:1,A_SN1=.25:4:log,A_AGN1=.25:4:log,A_SN2=.5:2:log,A_AGN2=.5:2:log"
    result = catalog.read(
        path,
        ReadOptions(
            "/LH/params", ("/LH/SFRH",), names=names, bounds=bounds, infer=("sigma_8", "Omega_m"), scale_cut=("z<5",)
        ),
    )
    parameters, theta = result.require_parameters()
    assert parameters.names == ("sigma_8", "Omega_m")
    assert theta.shape == (1000, 2)
    assert theta.mean(axis=0) == pytest.approx([0.8, 0.3], abs=1e-3)  # a Latin hypercube fills its box evenly
    assert result.observables[0].row_shape == (71,)  # of z = linspace(0, 7, 100)
    refused(path, r"has no /data; it holds /LH/SFRH \(1000, 100\), /LH/params \(1000, 6\), /z \(100,\); .*`data`")


def test_real_simulations_in_our_layout(shared):
    path = shared / "data" / "camels_sfrh" / "IllustrisTNG.h5"
    if not path.is_file():
        pytest.skip(f"no real data: {path} does not exist")
    result = catalog.read(path)
    assert result.parameters.prior == ("uniform", "uniform", *["log-uniform"] * 4)
    assert result.theta.shape == (1000, 6)
    assert result.declared_priors == set(result.parameters.names)


def test_parameters_may_be_one_row_a_simulation(make):
    ids = RNG.permutation(np.repeat(np.arange(4), 3))
    result = catalog.read(make({"parameters": THETA[:4], "data": VECTOR, "simulation": ids}))
    np.testing.assert_array_equal(result.theta, THETA[ids])
    result = catalog.read(make({"parameters": THETA[:4], "data": VECTOR}), ReadOptions(rows_per_simulation=3))
    np.testing.assert_array_equal(result.theta, THETA[np.arange(N) // 3])


@pytest.mark.parametrize("ids", [np.arange(N) // 3 + 1, [f"LH_{row // 3}" for row in range(N)], np.arange(N) // 4])
def test_which_parameters_belong_to_a_row_is_not_guessed(make, ids):
    path = make({"parameters": THETA[:4], "data": VECTOR, "simulation": ids})
    refused(path, r"/parameters has 4 rows, the data have 12; expected the same number, or one row a simulation")


def test_one_parameter_may_stand_without_a_second_axis(make):
    path = make({"parameters": THETA[:, 0], "data": VECTOR}, {"parameters": {"names": "a", "low": 0.1, "high": 0.5}})
    parameters, theta = catalog.read(path).require_parameters()
    assert (parameters.names, parameters.high.tolist(), theta.shape) == (("a",), [0.5], (N, 1))


@pytest.mark.parametrize("named", [True, False])
def test_new_names_of_the_columns_keep_box_and_prior(make, named):
    declared = BOX | {"labels": [r"\Omega_m", "A"]} if named else {key: BOX[key] for key in ("low", "high", "prior")}
    path = make({"parameters": THETA, "data": VECTOR}, {"parameters": declared})
    renamed = catalog.read(path, ReadOptions(names=("x", "y")))
    parameters, _ = renamed.require_parameters()
    assert (parameters.names, parameters.labels) == (("x", "y"), ("x", "y"))
    assert (parameters.low.tolist(), parameters.high.tolist()) == (BOX["low"], BOX["high"])
    assert parameters.prior == ("uniform", "log-uniform")
    assert renamed.declared_priors == {"x", "y"}
    assert ("/parameters: the columns Omega_m, A are called x, y" in renamed.notes) == named


@pytest.mark.parametrize("names", [("A", "Omega_m"), ("x", "Omega_m"), ("A", "x")])
def test_the_name_of_another_column_is_no_new_name(ours, names):
    refused(ours, "renames columns in their order; `infer` picks and orders them", names=names)


@pytest.mark.parametrize(
    ("bounds", "low", "high", "prior"),
    [
        ("Omega_m=0:1", [0, 0.25], [1, 4], ("uniform", "log-uniform")),
        ("A=1e-3:1e3:log", [0.1, 1e-3], [0.5, 1e3], ("uniform", "log-uniform")),
        ("A=1e-3:1e3:log-uniform", [0.1, 1e-3], [0.5, 1e3], ("uniform", "log-uniform")),
        ("A=0.25:4", [0.1, 0.25], [0.5, 4], ("uniform", "uniform")),
        (" A = -1 : inf ,Omega_m=-inf:inf", [-np.inf, -1], [np.inf, np.inf], ("unknown", "unknown")),
    ],
)
def test_bounds_replace_the_box_of_the_file(ours, bounds, low, high, prior):
    parameters, _ = catalog.read(ours, ReadOptions(bounds=bounds)).require_parameters()
    assert (parameters.low.tolist(), parameters.high.tolist(), parameters.prior) == (low, high, prior)
    assert declared_priors(bounds) == ({"A"} if ":log" in bounds else frozenset())


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ("A=0.25", "^bounds: 'A=0.25' is not understood"),
        ("A=0.25:4:flat", "^bounds: 'A=0.25:4:flat' is not understood"),
        ("A=0.25:four", "^bounds: 'A=0.25:four' holds no two numbers"),
        ("A=4:0.25", "A: the box 4..0.25 is empty"),
        ("A=0:4:log", "positive bounds"),
        ("B=0:1", "no parameter is named B; there are Omega_m, A"),
        ("A=0.25:4,", "^bounds: '' is not understood"),
    ],
)
def test_invalid_bounds_are_refused(ours, bounds, complaint):
    refused(ours, complaint, bounds=bounds)


def test_inferring_some_keeps_the_order_asked_for(ours):
    parameters, theta = catalog.read(ours, ReadOptions(infer=("A", "Omega_m"))).require_parameters()
    assert (parameters.names, parameters.prior) == (("A", "Omega_m"), ("log-uniform", "uniform"))
    np.testing.assert_array_equal(theta, THETA[:, ::-1])
    refused(ours, "no parameter is named B", infer=("B",))


# ---------------------------------------------------------------------------------------------------------- scale cuts
@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ("0:4", [0, 1, 2, 3]),
        ("2:", [2, 3, 4, 5]),
        (":1", [0]),
        ("k<0.3", [0, 1, 2]),
        ("k<=0.3", [0, 1, 2, 3]),
        ("k > 3e-1", [4, 5]),
        ("k>=.3", [3, 4, 5]),
        ("0.1<k<0.3", [2]),
        ("0.1 <= k <= 0.3", [1, 2, 3]),
        ("0.3>k", [0, 1, 2]),
        ("0.3>=k>+0.0", [1, 2, 3]),
        ("-1.<k", [0, 1, 2, 3, 4, 5]),
        ("coordinates/ell<250", [0, 1, 2]),
        ("data@k<0.3", [0, 1, 2]),
    ],
)
def test_a_scale_cut_selects_features(make, cut, kept):
    path = make({"data": VECTOR, "k": np.arange(6) / 10, "coordinates/ell": np.arange(6) * 100})
    np.testing.assert_array_equal(
        catalog.read(path, ReadOptions(scale_cut=(cut,))).observables[0].values, VECTOR[:, kept]
    )


def test_a_profile_is_cut_along_its_last_axis(make):
    values = RNG.normal(size=(N, 2, 6))
    path = make({"data": values, "r": np.arange(6.0)}, {"data": {"kind": "profile"}})
    np.testing.assert_array_equal(
        catalog.read(path, ReadOptions(scale_cut=("r>2",))).observables[0].values, values[..., 3:]
    )


@pytest.mark.parametrize(
    ("cut", "complaint"),
    [
        ("k<0", r"^scale_cut=k<0: keeps none of the 6 features of /data"),
        ("6:", "^scale_cut='6:': keeps none"),
        ("3:9", "^scale_cut=3:9: /data has 6 features, numbered 0 to 5"),
        ("k", "^scale_cut: 'k' is not understood; expected 0:40, k<0.3 or 0.02<k<0.3"),
        ("k<", "^scale_cut: 'k<' is not understood"),
        ("k<.", r"^scale_cut: 'k<\.' is not understood"),
        ("0.1<0.3", "^scale_cut: '0.1<0.3' is not understood"),
        ("-2:", "^scale_cut: '-2:' is not understood"),
        ("q<1", r"^scale_cut=q<1: .*has no dataset /q; it holds /data, /edges, /k"),
        ("edges<1", r"/edges has shape \(7,\); expected \(6,\), one a feature"),
        (
            "other@0:4",
            r"^scale_cut=other@0:4: expected one vector or profile to cut \(NAME@...\); the catalog has: data",
        ),
    ],
)
def test_invalid_scale_cuts_are_refused(make, cut, complaint):
    refused(make({"data": VECTOR, "k": np.arange(6.0), "edges": np.arange(7.0)}), complaint, scale_cut=(cut,))


def test_a_scale_cut_of_several_observables_names_its_observable(make):
    path = make({"data/pk": VECTOR, "data/bk": 2 * VECTOR, "data/maps": RNG.normal(size=(N, 8, 8))})
    for name in ("pk", "data/pk"):
        sizes = {
            observable.name: observable.row_shape
            for observable in catalog.read(path, ReadOptions(scale_cut=(f"{name}@0:4",))).observables
        }
        assert sizes == {"data/bk": (6,), "data/maps": (1, 8, 8), "data/pk": (4,)}
    cut = catalog.read(path, ReadOptions(scale_cut=("pk@0:4", "bk@5:"))).observables
    assert [observable.row_shape for observable in cut] == [(1,), (1, 8, 8), (4,)]
    for ambiguous in ("0:4", "maps@0:4"):
        refused(path, f"^scale_cut={ambiguous}: .* the catalog has: data/bk, data/pk", scale_cut=(ambiguous,))


# --------------------------------------------------------------------------------------------- what a training refuses
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["parameters", "data"])
def test_rows_without_numbers_are_counted_and_can_be_dropped(make, value, where):
    datasets = {"parameters": THETA.copy(), "data": VECTOR.copy(), "simulation": np.arange(N) // 2}
    datasets["split"] = np.arange(N, dtype=np.uint8) % 3
    datasets[where][[2, 7], [0, 1]] = value
    path = make(datasets)
    refused(path, r"2 of 12 rows hold NaN or inf \(row 2, 7\); `drop_nonfinite`")
    result = catalog.read(path, ReadOptions(drop_nonfinite=True))
    kept = [row for row in range(N) if row not in (2, 7)]
    assert result.index.tolist() == kept
    assert result.simulation.tolist() == [str(row // 2) for row in kept]
    assert result.split_labels.tolist() == [row % 3 for row in kept]
    np.testing.assert_array_equal(result.theta, THETA[kept])
    np.testing.assert_array_equal(result.observables[0].values, VECTOR[kept])
    assert "left out 2 rows with NaN or inf (row 2, 7)" in result.notes


def test_without_an_id_a_dropped_row_moves_no_other(make):
    values = VECTOR.copy()
    values[0] = np.nan
    result = catalog.read(make({"data": values}), ReadOptions(drop_nonfinite=True))
    assert result.simulation[0] == "1"


def test_a_catalog_of_nan_is_no_catalog(make):
    refused(make({"data": np.full((N, 3), np.nan)}), "all of its 12 rows", drop_nonfinite=True)


def test_rows_outside_the_prior_box_are_refused(make):
    theta = THETA.copy()
    theta[[3, 9], [1, 0]] = [4.5, 0.05]
    path = make({"parameters": theta, "data": VECTOR}, {"parameters": BOX})
    refused(path, r"2 rows lie outside the declared box \(row 3, 9\); A = 4.5 is not in 0.25..4")


def test_outside_the_box_the_row_number_is_that_of_the_file(make):
    theta, values = THETA.copy(), VECTOR.copy()
    values[0], theta[9, 0] = np.nan, 0.05
    path = make({"parameters": theta, "data": values}, {"parameters": BOX})
    refused(path, r"1 rows lie outside the declared box \(row 9\); Omega_m = 0.05", drop_nonfinite=True)


@pytest.mark.parametrize(
    ("datasets", "reading", "complaint"),
    [
        ({"data/a": VECTOR, "data/b": VECTOR[1:]}, {}, "different numbers of rows: /data/a 12, /data/b 11"),
        ({"data": VECTOR, "split": np.zeros(3)}, {}, r"/split has 3 rows, the data have 12"),
        ({"data": VECTOR, "simulation": np.arange(3)}, {}, r"/simulation has shape \(3,\); expected \(12,\)"),
        ({"data": VECTOR, "simulation": np.arange(12.0)}, {}, "has type float64; expected integers or strings"),
        ({"data": VECTOR, "parameters": THETA[:5]}, {}, "/parameters has 5 rows, the data have 12"),
        ({"data": VECTOR, "parameters": THETA[:, :, None]}, {}, r"/parameters has shape \(12, 2, 1\)"),
        ({"data": VECTOR, "parameters": THETA}, {"names": ("a",)}, "/parameters has 2 columns, `names` has 1"),
        ({"data": VECTOR}, {"parameters": "p"}, "has no dataset /p; it holds /data"),
        ({"data": VECTOR}, {"data": ("x",)}, r"has no dataset /x; it holds /data \(12, 6\)"),
        ({"data": VECTOR}, {"simulation": "id"}, "has no dataset /id; it holds /data"),
        ({"data": VECTOR}, {"kind": "map"}, r"/data has rows of shape \(6,\), which is no map"),
        ({"data": VECTOR}, {"rows_per_simulation": 5}, "12 rows are no multiple of `rows_per_simulation=5`"),
        ({"data": VECTOR[:0]}, {}, "/data has no rows"),
        ({"data": VECTOR[:, 0]}, {}, r"/data has shape \(12,\); expected \(1, 12\) for one row .* or \(12, 1\) for 12"),
        ({"data": np.zeros((3,) * 6)}, {}, r"/data has 6 axes; expected 2 to 5 \(rows first\)"),
        ({"data": np.float64(1)}, {}, r"/data is a single number; expected \(1, 1\)"),
        ({"data": [["a"]] * 12}, {"kind": "vector"}, "expected numbers"),
        ({"other": VECTOR}, {}, r"has no /data; it holds /other \(12, 6\); `data` names the datasets"),
        ({}, {}, "has no /data; it holds nothing"),
    ],
)
def test_inconsistent_datasets_are_refused(make, datasets, reading, complaint):
    refused(make(datasets), complaint, **reading)


def test_an_unknown_kind_of_data_is_refused(make):
    refused(make({"data": VECTOR}, {"data": {"kind": "image"}}), "is of kind 'image'; there are vector, profile, map")


def test_names_in_the_file_must_count_its_columns(make):
    path = make({"data": VECTOR, "parameters": THETA}, {"parameters": {"names": ["a", "b", "c"]}})
    refused(path, "/parameters has 2 columns, the attribute names has 3")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("kind", "image", "'image' is not known; there are vector, profile, map, grid"),
        ("rows_per_simulation", -3, "expected at least 1, found -3"),
        ("missing", "fill", "'fill' is not known; there is mask"),
    ],
)
def test_a_reading_checks_itself(setting, value, message):
    with pytest.raises(UserError) as caught:
        ReadOptions(**{setting: value})
    assert (caught.value.setting, caught.value.message) == (setting, message)


# -------------------------------------------------------------------------------------------------- fingerprint, hashes
def test_the_fingerprint_does_not_see_how_a_file_is_packed(make, ours):
    datasets, attributes = {"parameters": THETA, "data": VECTOR}, {"parameters": BOX}
    for layout in ({"chunks": (5, 2)}, {"compression": "gzip", "shuffle": True}, {"dtype": np.float64}):
        assert fingerprint(make(datasets, attributes, "repacked.h5", **layout)) == fingerprint(ours)
    assert fingerprint(make({**datasets, "data": VECTOR.astype(">f8")}, attributes, "big.h5")) == fingerprint(ours)


def test_the_fingerprint_of_a_manifest_of_parts_is_that_of_the_whole(make, tmp_path, ours):
    layout = h5py.VirtualLayout(VECTOR.shape, VECTOR.dtype)
    for number, rows in enumerate((slice(0, 5), slice(5, N))):
        source = make({"data": VECTOR[rows]}, name=f"part{number}.h5")
        layout[rows] = h5py.VirtualSource(source.name, "data", VECTOR[rows].shape)
    manifest = make({"parameters": THETA}, {"parameters": BOX}, "manifest.h5")
    with h5py.File(manifest, "a") as file:
        file.create_virtual_dataset("data", layout)
    refused(manifest, "/data has values in part0.h5, part1.h5, which `follow_links` reads")
    assert fingerprint(manifest, follow_links=True) == fingerprint(ours)
    (tmp_path / "part1.h5").unlink()
    refused(manifest, "a source of .data is missing: part1.h5", follow_links=True)


def test_the_fingerprint_sees_every_value(make, ours):
    changed_theta, changed_data = THETA.copy(), VECTOR.copy()
    changed_theta[-1, -1] = np.nextafter(THETA[-1, -1], 0)
    changed_data[-1, -1] = np.nextafter(VECTOR[-1, -1], np.float32(0))
    datasets = {"parameters": THETA, "data": VECTOR}
    variants = [
        {**datasets, "parameters": changed_theta},
        {**datasets, "data": changed_data},
        {"parameters": THETA[::-1], "data": VECTOR[::-1]},
        {"parameters": THETA[:-1], "data": VECTOR[:-1]},
        {**datasets, "simulation": np.arange(N) // 2},
        {"data": VECTOR},
    ]
    fingerprints = [fingerprint(make(variant, {"parameters": BOX}, "other.h5")) for variant in variants]
    renamed = fingerprint(make(datasets, {"parameters": {**BOX, "names": ["Omega_m", "B"]}}, "other.h5"))
    as_profile = fingerprint(
        make({**datasets, "data": VECTOR[:, None]}, {"parameters": BOX}, "other.h5"), kind="profile"
    )
    assert len({fingerprint(ours), renamed, as_profile, *fingerprints}) == len(variants) + 3


def test_the_fingerprint_is_of_the_whole_file_whatever_a_run_uses_of_it(ours):
    assert fingerprint(ours, infer=("A",), scale_cut=("0:2",)) == fingerprint(ours)


def test_the_fingerprint_does_not_depend_on_how_much_is_read_at_once(ours, monkeypatch):
    expected = fingerprint(ours)
    monkeypatch.setattr(catalog.catalog, "MAX_BLOCK_NUMBERS", 20)
    assert fingerprint(ours) == expected


def test_the_fingerprint_is_sha_256_of_what_the_design_names(ours):
    sha = hashlib.sha256(b"('Omega_m', 'A')" + THETA.astype("<f8").tobytes())
    sha.update("\n".join(str(row) for row in range(N)).encode())
    sha.update(b"('vector', (6,))" + VECTOR.astype("<f8").tobytes())
    assert fingerprint(ours) == sha.hexdigest()


def test_a_copy_of_a_row_is_recognised_wherever_it_turns_up(make, ours):
    result = catalog.read(ours)
    hashes = result.hashes(np.arange(N))
    assert len(np.unique(np.column_stack([hashes.theta, hashes.data]))) == 3 * N
    copies = catalog.read(make({"parameters": THETA[::-1], "data": VECTOR[::-1].astype(float)}, {}, "copy.h5"))
    turned = np.arange(N)[::-1]
    np.testing.assert_equal(asdict(copies.hashes(np.arange(N))), asdict(hashes.select(turned)))
    np.testing.assert_equal(asdict(result.hashes(np.array([7, 2]))), asdict(hashes.select(np.array([7, 2]))))
    observed = catalog.read(make({"data": VECTOR[3:4]}, {}, "observed.h5")).hashes(np.array([0]))
    assert observed.theta.tolist() == [0] and observed.data.tolist() == hashes.data[3:4].tolist()


def test_blocks_are_all_the_rows_in_order(ours, monkeypatch):
    monkeypatch.setattr(catalog.catalog, "MAX_BLOCK_NUMBERS", 20)
    rows = np.array([4, 2, 9, 9, 0, 7, 1])
    blocks = list(catalog.read(ours).observables[0].blocks(rows))
    assert [len(block) for block in blocks] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), VECTOR[rows])


def test_taking_rows_takes_everything(make):
    datasets = {"parameters": THETA, "data": VECTOR, "simulation": np.arange(N) * 10, "split": np.arange(N) % 3}
    result = catalog.read(make(datasets)).select(np.array([5, 1]))
    assert (result.index.tolist(), result.simulation.tolist(), result.split_labels.tolist()) == (
        [5, 1],
        ["50", "10"],
        [2, 1],
    )
    np.testing.assert_array_equal(result.theta, THETA[[5, 1]])
    np.testing.assert_array_equal(result.observables[0].values, VECTOR[[5, 1]])
    assert len(result) == 2


# ------------------------------------------------------------------------------------------------------------- classes
LABELS = np.arange(N) % 3


@pytest.mark.parametrize("target", ["suite", "classes/suite", "/classes/suite", "labels"])
def test_a_target_takes_the_place_of_the_parameters(make, target):
    datasets = {"parameters": THETA, "data": VECTOR, "classes/suite": LABELS, "labels": LABELS}
    names = ["TNG", "SIMBA", "Astrid"]
    result = catalog.read(
        make(datasets, {"classes/suite": {"names": names}, "parameters": BOX}), ReadOptions(target=target)
    )
    assert result.classes == (("0", "1", "2") if target == "labels" else tuple(names))
    assert result.parameters.names == (("labels",) if target == "labels" else ("suite",))
    np.testing.assert_array_equal(result.theta, LABELS[:, None])
    assert result.theta.dtype == np.float64 and not result.declared_priors


def test_without_a_target_classes_are_not_looked_at(make):
    result = catalog.read(make({"parameters": THETA, "data": VECTOR, "classes/suite": LABELS}))
    assert result.classes == () and result.theta.shape == (N, 2)


def test_an_observation_has_no_class(make):
    """Not even where its parameters are known."""
    result = catalog.read(make({"data": VECTOR, "parameters": THETA}), ReadOptions(target="suite"))
    assert result.parameters is result.theta is None and result.classes == ()


@pytest.mark.parametrize(
    ("labels", "names", "complaint"),
    [
        (LABELS[:5], None, r"/classes/suite has shape \(5,\) of int64; expected \(12,\) integers"),
        (LABELS.astype(float), None, "of float64; expected"),
        (LABELS[:, None], None, r"has shape \(12, 1\)"),
        (LABELS - 1, None, "class numbers count from 0, found -1"),
        (LABELS, ["a", "b"], "has class numbers up to 2, and 2 names of classes"),
        (np.zeros(N, int), None, "has a single class; a classifier needs two"),
        (np.zeros(N, int), "a", "has a single class; a classifier needs two"),
    ],
)
def test_invalid_class_labels_are_refused(make, labels, names, complaint):
    attributes = {"classes/suite": {"names": names}} if names else {}
    refused(make({"data": VECTOR, "classes/suite": labels}, attributes), complaint, target="suite")


def test_an_unknown_target_class_is_refused_with_the_known_ones(make):
    path = make({"data": VECTOR, "classes/suite": LABELS, "classes/run": LABELS})
    refused(path, "has no /classes/site; there are run, suite", target="site")


@pytest.mark.parametrize("settings", [{"infer": ("a",)}, {"bounds": "a=0:1"}, {"names": ("a",)}])
def test_a_target_has_no_parameters_to_choose_from(settings):
    with pytest.raises(UserError, match=r"^target: replaces the parameters"):
        ReadOptions(target="suite", **settings)


# ---------------------------------------------------------------------------------------------------------------- gaps
@pytest.fixture
def gappy(make):
    values = VECTOR.copy()
    values[2, [0, 3]], values[5, 1:] = np.nan, np.nan
    return make({"parameters": THETA, "data": values}, {"parameters": BOX})


def test_nan_is_missing_data_with_missing_mask(gappy):
    refused(gappy, r"2 of 12 rows hold NaN or inf \(row 2, 5\).*`missing=mask`", drop_nonfinite=False)
    result = catalog.read(gappy, ReadOptions(missing="mask"))
    assert len(result) == N and result.observables[0].masked
    assert np.isnan(result.observables[0].values).sum() == 7
    again = catalog.read(gappy, ReadOptions(missing="mask"))
    np.testing.assert_equal(asdict(result.hashes(np.arange(N))), asdict(again.hashes(np.arange(N))))
    assert result.fingerprint == again.fingerprint


@pytest.mark.parametrize("fault", ["inf", "all"])
def test_a_row_without_a_number_or_with_inf_is_refused_all_the_same(make, fault):
    values = VECTOR.copy()
    values[4, 1 if fault == "inf" else slice(None)] = np.inf if fault == "inf" else np.nan
    values[7, 0] = np.nan
    path = make({"parameters": THETA, "data": values})
    refused(path, r"1 of 12 rows hold NaN or inf \(row 4\); `drop_nonfinite` leaves them out$", missing="mask")
    result = catalog.read(path, ReadOptions(missing="mask", drop_nonfinite=True))
    assert result.index.tolist() == [row for row in range(N) if row != 4]


def test_a_number_beyond_all_others_is_as_good_as_infinite(make):
    values = VECTOR.astype(np.float64) * 1e-50  # in any unit
    values[4, 1] = 1e-10
    path = make({"parameters": THETA, "data": values})
    refused(
        path, r"1 of 12 rows hold numbers that exceed all others beyond single precision \(row 4\); `drop_nonfinite`"
    )
    result = catalog.read(path, ReadOptions(drop_nonfinite=True))
    assert result.index.tolist() == [row for row in range(N) if row != 4]
    assert len(catalog.read(make({"parameters": THETA, "data": VECTOR.astype(np.float64) * 1e200}), ReadOptions())) == N


def test_a_parameter_is_never_missing(make):
    theta = THETA.copy()
    theta[3, 0] = np.nan
    refused(
        make({"parameters": theta, "data": VECTOR}),
        r"/parameters: 1 of 12 rows hold NaN or inf \(row 3\)",
        missing="mask",
    )


def test_rows_whose_parameters_are_all_nan_are_observations(make):
    theta = THETA.copy()
    theta[[3, 5]] = np.nan
    result = catalog.read(make({"parameters": theta, "data": VECTOR}, BOX))
    assert np.flatnonzero(~result.has_theta).tolist() == [3, 5] and result.hashes(np.arange(N)).theta[3] == 0
    with pytest.raises(UserError, match=r"/parameters are NaN in 2 of 12 rows \(row 3, 5\).*`drop_nonfinite`"):
        result.require_parameters()
    dropped = catalog.read(make({"parameters": theta, "data": VECTOR}, BOX), ReadOptions(drop_nonfinite=True))
    assert len(dropped) == N - 2 and dropped.has_theta.all()
    for options in (ReadOptions(), ReadOptions(drop_nonfinite=True), ReadOptions(infer=("A",))):
        observed = catalog.read(make({"parameters": np.full((N, 2), np.nan), "data": VECTOR}, BOX), options)
        assert observed.theta is observed.parameters is None and len(observed) == N
    with pytest.raises(UserError, match="/parameters are NaN in every row"):
        observed.require_parameters()


def test_observations_have_no_parameters_to_infer(make):
    """A model that infers some parameters reads observations with its own options."""
    observed = catalog.read(make({"data": VECTOR}), ReadOptions(infer=("a",)))
    assert observed.theta is None and not observed.has_theta.any()


def test_gaps_are_for_data_of_any_kind(make):
    fields = RNG.normal(size=(N, 8, 8))
    fields[3, 0, 0] = np.nan
    path = make({"data/maps": fields, "data/pk": VECTOR})
    refused(path, r"1 of 12 rows hold NaN or inf \(row 3\).*`missing=mask` reads NaN as not measured")
    assert all(observable.masked for observable in catalog.read(path, ReadOptions(missing="mask")).observables)


def test_data_include_noise_is_an_option_of_reading(ours):
    assert (
        not catalog.read(ours).includes_noise
        and catalog.read(ours, ReadOptions(data_include_noise=True)).includes_noise
    )
    assert fingerprint(ours, data_include_noise=True) == fingerprint(ours)


# ------------------------------------------------------------------------------------------------------------- writing
@pytest.mark.parametrize("with_parameters", [True, False])
def test_a_catalog_that_is_written_is_read_without_words(tmp_path, ours, with_parameters):
    source = catalog.read(ours)
    fields = RNG.normal(size=(5, 1, 4, 4))
    described = catalog.Observable("data", "map", fields, periodic=False)
    parameters = source.parameters if with_parameters else None
    catalog.write(tmp_path / "new.h5", fields, described, parameters, [0.2, 1.5], {"command": "generate"})
    result = catalog.read(tmp_path / "new.h5")
    assert result.notes == () and result.observables[0].periodic is False
    np.testing.assert_array_equal(result.observables[0].values, fields)
    assert result.simulation.tolist() == [str(row) for row in range(5)]
    if with_parameters:
        pairs = zip(result.parameters.attributes().values(), source.parameters.attributes().values(), strict=True)
        assert all(np.array_equal(actual, expected) for actual, expected in pairs)
        np.testing.assert_array_equal(result.theta, np.tile([0.2, 1.5], (5, 1)))
    else:
        assert result.theta is None
