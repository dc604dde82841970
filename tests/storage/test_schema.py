"""What a file must hold to be one of its kind: told by dataset, expected and found."""

import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.storage import Dataset, Schema

SCHEMA = Schema(
    "posterior",
    "`cosmoinfer sample`",
    {
        "index": Dataset("(n,)", "row", type="whole", required=True),
        "samples": Dataset("(n, S, P)", "draws"),
        "names": Dataset("(P,)", "names", type="text"),
        r"stacks/\d+/weights/.*": Dataset("(M, ...)", "weights", type="any"),
        r"stacks/\d+/best": Dataset("(M,)", "epochs"),
        "interval": Dataset("(n, 3)", "value, low, high"),
        "table": Dataset("(F,) or (channels, 1, ...)", "any axes"),
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
    "table": np.zeros(()),
}


def test_what_fits_is_read(tmp_path):
    path = tmp_path / "file.h5"
    storage.write(path, storage.FileContents("posterior", {}, VALID))
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
    ],
)
def test_what_does_not_fit_is_told(tmp_path, name, array, message):
    path = tmp_path / "file.h5"
    arrays = {key: value for key, value in {**VALID, name: array}.items() if value is not None}
    storage.write(path, storage.FileContents("posterior", {}, arrays))
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
