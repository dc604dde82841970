"""Files: whole or absent, the same bytes from the same record, and every damage told in one line."""

import hashlib
import os
import stat

import h5py
import numpy as np
import pytest

from cosmoinfer import storage
from cosmoinfer.errors import DamagedOutput, UserError
from cosmoinfer.storage import FileContents, Standing, out_of_core
from cosmoinfer.storage.encoding import RowAxis

VALUES = np.arange(3000.0).reshape(1000, 3)
RECORD = FileContents("posterior", {"version": "1", "settings": {"seed": 1}}, {"x": VALUES})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def standing(path, meta, kind="posterior"):
    return storage.examine(path, kind, meta)[0]


def one_line(error):
    return "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------- round trips
@pytest.mark.parametrize(
    "array",
    [
        np.arange(5),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array([0, 255], dtype=np.uint8),
        np.array([2**64 - 1, 1], dtype=np.uint64),
        np.array([-(2**63), 2**63 - 1]),
        np.array([1.5, np.nan, np.inf, -0.0], dtype=np.float32),
        np.array([1e-300, np.pi]),
        np.array([[True, False]]),
        np.array(3.25),
        np.array(7),
        np.zeros((0, 4), dtype=np.float32),
        np.zeros(0, dtype=np.int64),
        np.zeros((1200, 1, 300)),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_an_array_comes_back_as_it_was(path, array):
    storage.write(path, FileContents("model", {}, {"deep/er": array}))
    back = storage.read_contents(path).arrays["deep/er"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("text", [np.array(["a", "Ω_m longer", ""]), np.array([["x"], ["y"]]), np.array("one")])
def test_strings_come_back_as_strings(path, text):
    storage.write(path, FileContents("model", {}, {"s": text}))
    back = storage.read_contents(path).arrays["s"]
    assert back.dtype.kind == "U"
    np.testing.assert_array_equal(back, text)


def test_no_strings_come_back_as_no_strings(path):
    storage.write(path, FileContents("model", {}, {"s": np.array([], dtype=str)}))
    back = storage.read_contents(path).arrays["s"]
    assert (back.dtype.kind, back.shape) == ("U", (0,))


def test_meta_and_attributes_come_back(path):
    meta = {"settings": {"k": [1, 2.5, None, True, "Ω"]}, "inputs": {}}
    attributes = {"names": ("a", "b"), "low": np.array([0.1, -np.inf]), "one": "text", "number": 3, "absent": None}
    storage.write(path, FileContents("model", meta, {"x": VALUES}, {"x": attributes}))
    back = storage.read_contents(path, "model")
    assert (back.kind, back.meta) == ("model", meta)
    assert back.attributes["x"].keys() == {"names", "low", "one", "number"}
    assert back.attributes["x"]["names"] == ("a", "b")
    assert (back.attributes["x"]["one"], back.attributes["x"]["number"]) == ("text", 3)
    np.testing.assert_array_equal(back.attributes["x"]["low"], [0.1, -np.inf])


def test_meta_may_exceed_what_an_attribute_holds(path):
    meta = {"long": "x" * 200_000}
    storage.write(path, FileContents("model", meta))
    assert storage.read_contents(path).meta == meta


def test_a_record_is_the_same_bytes_whenever_and_wherever_it_is_written(tmp_path):
    first, second = tmp_path / "one.h5", tmp_path / "a_much_longer_name.h5"
    for path in (first, second):
        storage.write(path, RECORD)
    assert first.read_bytes() == second.read_bytes()
    assert storage.file_digest(first) == storage.file_digest(second)
    storage.write(second, FileContents("posterior", {"version": "2"}, {"x": VALUES}), force=True)
    assert storage.file_digest(first) != storage.file_digest(second)


def test_a_file_has_kind_and_format_attributes(path):
    storage.write(path, RECORD)
    with h5py.File(path) as file:
        assert (file.attrs["kind"], file.attrs["format"]) == (b"posterior", storage.FORMATS["posterior"])
    assert storage.file_kind(path) == "posterior"


def test_a_file_has_the_permissions_of_any_new_file(path):
    (beside := path.with_name("plain")).touch()
    storage.write(path, RECORD)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


# -------------------------------------------------------------------------------------------------- whole or absent
@pytest.mark.parametrize("interruption", [OSError(28, "No space left on device"), KeyboardInterrupt(), TypeError()])
@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "cosmoinfer.storage.writing._fill"])
def test_a_failing_write_leaves_nothing(path, monkeypatch, place, interruption):
    def fail(*args):
        raise interruption

    monkeypatch.setattr(place, fail)
    with pytest.raises((UserError, type(interruption))):
        storage.write(path, RECORD, force=place == "os.replace")  # others give it a name by a link
    assert list(path.parent.iterdir()) == []


def test_a_failing_write_leaves_the_old_file(path, monkeypatch):
    storage.write(path, RECORD)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left"):
        storage.write(path, FileContents("posterior", {}), force=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_existing_output_is_refused_unless_forced(path):
    storage.write(path, RECORD)
    before = path.read_bytes()
    with pytest.raises(UserError, match="`force`"):
        storage.write(path, FileContents("model", {}))
    assert path.read_bytes() == before
    with pytest.raises(UserError, match="`force` replaces a model file only, found a posterior file"):
        storage.write(path, FileContents("model", {}), force=True)  # a posterior given for a model by a slip
    assert path.read_bytes() == before
    storage.write(path, FileContents("posterior", {}), force=True)
    assert path.read_bytes() != before


def test_force_never_replaces_a_foreign_file(path):
    virtual(path)  # no file of ours
    before = path.read_bytes()
    with pytest.raises(UserError, match="found a file of another tool"):
        storage.write(path, RECORD, force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("force", [False, True])
def test_a_missing_output_folder_is_refused(tmp_path, monkeypatch, force):
    with pytest.raises(UserError, match=r"missing does not exist") as error:
        storage.refuse_existing(tmp_path / "missing" / "file.h5", "model", {}, force)
    assert one_line(error)
    with pytest.raises(UserError, match="is a folder"):
        storage.refuse_existing(tmp_path, "model", {}, force)
    monkeypatch.setattr(os, "access", lambda folder, mode: False)  # chmod does not stop root
    with pytest.raises(UserError, match="cannot be written"):
        storage.refuse_existing(tmp_path / "file.h5", "model", {}, force)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        storage.write(tmp_path / "file.h5", RECORD)
    tmp_path.chmod(0o700)


# ------------------------------------------------------------------------------------------------------ damaged files
def test_a_missing_file_is_refused(path):
    for read in (storage.read_contents, storage.describe_datasets, storage.file_kind, storage.file_digest):
        with pytest.raises(UserError, match="no such file"):
            read(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    storage.write(path, RECORD)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="truncated") as error:
        storage.read_contents(path)
    assert one_line(error)


def test_a_file_that_is_not_hdf5_is_refused(path):
    path.write_text("theta x\n0.3 0.8\n")
    with pytest.raises(UserError, match="is a text file, no HDF5 file") as error:
        storage.read_contents(path)
    assert one_line(error)


def test_digests_find_every_flipped_byte_of_an_array(path):
    storage.write(path, RECORD)
    with h5py.File(path) as file:
        start, size = file["x"].id.get_offset(), file["x"].nbytes
    content = bytearray(path.read_bytes())
    for offset in range(start, start + size, 997):
        content[offset] ^= 0x10
        path.write_bytes(content)
        content[offset] ^= 0x10
        for read in (storage.read_contents, lambda path: storage.load(path, "x")):
            with pytest.raises(UserError, match="/x is damaged") as error:
                read(path)
            assert one_line(error)
    path.write_bytes(content)
    storage.read_contents(path)


def test_a_flipped_byte_anywhere_changes_nothing_that_is_read_or_is_an_error(path):
    """Of the library's own structures, of attributes, text and the digests themselves."""
    attributes = {"x": {"names": ("a", "Ω"), "low": np.array([0.1, 0.2]), "prior": "uniform"}}
    arrays = {"x": np.arange(6.0).reshape(3, 2), "deep/er": np.array(["one", "Ω_m"])}
    storage.write(path, FileContents("posterior", {"settings": {"seed": 1}}, arrays, attributes, {"suite": "A"}))

    def read() -> tuple:
        contents = storage.read_contents(path)
        values = {name: array.tolist() for name, array in contents.arrays.items()}
        return values, repr(contents.attributes), contents.meta, storage.file_attributes(path)

    expected, content, refused = read(), bytearray(path.read_bytes()), 0
    for offset in range(0, len(content), 3):
        content[offset] ^= 1 << offset % 8
        path.write_bytes(content)
        content[offset] ^= 1 << offset % 8
        try:
            assert read() == expected, offset
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len(content) / 10


def test_a_cut_file_is_an_error(path):
    storage.write(path, RECORD)
    content = path.read_bytes()
    for size in range(0, len(content), 1009):
        path.write_bytes(content[:size])
        with pytest.raises(UserError) as error:
            storage.read_contents(path)
        assert one_line(error)


@pytest.mark.parametrize("on_disk", [False, True])
def test_verify_reads_everything(path, monkeypatch, on_disk):
    storage.write(path, RECORD)
    if on_disk:
        monkeypatch.setattr(out_of_core, "MAX_IN_MEMORY_BYTES", 10)
    assert storage.verify(path) == 2
    with h5py.File(path) as file:
        offset = file["x"].id.get_offset() + 8 * VALUES.size - 1
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="/x is damaged, or was changed"):
        storage.verify(path)


@pytest.mark.parametrize("damage", ["cut", "header", "value", "table", "root", "no meta"])
def test_a_damaged_output_is_replaced_by_force_alone(path, damage):
    """Also where HDF5 no longer opens it: its signature tells of which kind it was."""
    storage.write(path, RECORD)
    if damage in ("cut", "header"):
        content = bytearray(path.read_bytes())
        content[48] ^= 1  # of the header of the root, after the superblock
        path.write_bytes(content if damage == "header" else content[:-500])
    else:
        with h5py.File(path, "r+") as file:
            if damage == "value":
                file["x"][0, 0] = 7.0
            elif damage == "root":
                file.attrs["more"] = 1
            else:
                del file["meta" if damage == "no meta" else "digests"]
    assert standing(path, RECORD.meta) is Standing.DAMAGED
    assert standing(path, RECORD.meta, "model") is Standing.FOREIGN
    with pytest.raises(DamagedOutput, match="; `force` replaces it") as error:
        storage.write(path, RECORD)
    assert one_line(error)
    with pytest.raises(UserError, match="replaces a model file only, found a posterior file"):
        storage.write(path, FileContents("model", {}), force=True)
    storage.write(path, RECORD, force=True)
    assert standing(path, RECORD.meta) is Standing.COMPLETE


def test_an_output_without_digests_is_neither_complete_nor_damaged(path):
    """As earlier versions wrote it: whether to replace it is for the user to say."""
    storage.write(path, RECORD)
    with h5py.File(path, "r+") as file:
        del file.attrs["digest"], file["digests"]
    assert standing(path, RECORD.meta) is Standing.OUTDATED
    with pytest.raises(UserError, match="has no digests, as files of earlier versions; sample again; `force`"):
        storage.write(path, RECORD)
    storage.write(path, RECORD, force=True)


@pytest.mark.parametrize("change", ["value", "attribute", "new attribute", "name", "root", "type"])
def test_what_was_changed_in_a_file_of_ours_is_an_error(path, change):
    storage.write(path, FileContents("posterior", {}, {"x": VALUES}, {"x": {"low": 0.5}}, {"suite": "A"}))
    with h5py.File(path, "r+") as file:
        if change == "value":
            file["x"][3, 1] = 7.0
        elif change == "attribute":
            file["x"].attrs["low"] = 0.25
        elif change == "new attribute":
            file["x"].attrs["high"] = 1.0
        elif change == "name":
            file.move("x", "y")
        elif change == "root":
            file.attrs["suite"] = "B"
        else:
            values = file["x"][()].astype(np.float32)
            del file["x"]
            file["x"] = values
            file["x"].attrs["low"] = 0.5
    for read in (storage.read_contents, storage.verify):
        with pytest.raises(UserError, match="is damaged, or was changed after it was written"):
            read(path)
    assert standing(path, {}) is Standing.DAMAGED


def test_a_dataset_without_values_in_place_of_ours_is_an_error(path):
    storage.write(path, RECORD)
    with h5py.File(path, "r+") as file:
        del file["x"]
        file["x"] = h5py.Empty("f8")
    for read in (storage.read_contents, storage.verify, storage.describe_datasets):
        with pytest.raises(UserError, match="/x is damaged, or was changed"):
            read(path)


@pytest.mark.parametrize(
    "table", ['"text"', "[]", "{}", '{"datasets": null}', '{"datasets": {"x": []}}', "[" * 9999, "{"]
)
def test_a_table_of_digests_that_is_none_is_an_error(path, table):
    """Its own digest may be right: it is no signature."""
    storage.write(path, RECORD)
    with h5py.File(path, "r+") as file:
        del file["digests"]
        file["digests"] = np.bytes_(table.encode())
        file.attrs["digest"] = np.bytes_(hashlib.sha256(table.encode()).hexdigest().encode())
    for read in (storage.read_contents, storage.verify, storage.describe_datasets, storage.file_attributes):
        with pytest.raises(UserError, match="is damaged, or was changed") as error:
            read(path)
        assert one_line(error)


@pytest.mark.parametrize("damage", ["meta", "format", "json"])
def test_a_file_of_ours_without_its_head_is_damaged(path, damage):
    storage.write(path, RECORD)
    with h5py.File(path, "a") as file:
        if damage == "format":
            del file.attrs["format"]
        else:
            del file["meta"]
        if damage == "json":
            file["meta"] = '{"version": '
    with pytest.raises(UserError, match="is damaged"):
        storage.read_contents(path)


def test_a_file_of_another_kind_is_refused(path):
    storage.write(path, RECORD)
    with pytest.raises(UserError, match="expected a split or model file, found a posterior file"):
        storage.read_contents(path, "split", "model")


@pytest.mark.parametrize("kinds", [(), ("model",)])
def test_a_foreign_hdf5_file_is_refused(path, kinds):
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
        file.attrs["kind"] = "snapshot"  # as another tool may call it
    with pytest.raises(
        UserError, match=f"expected a {kinds[0] if kinds else ''}.*, found an HDF5 file of another tool"
    ):
        storage.read_contents(path, *kinds)
    assert storage.file_kind(path) is None


def test_a_newer_format_is_refused(path):
    storage.write(path, RECORD)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = storage.FORMATS["posterior"] + 1
    with pytest.raises(UserError, match=r"its format is 3, this version \(.*\) reads format 2") as error:
        storage.read_contents(path, "posterior")
    assert one_line(error)


@pytest.mark.parametrize(
    ("kind", "remedy"), [("model", "train again"), ("posterior", "sample again"), ("metrics", "evaluate again")]
)
def test_an_older_format_is_refused_with_the_command_to_repeat(path, kind, remedy):
    storage.write(path, FileContents(kind, {"seed": 0}))
    assert standing(path, {"seed": 0}, kind) is Standing.COMPLETE
    with h5py.File(path, "a") as file:
        file.attrs["format"] = 1
    with pytest.raises(
        UserError, match=rf"its format 1 is no longer read \(this version reads 2\); {remedy}$"
    ) as error:
        storage.read_contents(path)
    assert one_line(error)
    assert standing(path, {"seed": 0}, kind) is Standing.OUTDATED
    storage.write(path, FileContents(kind, {"seed": 0}), force=True)
    assert storage.read_contents(path).kind == kind


# -------------------------------------------------------------------------------------------------- the very same run
def test_the_same_run_is_one_of_identical_meta(path):
    meta = {"version": "1", "settings": {"seed": 1, "rate": 1e-3, "names": ["a", "b"], "none": None, "yes": True}}
    assert standing(path, meta, "model") is Standing.FREE
    storage.write(path, FileContents("model", meta))
    assert standing(path, dict(reversed(meta.items())), "model") is Standing.COMPLETE
    for change in ({"seed": 2}, {"seed": 1.0}, {"yes": 1}, {"rate": 1.0000001e-3}, {"names": ["b", "a"]}, {"more": 0}):
        assert standing(path, {**meta, "settings": {**meta["settings"], **change}}, "model") is Standing.OTHER
    assert standing(path, {"version": "1"}, "model") is Standing.OTHER
    assert standing(path, meta) is Standing.FOREIGN


def test_no_other_or_broken_file_is_the_same_run(path):
    with h5py.File(path, "w") as file:
        file["meta"] = np.arange(3)
    assert standing(path, {}) is Standing.FOREIGN
    path.write_bytes(path.read_bytes()[:-100])
    assert standing(path, {}) is Standing.FOREIGN
    path.write_text("{}")
    assert standing(path, {}) is Standing.FOREIGN


# ----------------------------------------------------------------------------------------------------- anybody's files
def test_contents_tell_of_every_dataset(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("a/b", data=VALUES.astype("f4"), chunks=(10, 3), compression="gzip")
        data.attrs["kind"] = np.bytes_(b"vector")
        data.attrs["names"] = np.array([b"x", b"y"])
        file["c"] = 3
    datasets = storage.describe_datasets(path)
    assert list(datasets) == ["a/b", "c"]
    assert (datasets["a/b"].shape, datasets["a/b"].dtype) == ((1000, 3), np.float32)
    assert (datasets["a/b"].chunks, datasets["a/b"].compression) == ((10, 3), "gzip")
    assert datasets["a/b"].attributes == {"kind": "vector", "names": ("x", "y")}
    assert (datasets["c"].shape, datasets["c"].chunks) == ((), None)


def test_fixed_length_strings_are_strings(path):
    with h5py.File(path, "w") as file:
        file["ids"] = np.array([b"LH_0", b"LH_10"])
    assert storage.load(path, "ids").tolist() == ["LH_0", "LH_10"]


@pytest.mark.parametrize("name", ["nope", "a"])
def test_a_missing_dataset_is_refused_with_the_known_ones(path, name):
    with h5py.File(path, "w") as file:
        file["a/b"], file["c"] = 1, 2
    with pytest.raises(UserError, match=rf"has no dataset /{name}; it holds /a/b, /c"):
        storage.load(path, name)


def virtual(path, *files, dataset="x"):
    layout = h5py.VirtualLayout((len(files) * len(VALUES), 3), VALUES.dtype)
    for number, file_name in enumerate(files):
        layout[number * len(VALUES) : (number + 1) * len(VALUES)] = h5py.VirtualSource(file_name, dataset, VALUES.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)
    return path


def test_a_virtual_dataset_reads_its_parts(path):
    for file_name in ("one.h5", "two.h5"):
        storage.write(path.with_name(file_name), RECORD)
    virtual(path, "one.h5", "two.h5")
    np.testing.assert_array_equal(storage.load(path, "x", follow_links=True), np.concatenate([VALUES, VALUES]))
    (elsewhere := path.parent / "elsewhere").mkdir()
    (elsewhere / "link.h5").symlink_to(path)
    np.testing.assert_array_equal(
        storage.load(elsewhere / "link.h5", "x", follow_links=True), storage.load(path, "x", follow_links=True)
    )


def test_a_virtual_dataset_with_a_missing_part_is_an_error_not_zeros(path):
    storage.write(path.with_name("one.h5"), RECORD)
    with pytest.raises(UserError, match=r"a source of /x is missing: two.h5"):
        storage.load(virtual(path, "one.h5", "two.h5"), "x", follow_links=True)
    path.with_name("two.h5").write_text("no HDF5")
    with pytest.raises(UserError, match=r"two.h5: is a text file, no HDF5 file"):
        storage.load(path, "x", follow_links=True)
    path.with_name("two.h5").unlink()
    storage.write(path.with_name("two.h5"), FileContents("model", {}))
    with pytest.raises(UserError, match=r"a source of /x is missing: .*two.h5 has no dataset x"):
        storage.load(path, "x", follow_links=True)
    virtual(path.with_name("two.h5"), "three.h5")
    with pytest.raises(UserError, match=r"two.h5: a source of /x is missing: three.h5"):
        storage.load(path, "x", follow_links=True)


# ------------------------------------------------------------------------------------------ rows that stay in a file
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", "<i8"])
@pytest.mark.parametrize(
    "how",
    [
        "plain",
        "user block",
        "elsewhere",
        "unwritten",
        "compact",
        "gzip",
        "chunks",
        "cut chunks",
        "some chunks",
        "checksums",
        "chunks and user block",
        "chunks in other order",
    ],
)
def test_stored_rows_are_those_of_hdf5_however_they_lie(tmp_path, how, dtype):
    values, path = np.arange(60).reshape(10, 3, 2).astype(dtype), tmp_path / "file.h5"
    settings = {
        "chunks in other order": {"chunks": (2, 3, 2)},
        "elsewhere": {"external": [(tmp_path / "raw.bin", 0, values.nbytes)]},
        "unwritten": {"fillvalue": 7},
        "chunks": {"chunks": (4, 3, 2)},
        "cut chunks": {"chunks": (4, 3, 1)},
        "chunks and user block": {"chunks": (4, 3, 2)},
        "some chunks": {"chunks": (4, 3, 2), "fillvalue": 7},
        "checksums": {"chunks": (4, 3, 2), "fletcher32": True},
        "gzip": {"chunks": (3, 3, 2), "compression": "gzip"},
    }.get(how, {})
    with h5py.File(path, "w", userblock_size=512 if "user block" in how else 0) as file:
        file["before"] = np.arange(7)
        if how == "compact":
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_layout(h5py.h5d.COMPACT)
            space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
            h5py.h5d.create(file.id, b"x", kind, space, creation)
        else:
            file.create_dataset("x", values.shape, dtype, **settings)
        if how == "chunks in other order":
            file["x"][8:], file["x"][4:8], file["x"][:4] = values[8:], values[4:8], values[:4]
        elif how == "some chunks":
            file["x"][:4] = values[:4]
        elif how != "unwritten":
            file["x"][:] = values
        expected = file["x"][()]
    stored = storage.DatasetHandle(path, "x", follow_links=True)
    np.testing.assert_array_equal(stored.read(2, 7), expected[2:7])
    into = np.zeros((4, 1, 3, 2), stored.dtype)  # with an axis of one channel
    stored.read_into(into, 6, 10)
    np.testing.assert_array_equal(into[:, 0], expected[6:])


@pytest.mark.parametrize("stored", ["<f4", ">f4", "<i2", "<f8"])
@pytest.mark.parametrize("into", ["<f4", "<f8"])
def test_undamaged_rows_are_read_into_any_type(tmp_path, stored, into):
    path = tmp_path / "file.h5"
    values = (np.arange(900_000) % 1000).reshape(-1, 3).astype(stored)
    storage.write(path, FileContents("posterior", {}, {"x": values}))
    handle, rows = storage.DatasetHandle(path, "x"), np.empty((250_000, 3), into)
    handle.read_into(rows, 5, 250_005)
    np.testing.assert_array_equal(rows, values[5:250_005])


def test_rows_along_the_last_axis_are_compared_with_digests_too(tmp_path, monkeypatch):
    path = tmp_path / "file.h5"
    values = np.arange(600_000.0).reshape(3, -1)
    storage.write(path, FileContents("catalog", {}, {"x": values}))
    encoding = storage.Encoding(row_axis=RowAxis.LAST)
    np.testing.assert_array_equal(storage.DatasetHandle(path, "x", encoding=encoding).read(7, 9), values[:, 7:9].T)
    with h5py.File(path) as file:
        offset = file["x"].id.get_offset()
    with path.open("r+b") as file:
        file.seek(offset + values.nbytes - 8)
        file.write(b"\x5a" * 8)
    with pytest.raises(UserError, match=r"/x is damaged"):
        storage.DatasetHandle(path, "x", encoding=encoding).read(7, 9)


@pytest.mark.parametrize("name", ["x", "/x", "//x", "./x"])
def test_a_changed_dataset_is_an_error_however_its_name_is_spelled(path, name):
    storage.write(path, FileContents("catalog", {}, {"x": VALUES}))
    np.testing.assert_array_equal(storage.load(path, name), VALUES)
    with h5py.File(path, "r+") as file:
        file["x"][0, 0] = 7.0
    with pytest.raises(UserError, match=r"is damaged, or was changed.*without the attribute digest"):
        storage.load(path, name)
    with h5py.File(path, "r+") as file:
        del file.attrs["digest"]
    assert storage.load(path, name)[0, 0] == 7


def test_a_changed_dataset_that_another_file_refers_to_is_an_error(path, tmp_path):
    storage.write(path, FileContents("catalog", {}, {"x": VALUES}))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["y"] = h5py.ExternalLink(path.name, "/x")
    layout = h5py.VirtualLayout((1000, 3), "f8")
    layout[:] = h5py.VirtualSource(path, "x", (1000, 3))
    with h5py.File(tmp_path / "link.h5", "a") as file:
        file.create_virtual_dataset("z", layout)
    read = [
        lambda: storage.load(tmp_path / "link.h5", "y", follow_links=True),
        lambda: storage.load(tmp_path / "link.h5", "z", follow_links=True),
        lambda: storage.DatasetHandle(tmp_path / "link.h5", "y", follow_links=True).read(0, 1000),
    ]
    for values in read:
        np.testing.assert_array_equal(values(), VALUES)
    with h5py.File(path, "r+") as file:
        file["x"][0, 0] = 7.0
    for values in read:
        with pytest.raises(UserError, match=r"/x is damaged, or was changed"):
            values()


@pytest.mark.parametrize("change", ["deleted", "added", "soft link", "external link", "dangling", "no table", "digest"])
def test_names_of_a_catalog_of_ours_are_those_that_were_written(path, change):
    """A deleted /split would part the rows anew, and nobody would notice."""
    storage.write(path, FileContents("catalog", {}, {"data": VALUES, "split": np.zeros(1000)}))
    with h5py.File(path, "r+") as file:
        if change == "deleted":
            del file["split"]
        elif change == "added":
            file["simulation"] = np.arange(1000)
        elif change == "soft link":
            file["simulation"] = h5py.SoftLink("/split")
        elif change == "external link":
            file["simulation"] = h5py.ExternalLink("other.h5", "/split")
        elif change == "dangling":
            del file["split"]
            file["split"] = h5py.SoftLink("/nothing")
        elif change == "no table":
            del file["digests"]
        else:
            file.attrs["digest"] = 7
    for read in (storage.describe_datasets, storage.file_attributes, lambda path: storage.load(path, "data")):
        with pytest.raises(UserError, match="is damaged, or was changed") as error:
            read(path)
        assert one_line(error)


def test_a_file_of_ours_has_its_values_in_itself(path, tmp_path):
    """Its digests may be right: they are no signature of who wrote it."""
    storage.write(path, FileContents("posterior", {}, {"x": VALUES}))
    VALUES.tofile(tmp_path / "raw")
    with h5py.File(path, "r+") as file:
        del file["x"]
        file.create_dataset("x", VALUES.shape, "f8", external=[(str(tmp_path / "raw"), 0, VALUES.nbytes)])
    with pytest.raises(UserError, match=r"/x is damaged, or was changed"):
        storage.read_contents(path)


@pytest.mark.parametrize("own", [True, False])
def test_damaged_rows_that_stay_in_their_file_are_an_error(tmp_path, own):
    """By digests of blocks in a file of ours, by checksums of chunks in one of another tool."""
    path = tmp_path / "file.h5"
    values = np.arange(400_000.0).reshape(-1, 2)
    if own:
        storage.write(path, FileContents("posterior", {}, {"x": values}))
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=values, chunks=(1000, 2), fletcher32=True)
    handle, status = storage.DatasetHandle(path, "x"), path.stat()
    with h5py.File(path) as file:
        dataset = file["x"].id
        offset = dataset.get_offset() if own else dataset.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(offset + 100)
        file.write(b"\x5a" * 8)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(UserError, match=r"/x is damaged"):
        handle.read(50, 100)
    np.testing.assert_array_equal(handle.read(150_000, 150_010), values[150_000:150_010])  # of another block


def foreign_text(path):
    path.write_text("on a cosmoinfer posterior file")


def foreign_archive(path):
    """That begins with something else, and holds one of ours."""
    storage.write(path, RECORD)
    path.write_bytes(bytes(512) + path.read_bytes())


def foreign_hdf5(path):
    """With the root attributes of one of ours, unsigned."""
    with h5py.File(path, "w") as file:
        file["precious"] = 1.0
        file.attrs.update(kind="posterior", format=2)


@pytest.mark.parametrize("make", [foreign_text, foreign_archive, foreign_hdf5])
def test_what_only_speaks_of_this_tool_is_never_replaced(path, make):
    path.unlink(missing_ok=True)
    make(path)
    before = path.read_bytes()
    assert standing(path, RECORD.meta) is Standing.FOREIGN
    with pytest.raises(UserError, match="`force` replaces a posterior file only, found a file of another tool"):
        storage.write(path, RECORD, force=True)
    assert path.read_bytes() == before


def test_a_link_that_leads_nowhere_is_not_replaced(path):
    path.unlink(missing_ok=True)
    path.symlink_to("elsewhere.h5")
    with pytest.raises(UserError, match=r"is a link to elsewhere.h5, which is not there$"):
        storage.write(path, RECORD, force=True)
    assert path.is_symlink()
