"""Files that are not HDF5: no header asks for more than the file holds, and nothing in them becomes an object."""

import os
import struct

import numpy as np
import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.storage import load_json, load_npy, load_text, parse_object

NO_ARRAY = r"\.npy: is no \.npy file of numbers or text, or a truncated one$"


def npy(header: str) -> bytes:
    """A file of the second version, whose header may be as long as one likes, and 64 bytes of values."""
    encoded = header.encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(encoded)) + encoded + bytes(64)


def header(shape: str, dtype: str = "<f8") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n"


@pytest.mark.parametrize("array", [np.eye(3), np.arange(4), np.array("a"), np.array(["a", "bc"]), np.empty((0, 3))])
def test_what_numpy_wrote_is_read(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    loaded = load_npy(tmp_path / "a.npy")
    assert type(loaded) is np.ndarray
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == array.dtype


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 as archives begin",
        npy(header("(200000, 200000)")),
        npy(header("(4611686018427387904, 4)")),
        npy(header("(18446744073709551616,)")),
        npy(header("(-8,)")),
        npy(header("(8,)", "|O")),
        npy(header("(8,)", "no type")),
        npy(header("(" * 5_000)),
        npy("-" * 9_000 + "1"),
        npy(" " * 100_000),
        npy("{}"),
    ],
)
def test_any_other_file_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=NO_ARRAY):
        load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize("load", [load_text, load_json, load_npy])
def test_more_than_memory_takes_is_not_read(tmp_path, monkeypatch, load):
    """As a file of holes, which takes no disk."""
    (tmp_path / "a.npy").write_bytes(npy(header("(1000000000,)")))
    os.truncate(tmp_path / "a.npy", 9 << 30)
    monkeypatch.setattr("cosmoinfer.memory.available_bytes", lambda: 1 << 30)
    with pytest.raises(UserError, match=r"a\.npy: .* of memory, of 1.07GB that there are"):
        load(tmp_path / "a.npy")


@pytest.mark.parametrize("load", [load_text, load_json, load_npy])
def test_a_pipe_is_not_waited_for(tmp_path, load):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is no regular file, but a pipe"):
        load(tmp_path / "pipe")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "7" * 5_000, "{", "[]", "null", '"text"'])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError):
        parse_object(text)
    assert parse_object('{"a": [1]}') == {"a": [1]}


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[\xff]")
    with pytest.raises(UserError, match=r"is no text in UTF-8 \(byte 1"):
        load_json(tmp_path / "a.json")
