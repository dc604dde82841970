"""What a file must hold to be one of its kind: told by dataset, expected and found."""

import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.storage import Attribute, Dataset, Schema

ATTRIBUTES = {
    "low": Attribute("(P,)", required=True),
    "prior": Attribute("(P,)", "text"),
    "correlation": Attribute("(P, P)"),
    "reweighted": Attribute(type="truth"),
}
SCHEMA = Schema(
    "posterior",
    "`cosmoinfer sample`",
    {
        "index": Dataset("(n,)", "row", type="whole", required=True),
        "samples": Dataset("(n, S, P)", "draws"),
        "names": Dataset("(P,)", "names", type="text", attributes=ATTRIBUTES),
        r"stacks/\d+/weights/.*": Dataset("(M, ...)", "weights", type="any"),
        r"stacks/\d+/best": Dataset("(M,)", "epochs"),
        "interval": Dataset("(n, 3)", "value, low, high"),
        r"stacks/\d+/table": Dataset("(F,) or (channels, 1, ...)", "of a vector, or of channels"),
        "note": Dataset("(M of all stacks,)", "any axes"),
        "scores": Dataset("(v,)", "one or more", filled=True),
    },
    nested=("summary",),
)
VALID = {
    "index": np.arange(4),
    "samples": np.zeros((4, 7, 2), np.float32),
    "names": np.array(["a", "b"]),
    "stacks/0/weights/0.bias": np.zeros((3, 5)),
    "stacks/0/weights/order": np.zeros((3, 2, 2), np.int64),
    "stacks/0/best": np.zeros(3),
    "stacks/1/best": np.zeros(5),  # of another stack, with more members
    "summary/index": np.arange(9),  # of another file in this one
    "summary/stacks/0/best": np.zeros(2),
    "interval": np.zeros((4, 3)),
    "stacks/0/table": np.zeros(4),
    "stacks/1/table": np.zeros((3, 1, 1)),
    "note": np.zeros(()),
    "scores": np.zeros(1),
}
VALID_ATTRIBUTES = {"low": np.zeros(2), "prior": ("x", "y"), "reweighted": np.True_, "unknown": "is not looked at"}


def test_what_fits_is_read(tmp_path):
    path = tmp_path / "file.h5"
    storage.write(path, storage.FileContents("posterior", {}, VALID, {"names": VALID_ATTRIBUTES}))
    assert set(storage.read(path, SCHEMA).arrays) == set(VALID)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("index", None, "has no dataset /index, as every posterior file has"),
        ("more", np.zeros(3), "has a dataset /more, as no posterior file has"),
        ("index", np.zeros(4), "/index: expected whole numbers, found float64"),
        ("names", np.zeros(2), "/names: expected text, found float64"),
        ("samples", np.array([[["x"]]]), "/samples: expected numbers, found <U1"),
        ("samples", np.zeros((4, 7)), r"/samples: expected axes \(n, S, P\), found shape \(4, 7\)"),
        ("samples", np.zeros((5, 7, 2)), r"/samples: expected n = 4, as of /index, found shape \(5, 7, 2\)"),
        ("samples", np.zeros((4, 7, 1)), r"/samples: expected P = 2, as of /names, found shape \(4, 7, 1\)"),
        ("interval", np.zeros((4, 2)), r"/interval: expected axes \(n, 3\), found shape \(4, 2\)"),
        ("stacks/0/weights/0.bias", np.zeros((2, 5)), "/stacks/0/weights/0.bias: expected M = 3, as of /stacks/0/best"),
        ("stacks/0/weights/0.bias", np.zeros(()), r"0.bias: expected axes \(M, ...\), found shape \(\)"),
        ("summary/index", np.zeros((9, 1), int), "/summary/index: expected axes"),
        ("stacks/1/table", np.zeros((3, 2)), r"/stacks/1/table: expected axes \(F,\) or \(channels, 1, ...\), found"),
        ("scores", np.zeros(0), r"/scores: expected values, found shape \(0,\)"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, name, array, message):
    path = tmp_path / "file.h5"
    arrays = {key: value for key, value in {**VALID, name: array}.items() if value is not None}
    storage.write(path, storage.FileContents("posterior", {}, arrays, {"names": VALID_ATTRIBUTES}))
    with pytest.raises(UserError, match=message) as error:
        storage.read(path, SCHEMA)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("low", None, "/names: has no attribute low, as in every posterior file"),
        ("low", ("a", "b"), "/names, attribute low: expected numbers, found <U1"),
        ("low", np.float64(1), r"/names, attribute low: expected axes \(P,\), found shape \(\)"),
        ("low", np.zeros(3), r"/names, attribute low: expected P = 2, as of /names, found shape \(3,\)"),
        ("prior", np.zeros(2), "/names, attribute prior: expected text, found float64"),
        ("correlation", np.eye(3), "/names, attribute correlation: expected P = 2, as of /names"),
        ("reweighted", 1.0, "/names, attribute reweighted: expected true or false, found float64"),
    ],
)
def test_an_attribute_that_does_not_fit_is_told(tmp_path, name, value, message):
    path = tmp_path / "file.h5"
    attributes = {key: item for key, item in {**VALID_ATTRIBUTES, name: value}.items() if item is not None}
    storage.write(path, storage.FileContents("posterior", {}, VALID, {"names": attributes}))
    with pytest.raises(UserError, match=message) as error:
        storage.read(path, SCHEMA)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("document", ["{", "[]", "{}", '{"rows": []}', "[" * 100_000, '"x"'])
def test_a_document_of_something_else_is_told(tmp_path, document):
    path = tmp_path / "file.h5"
    schema = Schema("metrics", "", {"document": Dataset("()", "JSON", type="text", required=True)})
    storage.write(path, storage.FileContents("metrics", {}, {"document": np.array(document)}))
    with pytest.raises(UserError, match="does not hold the document of a metrics file of this version") as error:
        storage.read_document(path, schema, lambda content: content["rows"][0].upper())
    assert "\n" not in str(error.value)
