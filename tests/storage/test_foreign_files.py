"""HDF5 files of other tools: links, filters, attributes, locks, and values that lie in other files."""

import errno
import fcntl
import sys
import types

import h5py
import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.storage import DatasetHandle, filters, hdf5
from cosmoinfer.storage.opening import open_hdf5

VALUES = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["group/x"] = VALUES
    return tmp_path / "file.h5"


# ---------------------------------------------------------------------------------------------------------- links
def linked(path):
    """A file with one link of every sort that stays in it."""
    with h5py.File(path, "w") as file:
        file["group/x"] = VALUES
        file["hard"] = file["group/x"]
        file["soft"] = h5py.SoftLink("/group/x")
        file["again"] = h5py.SoftLink("soft")
        file["folder"] = h5py.SoftLink("group")
        file["group/self"] = file["group"]
    return path


def test_hard_and_soft_links_are_names_like_others(path):
    names = ["again", "folder/x", "group/x", "hard", "soft"]
    contents = storage.describe_datasets(linked(path))
    assert sorted(contents) == names
    for name in names:
        assert contents[name].shape == (4, 3)
        np.testing.assert_array_equal(storage.load(path, name), VALUES)
        np.testing.assert_array_equal(DatasetHandle(path, name).read(1, 3), VALUES[1:3])


@pytest.mark.parametrize(
    ("target", "complaint"),
    [("/nowhere", "is a link to /nowhere, which is not there"), ("loop", "is a link to itself")],
)
def test_a_link_that_leads_nowhere_is_named(path, target, complaint):
    with h5py.File(path, "w") as file:
        file["loop"] = h5py.SoftLink(target)
    assert storage.describe_datasets(path)["loop"].problem == complaint


@pytest.mark.parametrize("way", ["direct", "through a soft link", "of its group"])
def test_a_link_into_another_file_is_followed_on_request_only(path, way):
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("whole.h5", "/group/x")
        file["group"] = h5py.ExternalLink("whole.h5", "/group")
        file["soft"] = h5py.SoftLink("/x")
    name = {"direct": "x", "through a soft link": "soft", "of its group": "group/x"}[way]
    complaint = "is a link to /group(/x)? of the file whole.h5, which `follow_links` reads"
    with pytest.raises(UserError, match=complaint):
        storage.load(path, name)
    with pytest.raises(UserError, match=complaint):
        DatasetHandle(path, name)
    entries = storage.describe_datasets(path)
    assert sorted(entries) == ["group", "soft", "x"] and all("follow_links" in entries[key].problem for key in entries)
    assert sorted(storage.describe_datasets(path, follow_links=True)) == ["group/x", "soft", "x"]
    np.testing.assert_array_equal(storage.load(path, name, follow_links=True), VALUES)
    handle = DatasetHandle(path, name, follow_links=True)
    np.testing.assert_array_equal(handle.read(0, 2), VALUES[:2])
    hdf5._open_for_reading.cache_clear()
    with h5py.File(path.with_name("whole.h5"), "a") as file:
        file["group/x"][0, 0] = 9
    with pytest.raises(UserError, match="was modified after it was opened"):
        handle.read(0, 2)


def test_a_link_into_a_file_that_is_missing_is_named(path):
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("missing.h5", "/x")
    entry = storage.describe_datasets(path, follow_links=True)["x"]
    assert entry.problem == "is a link to /x of the file missing.h5, which is not there"
    path.with_name("missing.h5").write_text("no HDF5")
    assert "missing.h5: is a text file, no HDF5 file" in storage.describe_datasets(path, follow_links=True)["x"].problem


# -------------------------------------------------------------------------------------------------------- filters
def compressed(path, number=32999):
    """A dataset whose chunk says that it went through a filter that nobody has."""
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4, 3))
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4, 3))
        dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, properties)
        dataset.write_direct_chunk((0, 0), VALUES.tobytes(), 0)
    return path


def test_a_missing_compression_filter_is_named_with_its_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, filters.PACKAGE, None)
    complaint = r"/x is compressed by filter 32999, which HDF5 lacks here; `pip install hdf5plugin` brings it"
    with pytest.raises(UserError, match=complaint):
        storage.load(compressed(path), "x")
    with pytest.raises(UserError, match=complaint):
        DatasetHandle(path, "x").read(0, 2)


def test_the_package_of_filters_is_used_if_it_is_installed(path, monkeypatch):
    registered = []
    module = types.ModuleType(filters.PACKAGE)
    monkeypatch.setitem(sys.modules, filters.PACKAGE, module)
    monkeypatch.setattr(filters, "_missing_filters", lambda dataset: registered.append(dataset.name) or [])
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    np.testing.assert_array_equal(storage.load(path, "x"), VALUES)
    assert registered == ["/x"]


# ----------------------------------------------------------------------------------------------------- attributes
def test_attributes_are_read_whatever_their_encoding_and_empty_ones_declare_nothing(path):
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        attributes = file["x"].attrs
        attributes["fixed"] = np.bytes_("Å".encode("latin-1"))
        attributes.create("variable", "Å".encode("latin-1"), dtype=h5py.string_dtype())
        attributes["utf-8"], attributes["empty"] = "Ω_m", h5py.Empty("f8")
    (entry,) = storage.describe_datasets(path).values()
    assert entry.attributes == {"fixed": "Å", "variable": "Å", "utf-8": "Ω_m"}
    assert entry.unreadable == {}


def test_an_attribute_of_a_type_without_numbers_is_told_apart(path):
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        h5py.h5a.create(file["x"].id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create(h5py.h5s.SCALAR))
        file["x"].attrs["reference"] = file["x"].ref
        file["x"].attrs["low"] = [1.0, 2.0]
    (entry,) = storage.describe_datasets(path).values()
    assert list(entry.attributes) == ["low"]
    assert sorted(entry.unreadable) == ["reference", "when"]


@pytest.mark.parametrize(
    ("suite", "expected"), [("Astrid", "Astrid"), (["Astrid"], "Astrid"), ("", None), (h5py.Empty("S1"), None)]
)
def test_the_suite_of_a_file_is_one_text_or_none(path, suite, expected):
    with h5py.File(path, "w") as file:
        file.attrs["suite"] = suite
    assert storage.file_attribute(path, "suite") == expected


def test_several_suites_of_one_file_are_refused(path):
    with h5py.File(path, "w") as file:
        file.attrs["suite"] = ["Astrid", "EAGLE"]
    with pytest.raises(UserError, match="the attribute suite of the file holds several values; expected one"):
        storage.file_attribute(path, "suite")


@pytest.mark.parametrize("kind", [h5py.Empty("S1"), [1, 2], 3.0])
def test_a_foreign_attribute_called_kind_says_nothing(path, kind):
    with h5py.File(path, "w") as file:
        file.attrs["kind"], file.attrs["format"] = kind, [1, 2]
    assert storage.file_kind(path) is None


@pytest.mark.parametrize("digest", ["d41d8cd98f00b204", [1, 2], 3.0])
def test_a_foreign_attribute_called_digest_says_nothing(path, digest):
    with h5py.File(path, "w") as file:
        file.attrs["digest"], file["x"] = digest, VALUES
    assert list(storage.describe_datasets(path)) == ["x"]
    np.testing.assert_array_equal(storage.load(path, "x"), VALUES)


def test_a_dataset_of_times_or_of_nothing_says_so(path):
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((3,)))
        file["nothing"] = h5py.Empty("f8")
    entries = storage.describe_datasets(path)
    assert "of a type that cannot be read" in entries["when"].problem
    assert entries["nothing"].problem == "is empty: it has no values"


# ---------------------------------------------------------------------------------------------------------- locks
def refusing(number):
    """h5py.File where the file system, or a writer, does not give a lock."""
    file = h5py.File

    def opened(path, mode="r", locking=None, **settings):
        if locking is not False:
            raise (BlockingIOError if number == errno.EAGAIN else OSError)(number, "unable to lock file")
        return file(path, mode, **settings)

    return opened


def test_a_file_that_is_open_without_a_lock_is_opened_once_more(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["x"] = 1
    with h5py.File(tmp_path / "file.h5", "r", locking=False), open_hdf5(tmp_path / "file.h5") as again:
        assert again["x"][()] == 1


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, 524])
def test_a_file_system_without_locks_is_read(path, monkeypatch, number):
    monkeypatch.setattr("cosmoinfer.storage.opening.h5py.File", refusing(number))
    np.testing.assert_array_equal(storage.load(path.with_name("whole.h5"), "group/x"), VALUES)
    np.testing.assert_array_equal(DatasetHandle(path.with_name("whole.h5"), "group/x").read(0, 4), VALUES)


def test_a_file_that_is_being_written_is_not_read(path):
    other_file = path.with_name("whole.h5")
    with other_file.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process has it open to write"):
            storage.load(other_file, "group/x")


# ----------------------------------------------------------------------------------------------------- raw values
@pytest.mark.parametrize(
    ("missing", "complaint"), [(0, ""), (1, "too short: expected 96 bytes .*, found 95"), (96, "not")]
)
def test_raw_values_in_another_file_that_is_too_short_are_an_error_not_zeros(path, monkeypatch, missing, complaint):
    monkeypatch.chdir(path.parent)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=VALUES, external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])
    raw = path.with_name("raw.bin")
    raw.write_bytes(raw.read_bytes()[: 96 - missing]) if missing < 96 else raw.unlink()
    if complaint:
        with pytest.raises(UserError, match=complaint):
            storage.load(path, "x", follow_links=True)
        with pytest.raises(UserError, match=complaint):
            DatasetHandle(path, "x", follow_links=True)
    else:
        np.testing.assert_array_equal(storage.load(path, "x", follow_links=True), VALUES)


@pytest.mark.parametrize("content", ["", "x"])
def test_groups_that_double_their_names_at_each_level_are_one_line(path, content):
    with h5py.File(path, "w") as file:
        group = file.create_group("last")
        if content:
            group[content] = 1.0
        for level in range(40):
            inner, group = group, file.create_group(f"level{level}")
            group["one"] = group["two"] = inner
    with pytest.raises(UserError, match=r"its 13 groups stand under more than 1130 other names$"):
        storage.describe_datasets(path)


def test_simulations_that_share_a_group_are_read(path):
    with h5py.File(path, "w", libver="latest") as file:
        file["header/box"] = 1.0
        for number in range(1100):
            file[f"{number}/header"] = h5py.SoftLink("/header")
    assert len(storage.describe_datasets(path)) == 1101


@pytest.mark.parametrize(("depth", "complaint"), [(100, ""), (101, "more than 100 groups"), (3000, "more than 100 g")])
def test_groups_within_one_another_are_read_or_one_line(path, depth, complaint):
    with h5py.File(path, "w") as file:
        file[f"{'x/' * depth}data"] = VALUES
    if complaint:
        with pytest.raises(UserError, match=complaint):
            storage.describe_datasets(path)
    else:
        assert list(storage.describe_datasets(path)) == [f"{'x/' * depth}data"]


def test_a_name_that_is_no_text_is_named(path):
    with h5py.File(path, "w") as file:
        file[b"m\xe9tal"] = VALUES
        file["x"] = VALUES
    described = storage.describe_datasets(path)
    assert described["m\xe9tal"].problem == "has a name that is no UTF-8 text"
    assert not described["x"].problem
