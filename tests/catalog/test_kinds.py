"""What the axes of a row mean: what is guessed, what is asked for, and what is declared."""

from itertools import product

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog as catalogs
from cosmoinfer.catalog import ReadOptions
from cosmoinfer.catalog.kinds import interpret_axes
from cosmoinfer.errors import UserError

N = 12
RNG = np.random.default_rng(0)
FIELDS = RNG.normal(size=(N, 2, 16, 16))

GUESSED = {
    (6,): ("vector", False),
    (8, 8): ("map", False),
    (64, 128): ("map", False),
    (1, 16, 16): ("map", False),
    (3, 16, 16): ("map", False),
    (16, 16, 1): ("map", True),
    (2, 8, 8, 8): ("grid", False),
    (16, 16, 16, 1): ("grid", True),
}
ASKED = {
    (3, 40): ["`kind=profile` (3 channels of 40), `kind=map` (1 channel of 3 x 40) or `kind=vector` (120 numbers)"],
    (40, 3): ["`kind=profile` with `channels=last` (3 channels of 40)", "`channels=first` (40 channels of 3)"],
    (1, 40): ["declare `kind=vector` (40 numbers)"],
    (40, 1): ["declare `kind=vector` (40 numbers)"],
    (7, 7): ["a side of 7 cells", "`kind=map` (1 channel of 7 x 7)"],
    (20, 50): ["very unequal sides"],
    (32, 32, 2): ["declare `kind=map` with `channels=last` (2 channels of 32 x 32)"],
    (32, 32, 16): ["declare `kind=map` with `channels=last` (16 channels of 32 x 32)"],
    (32, 32, 32): ["as many channels as cells a side", "`kind=grid` (1 channel of 32 x 32 x 32)"],
    (3, 1, 40): ["a side of 1 cell"],
    (3, 40, 1): ["a side of 3 cells"],
    (100, 16, 16): ["`kind=grid` (1 channel of 100 x 16 x 16)"],
    (2, 8, 8, 32): ["very unequal sides"],
    (16, 16, 16, 2): ["declare `kind=grid` with `channels=last` (2 channels of 16 x 16 x 16)"],
}


@pytest.mark.parametrize("shape", GUESSED)
def test_what_no_axis_contradicts_is_guessed(shape):
    meaning = interpret_axes(shape, "", "")
    assert (meaning.kind, meaning.channels_last, meaning.guessed, meaning.question) == (*GUESSED[shape], True, "")


@pytest.mark.parametrize("shape", ASKED)
def test_what_the_shape_contradicts_is_asked_for(shape):
    question = interpret_axes(shape, "", "").question
    assert all(text in question for text in ASKED[shape]), question


@pytest.mark.parametrize("kind", ["map", "grid"])
def test_channels_that_look_last_are_asked_for_even_of_a_declared_kind(kind):
    sides = (16,) * (2 if kind == "map" else 3)
    assert f"`kind={kind}` with `channels=last`" in interpret_axes((*sides, 2), kind, "").question
    for channels, last in (("last", True), ("first", False)):
        meaning = interpret_axes((*sides, 2), kind, channels)
        assert (meaning.question, meaning.channels_last) == ("", last)
    assert interpret_axes((2, *sides), kind, "").question == ""


def test_names_of_channels_tell_where_they_stand():
    assert interpret_axes((16, 16, 2), "map", "", ("matter", "gas")).channels_last
    assert not interpret_axes((2, 16, 16), "map", "", ("matter", "gas")).channels_last
    assert not interpret_axes((2, 16, 2), "map", "first", ("matter", "gas")).channels_last
    meaning = interpret_axes((3, 40), "", "", ("P0", "P2", "P4"))
    assert (meaning.kind, meaning.channels_last, meaning.question) == ("profile", False, "")


def write(path, data, **attributes):
    with h5py.File(path, "w", libver="v110") as file:
        for name, values in (data if isinstance(data, dict) else {"data": data}).items():
            file[name] = values
            file[name].attrs.update(attributes)
    return path


@pytest.mark.parametrize(("kind", "memory"), list(product(["profile", "map", "grid"], [None, 1])))
def test_channels_last_are_the_same_data_as_channels_first(tmp_path, kind, memory):
    first = FIELDS.reshape(N, 2, *{"profile": (256,), "map": (16, 16), "grid": (16, 4, 4)}[kind])
    expected = catalogs.read(write(tmp_path / "first.h5", first, kind=kind))
    last = np.moveaxis(first, 1, -1)
    by_option = write(tmp_path / "plain.h5", last)
    in_file = write(tmp_path / "declared.h5", last, kind=kind, channels="last")
    for path, read_options in ((by_option, ReadOptions(kind=kind, channels="last")), (in_file, ReadOptions())):
        result = catalogs.read(path, read_options, memory)
        assert result.is_streamed == (memory == 1) and result.fingerprint == expected.fingerprint
        np.testing.assert_array_equal(result.in_memory(np.array([7, 2])).observables[0].array, first[[7, 2]])


@pytest.mark.parametrize("memory", [None, 1])
def test_a_vector_has_all_axes_in_one(tmp_path, memory):
    path = write(tmp_path / "maps.h5", FIELDS)
    result = catalogs.read(path, ReadOptions(kind="vector", scale_cut=("5:40",)), memory)
    np.testing.assert_array_equal(result.observables[0].read(np.arange(N)), FIELDS.reshape(N, -1)[:, 5:40])
    assert result.observables[0].periodic is False


def test_each_dataset_may_have_a_kind_of_its_own(tmp_path):
    path = write(tmp_path / "both.h5", {"data/maps": FIELDS[:, 0], "data/poles": FIELDS[:, :, 0]})
    with pytest.raises(
        UserError, match=r"/data/poles: rows of shape \(2, 16\) are hardly a map of 1 channel of 2 x 16"
    ):
        catalogs.read(path)
    result = catalogs.read(path, ReadOptions(kind="poles@profile"))
    assert [(one.kind, one.row_shape) for one in result.observables] == [("map", (1, 16, 16)), ("profile", (2, 16))]
    with pytest.raises(UserError, match=r"kind=spectra@profile: names spectra, and the data are maps, poles"):
        catalogs.read(path, ReadOptions(kind="spectra@profile"))
    for text, complaint in (("maps@field", "'field' is not known"), ("maps@,x", "is not understood")):
        with pytest.raises(UserError, match=complaint):
            ReadOptions(kind=text)


def test_arrays_are_asked_about_as_files_are():
    theta, poles = RNG.normal(size=(N, 2)), FIELDS[:, :, 0]
    with pytest.raises(UserError, match=r"arrays: /data: rows of shape \(2, 16\) are hardly a map.*`kind=profile`"):
        catalogs.from_arrays(theta, poles)
    assert catalogs.from_arrays(theta, poles, kind="profile").observables[0].row_shape == (2, 16)
    turned = {"poles": np.moveaxis(poles, 1, -1)}
    last = catalogs.from_arrays(theta, turned, kind={"poles": "profile"}, channels={"poles": "last"})
    np.testing.assert_array_equal(last.observables[0].array, poles)


def test_a_guess_is_told_with_its_channels_and_edges(tmp_path):
    notes = catalogs.read(write(tmp_path / "maps.h5", FIELDS)).notes
    assert notes == ("/data: taken as map, from its 4 axes: 2 channels of 16 x 16, opposite edges joined",)
    asked = catalogs.read_unchecked(write(tmp_path / "asked.h5", FIELDS[:, :, 0]), ReadOptions())
    assert asked.notes == () and "declare" in asked.observables[0].question
    notes = catalogs.read(write(tmp_path / "poles.h5", np.moveaxis(FIELDS[:, :, 0], 1, -1), kind="profile")).notes
    assert notes == ("/data: read as 16 channels of 2 (`channels=last`: 2 channels of 16)",)
