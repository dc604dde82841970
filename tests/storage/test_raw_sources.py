"""Datasets of other tools whose values lie in other files, and those that declare more than a file can hold."""

import os
import shutil

import h5py
import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import UserError

VALUES = np.arange(12.0).reshape(4, 3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A file of values, a pipe, and a link to the pipe; raw values are looked for from the folder of the process."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("source.h5", "w") as file:
        file["x"] = VALUES
        file["elsewhere"] = h5py.ExternalLink("pipe", "/x")
    os.mkfifo("pipe")
    VALUES.tofile("raw")
    shutil.copy("source.h5", "b0.h5")
    os.mkfifo("p0.h5")
    return tmp_path


def raw(file, name):
    file.create_dataset("x", VALUES.shape, "f8", external=[(name, 0, VALUES.nbytes)])


def virtual(file, name, source="x"):
    layout = h5py.VirtualLayout(VALUES.shape, "f8")
    layout[:] = h5py.VirtualSource(name, source, VALUES.shape)
    file.create_virtual_dataset("x", layout)


def by_number(file, name, source="x"):
    """As many sources as there are decide the shape, so that HDF5 opens them to tell it."""
    unlimited = h5py.h5s.UNLIMITED
    properties, space = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5s.create_simple((4, 3), (unlimited, 3))
    space.select_hyperslab((0, 0), (unlimited, 1), (4, 1), (4, 3))
    properties.set_virtual(space, name.encode(), source.encode(), h5py.h5s.create_simple(VALUES.shape))
    shape = h5py.h5s.create_simple((4, 3), (unlimited, 3))
    h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, shape, properties)


def through_itself(file, name):
    """A source that is in the file, and itself has its values in another one."""
    raw(file, name)
    file.move("x", "inner")
    virtual(file, ".", "inner")


def by_a_link(file, name):
    file["inner"] = h5py.ExternalLink(name, "/x")
    virtual(file, ".", "inner")


LAYS = {"raw": (raw, "raw"), "virtual": (virtual, "source.h5"), "by number": (by_number, "b%b.h5")}
LAYS |= {"through itself": (through_itself, "raw"), "by a link": (by_a_link, "source.h5")}
PIPES = {name: (lay, "p%b.h5" if lay is by_number else "pipe") for name, (lay, _) in LAYS.items()}
PIPES |= {"link": (lambda file, name: file.__setitem__("x", h5py.ExternalLink(name, "/x")), "pipe")}
PIPES |= {
    "link to a link": (lambda file, name: file.__setitem__("x", h5py.ExternalLink(name, "/elsewhere")), "source.h5")
}
PIPES |= {"source that is a link": (lambda file, name: virtual(file, name, "elsewhere"), "source.h5")}


def complaints(path, follow_links):
    """Of all ways to read /x, each of which tells in one line why it cannot."""
    problem = storage.describe_datasets(path, follow_links)["x"].problem
    texts = [problem]
    for read in (storage.load, storage.DatasetHandle):
        with pytest.raises(UserError) as error:
            read(path, "x", follow_links)
        texts.append(str(error.value))
    assert problem and all(problem in text and "\n" not in text for text in texts)
    return problem


@pytest.mark.parametrize(("lay", "name"), LAYS.values(), ids=LAYS)
def test_values_in_another_file_are_read_on_request_only(folder, lay, name):
    path = folder / "file.h5"
    with h5py.File(path, "w") as file:
        lay(file, name)
    assert name in (problem := complaints(path, False)) and problem.endswith("which `follow_links` reads")
    np.testing.assert_array_equal(storage.load(path, "x", follow_links=True), VALUES)


@pytest.mark.parametrize(("lay", "name"), PIPES.values(), ids=PIPES)
def test_what_is_no_regular_file_is_never_opened(folder, lay, name):
    path = folder / "file.h5"
    with h5py.File(path, "w") as file:
        lay(file, name)
    assert "`follow_links` reads" in complaints(path, False)
    assert "which is no regular file, but a pipe" in complaints(path, True)


def test_a_pipe_is_no_catalog(folder):
    with pytest.raises(UserError, match="pipe: is no regular file, but a pipe, a device or a socket; expected a file"):
        storage.load(folder / "pipe", "x")


def test_a_virtual_dataset_of_its_own_file_is_read(folder):
    with h5py.File("file.h5", "w") as file:
        file["inner"] = VALUES
        virtual(file, "file.h5", "inner")
    np.testing.assert_array_equal(storage.load(folder / "file.h5", "x"), VALUES)


@pytest.mark.parametrize(
    ("name", "source"), [(".", "/inner%b"), ("file.h5", "/inner%b"), ("one.h5", "/inner%b"), ("b%b.h5", "x")]
)
def test_as_many_sources_as_there_are_make_the_rows(folder, name, source):
    with h5py.File("one.h5", "w") as file:
        file["inner0"], file["inner1"] = VALUES, VALUES + 1
    with h5py.File("file.h5", "w") as file:
        by_number(file, name, source)
        file["inner0"], file["inner1"] = VALUES, VALUES + 1
    shutil.copy("one.h5", "b1.h5")
    with h5py.File("b1.h5", "a") as file:
        file["x"] = VALUES + 1
    values = storage.load(folder / "file.h5", "x", follow_links=True)
    np.testing.assert_array_equal(values, np.concatenate([VALUES, VALUES + 1]))


@pytest.mark.parametrize("source", ["/link/x%b", "/group/link/x%b", "/group%b/x", "/y%%%b"])
def test_a_source_by_number_through_a_link_is_read_on_request_only(folder, source):
    with h5py.File("one.h5", "w") as file:
        file["x"] = file["x0"] = VALUES
    with h5py.File("file.h5", "w") as file:
        file["link"] = file["group/link"] = h5py.ExternalLink("one.h5", "/")
        file["group0/x"] = file["y%0"] = h5py.ExternalLink("one.h5", "/x")
        by_number(file, ".", source)
    assert "of the file one.h5, which `follow_links` reads" in complaints(folder / "file.h5", False)


def test_a_source_without_end_gives_all_its_rows(folder):
    unlimited = h5py.h5s.UNLIMITED
    with h5py.File("file.h5", "w") as file:
        file.create_dataset("inner", data=VALUES, maxshape=(None, 3))
        layout = h5py.VirtualLayout(VALUES.shape, "f8", maxshape=(None, 3))
        layout[0:unlimited] = h5py.VirtualSource(file["inner"])[0:unlimited]
        file.create_virtual_dataset("x", layout)
    np.testing.assert_array_equal(storage.load(folder / "file.h5", "x"), VALUES)


def test_a_virtual_dataset_that_is_its_own_source_is_refused(folder):
    with h5py.File("file.h5", "w") as file:
        virtual(file, ".")
    assert "refers to itself" in complaints(folder / "file.h5", True)


@pytest.mark.parametrize("count", [400_000_000, 10**12])
def test_a_dataset_declares_no_more_than_its_file_can_hold(folder, count):
    with h5py.File("file.h5", "w") as file:
        file.create_dataset("x", (count,), "f8", chunks=(1000,))
    size = (folder / "file.h5").stat().st_size
    assert f"declares {8 * count} bytes and lies in {size}; expected at most 1000 times" in complaints("file.h5", False)


def test_what_compression_can_do_is_read(folder):
    with h5py.File("file.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(10**6), chunks=(10**5,), compression="gzip", compression_opts=9)
    assert 300 * (folder / "file.h5").stat().st_size < 8 * 10**6
    assert not storage.load(folder / "file.h5", "x").any()
