"""What attributes declare: their types, or an error that names the attribute."""

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.errors import UserError

THETA = np.random.default_rng(0).uniform(size=(6, 2))
MAPS = np.random.default_rng(1).normal(size=(6, 4, 4))


@pytest.fixture
def declared(tmp_path):
    """Writes a catalog of maps with these attributes of a dataset; gives back its path."""

    def write(dataset, **attributes):
        with h5py.File(tmp_path / "sims.h5", "w", libver="v110") as file:
            file["parameters"], file["data"] = THETA, MAPS
            file["parameters"].attrs.update({"names": ["a", "b"], "low": [0.0, 0.0], "high": [1.0, 1.0]})
            file["data"].attrs["kind"] = "map"
            file[dataset].attrs.update(attributes)
        return tmp_path / "sims.h5"

    return write


@pytest.mark.parametrize(
    ("dataset", "attributes", "complaint"),
    [
        ("parameters", {"names": [0, 1]}, "/parameters: the attribute names holds 0, 1; expected text"),
        ("parameters", {"labels": [1.5, 2.5]}, "/parameters: the attribute labels holds 1.5, 2.5; expected text"),
        ("parameters", {"low": ["a", "b"]}, "/parameters: the attribute low holds the text a, b; expected numbers"),
        ("parameters", {"low": [0j, 1j]}, "/parameters: the attribute low holds .*; expected numbers"),
        ("parameters", {"low": [0.0]}, "/parameters: low: expected 2 values, one a parameter, found 1"),
        (
            "parameters",
            {"prior_mean": "a", "prior_std": [1.0, 1.0]},
            "the attribute prior_mean holds the text a; expected numb",
        ),
        ("parameters", {"prior": [0.0, 1.0]}, "/parameters: the attribute prior holds 0.0, 1.0; expected text"),
        ("data", {"kind": 3}, "/data: the attribute kind holds 3; expected text"),
        ("data", {"kind": ["map", "map"]}, "/data: the attribute kind holds map, map; expected a single text"),
        ("data", {"periodic": "sometimes"}, "/data: the attribute periodic holds sometimes; expected true or false"),
        ("data", {"periodic": 0.5}, "/data: the attribute periodic holds 0.5; expected true or false"),
    ],
)
def test_an_attribute_of_another_type_is_one_line_that_names_it(declared, dataset, attributes, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        catalog.read(declared(dataset, **attributes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("periodic", "expected"),
    [(True, True), (0, False), ("false", False), ([True, True], True), ([1, 0], False), (h5py.Empty("i1"), True)],
)
def test_periodic_is_a_flag_or_one_an_axis(declared, periodic, expected):
    simulations = catalog.read(declared("data", periodic=periodic))
    assert simulations.observables[0].periodic == expected
    assert any("periodic along some axes only" in note for note in simulations.notes) == (periodic == [1, 0])


def test_attributes_of_one_value_in_an_array_are_that_value(declared):
    assert catalog.read(declared("data", kind=["map"])).observables[0].kind == "map"


def test_an_empty_box_is_none_and_attributes_that_nobody_needs_are_not_looked_at(declared):
    path = declared("parameters", low=h5py.Empty("f8"))
    with h5py.File(path, "a") as file:
        h5py.h5a.create(file["data"].id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create(h5py.h5s.SCALAR))
        file["data"].attrs["scales"] = file["parameters"].ref
    parameters, _ = catalog.read(path).require_parameters()
    assert np.isneginf(parameters.low).all() and parameters.high.tolist() == [1, 1]


def test_an_attribute_that_is_needed_and_cannot_be_read_is_named(declared):
    path = declared("data")
    with h5py.File(path, "a") as file:
        file["parameters"].attrs["low"] = file["data"].ref
    with pytest.raises(UserError, match="/parameters: the attribute low holds object references; expected text or num"):
        catalog.read(path)


def test_links_into_other_files_are_read_on_request_and_told_otherwise(declared, tmp_path):
    declared("data")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        for name in ("data", "parameters"):
            file[name] = h5py.ExternalLink("sims.h5", name)
    with pytest.raises(UserError, match=r"/data is a link to data of the file sims.h5, which `follow_links` reads"):
        catalog.read(tmp_path / "links.h5")
    linked = catalog.read(tmp_path / "links.h5", ReadOptions(follow_links=True))
    assert linked.fingerprint == catalog.read(tmp_path / "sims.h5").fingerprint
    with h5py.File(tmp_path / "links.h5", "a") as file:
        del file["data"]
        file["data"] = MAPS
    with pytest.raises(UserError, match="/parameters is a link"):  # and no observations
        catalog.read(tmp_path / "links.h5")
