"""Values of any type, in any place of another tool's catalog: they are read, or one line says what is wrong."""

import re

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog, storage
from cosmoinfer.catalog.catalog import ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.tasks.inspect import inspect_file

N = 30
ROWS = np.arange(N)
RNG = np.random.default_rng(0)
TYPES = {  # an array of a shape, or an HDF5 type of which h5py writes nothing
    "region": lambda file, shape: np.full(shape, file["other"].regionref[:1], h5py.regionref_dtype),
    "reference": lambda file, shape: np.full(shape, file["other"].ref, h5py.ref_dtype),
    "empty reference": lambda file, shape: np.empty(shape, h5py.ref_dtype),
    "opaque": lambda file, shape: np.zeros(shape, "V5"),
    "date": lambda file, shape: np.zeros(shape, "M8[s]").astype(h5py.opaque_dtype("M8[s]")),
    "enumeration": lambda file, shape: np.zeros(shape, h5py.enum_dtype({"TEST": 0, "TRAIN": 1})),
    "time": lambda file, shape: h5py.h5t.UNIX_D32LE,
    "bits": lambda file, shape: h5py.h5t.STD_B8LE,
    "sequence": lambda file, shape: h5py.h5t.vlen_create(h5py.h5t.IEEE_F64LE),
    "array": lambda file, shape: h5py.h5t.array_create(h5py.h5t.IEEE_F64LE, (2,)),
    "compound": lambda file, shape: np.zeros(shape, [("u", "f8"), ("v", "S3")]),
    "compound of arrays": lambda file, shape: np.zeros(shape, [("u", "f8", (2,))]),
    "complex": lambda file, shape: np.full(shape, 1j),
    "truth": lambda file, shape: np.zeros(shape, bool),
    "text": lambda file, shape: np.full(shape, "x", h5py.string_dtype()),
    "no UTF-8": lambda file, shape: np.full(shape, b"\xff\xfe"),
    "NaN": lambda file, shape: np.full(shape, np.nan),
    "infinity": lambda file, shape: np.full(shape, np.inf),
    "1e300": lambda file, shape: np.full(shape, 1e300),
    "negative": lambda file, shape: np.full(shape, -5),
    "largest": lambda file, shape: np.full(shape, 2**64 - 1, "u8"),
    "half": lambda file, shape: np.zeros(shape, "f2"),
    "long": lambda file, shape: np.zeros(shape, "g"),
}
NO_NUMBERS = list(TYPES)[:10]
DATASETS = {
    "data": (N, 6),
    "parameters": (N, 2),
    "parameters/a": (N,),
    "simulation": (N,),
    "split": (N,),
    "classes/c": (N,),
}
SHAPES = [(), (0,), (N,), (N, 1), (N, 2), (0, 2), (N, 0), (2, N), (N, 2, 2), (5,)]
ATTRIBUTES = [("parameters", name) for name in ("names", "labels", "low", "high", "prior", "prior_mean", "where")]
ATTRIBUTES += [("parameters", name) for name in ("prior_std", "prior_correlation", "scale_factor", "_FillValue")]
ATTRIBUTES += [("data", name) for name in ("kind", "channels", "periodic", "scale_factor", "add_offset", "_FillValue")]
ATTRIBUTES += [("data", "_Unsigned"), ("classes/c", "names")]
ATTRIBUTES += [("/", name) for name in ("kind", "format", "suite", "creator")]
ATTRIBUTE_SHAPES = [(), (0,), (1,), (2,), (3,), (2, 2)]


def write(path, exchanged=""):
    """A catalog by another tool, whose structures have checksums: text on its heap is not what is tested here."""
    with h5py.File(path, "w", libver="v110") as file:
        file["other"] = [1, 2]
        file["data"], file["simulation"], file["split"] = RNG.normal(size=(N, 6)), ROWS, ROWS % 3
        file["classes/c"] = ROWS % 2
        if exchanged == "parameters/a":
            file["parameters/a"] = file["parameters/b"] = RNG.uniform(size=N)
        else:
            file["parameters"] = RNG.uniform(size=(N, 2))
            file["parameters"].attrs["names"] = ["a", "b"]
            file["parameters"].attrs["low"], file["parameters"].attrs["high"] = [0.0, 0.0], [1.0, 1.0]
    return path


def put_dataset(file, name, kind, shape):
    attributes = dict(file[name].attrs)
    del file[name]
    values = TYPES[kind](file, shape)
    if isinstance(values, h5py.h5t.TypeID):
        h5py.h5d.create(file.id, name.encode(), values, h5py.h5s.create_simple(shape))
    else:
        file[name] = values
    file[name].attrs.update(attributes)


def put_attribute(file, place, kind, shape):
    name, attribute = place
    values = TYPES[kind](file, shape)
    if isinstance(values, h5py.h5t.TypeID):
        file[name].attrs.pop(attribute, None)
        h5py.h5a.create(file[name].id, attribute.encode(), values, h5py.h5s.create_simple(shape))
    else:
        file[name].attrs[attribute] = values


def seeded(*words):
    """The same numbers for the same case, whichever others are run."""
    return np.random.default_rng(list("".join(words).encode()))


def complaint_of(path, name):
    """What is said against a catalog, in one line; empty if nothing is."""
    try:
        if name == "classes/c":
            catalog.read(path, ReadOptions(target="c"))
        elif name == "/":
            catalog.read(path.with_name("file*.h5"))
        else:
            catalog.read(path)
        inspect_file(path, {})
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        return str(error)
    return ""


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_of_any_type_is_read_or_refused_in_one_line(tmp_path, name, kind):
    for shape in (DATASETS[name], SHAPES[seeded(name, kind).choice(len(SHAPES))]):
        path = write(tmp_path / "file.h5", name)
        with h5py.File(path, "r+") as file:
            put_dataset(file, name, kind, shape)
        complaint = complaint_of(path, name)
        if kind in NO_NUMBERS and shape == DATASETS[name]:
            expected = f"/{name} holds (.*; expected text or numbers|values of a type that cannot be read)"
            assert re.search(expected, complaint)


@pytest.mark.parametrize("place", ATTRIBUTES, ids=lambda place: "@".join(place))
def test_an_attribute_of_any_type_is_read_or_refused_in_one_line(tmp_path, place):
    rng = seeded(*place)
    for kind in rng.choice(list(TYPES), 6, replace=False):
        for shape in ((2,), ATTRIBUTE_SHAPES[rng.choice(len(ATTRIBUTE_SHAPES))]):
            path = write(tmp_path / "file.h5")
            with h5py.File(path, "r+") as file:
                put_attribute(file, place, kind, shape)
            complaint_of(path, place[0])


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("name", ["names", "low", "high", "prior", "labels"])
def test_what_is_neither_text_nor_numbers_describes_no_parameter(tmp_path, name, kind):
    path = write(tmp_path / "file.h5")
    with h5py.File(path, "r+") as file:
        put_attribute(file, ("parameters", name), kind, (2,))
    with pytest.raises(UserError, match=rf"/parameters: the attribute {name} (holds .*; expected|is of a type)"):
        catalog.read(path)


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("low", "x", "the attribute low holds the text x; expected numbers"),
        ("low", [0.0, np.nan], "b: the box nan..1 is empty"),
        ("high", [[1.0, 1.0], [1.0, 1.0]], r"high: expected 2 values, one a parameter, found shape \(2, 2\)"),
        ("names", ["a"], "has 2 columns, the attribute names has 1"),
        ("names", [1, 2], "the attribute names holds 1, 2; expected text"),
    ],
)
def test_a_wrong_description_of_parameters_is_one_line(tmp_path, name, values, complaint):
    path = write(tmp_path / "file.h5")
    with h5py.File(path, "r+") as file:
        file["parameters"].attrs[name] = values
    assert re.search(complaint, complaint_of(path, "parameters"))


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("split", 1, r"/split has shape \(\); expected \(30,\), one number a row"),
        ("split", np.zeros((N, 2)), r"/split has shape \(30, 2\)"),
        ("split", np.full(N, "test", h5py.string_dtype()), "/split has type <U4; expected 0, 1 and 2"),
        ("simulation", np.zeros(N, [("u", "f8")]), "/simulation has type .*; expected integers or strings"),
        ("parameters", np.zeros((N, 0)), "/parameters has no columns"),
        ("classes/c", np.full(N, 10**12), "/classes/c has class numbers up to 1000000000000, and no attribute names"),
    ],
)
def test_a_dataset_of_another_shape_or_type_is_one_line(tmp_path, name, values, complaint):
    path = write(tmp_path / "file.h5")
    with h5py.File(path, "r+") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        if name == "parameters":
            attributes["names"] = np.zeros(0, h5py.string_dtype())
        file[name].attrs.update(attributes)
    assert re.search(complaint, complaint_of(path, name))


def test_ids_that_cannot_be_in_the_file_are_one_line(tmp_path):
    path = write(tmp_path / "file.h5")
    with h5py.File(path, "r+") as file:
        del file["simulation"]
        file.create_dataset("simulation", (10**12,), "i8", chunks=(1000,))
    with pytest.raises(UserError, match="/simulation declares 8000000000000 bytes"):
        catalog.read(path)


@pytest.mark.parametrize("kind", ["model", "N-body", "catalog", "posterior", 3, [1, 2]])
def test_the_word_kind_means_nothing_without_our_format(tmp_path, kind):
    path = write(tmp_path / "file.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["kind"] = kind
    assert storage.file_kind(path) is None
    assert len(catalog.read(path)) == len(catalog.read(tmp_path / "f*.h5")) == inspect_file(path, {}).rows == N
