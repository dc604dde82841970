"""Repacked catalogs: the same rows, from one file or many."""

import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog as catalogs
from cosmoinfer.audit import values as audit_values
from cosmoinfer.catalog import ReadOptions, repack, writing
from cosmoinfer.errors import UserError
from tests.command_line import call, done, refused, write
from tests.map_files import LAYOUTS, ROWS, cut_into_files, write_maps


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_repacked_copy_is_the_same_catalog_row_after_row(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(writing, "SLAB_BYTES", 3000)
    path, packed = write_maps(tmp_path / "maps.h5", **LAYOUTS[layout]), tmp_path / "packed.h5"
    with h5py.File(path, "a") as file:
        file["k"], file.attrs["suite"] = np.arange(6), "TNG"
    done("repack", path, "-o", packed)
    original, copy = catalogs.read(path), catalogs.read(packed)
    assert copy.fingerprint == original.fingerprint and copy.selection_hash == original.selection_hash
    with h5py.File(packed) as file:
        assert file["data"].chunks is None and file["data"].shape == (*original.observables[0].values.shape,)
        assert file["data"].dtype == np.float32 and file["k"].shape == (6,) and file.attrs["suite"] == b"TNG"
    before = packed.read_bytes()
    done("repack", path, "-o", packed)
    assert packed.read_bytes() == before
    assert "exists already" in refused("repack", write_maps(tmp_path / "other.h5", 20, 7), "-o", packed)
    done("repack", packed, "-o", tmp_path / "twice.h5")
    assert catalogs.read(tmp_path / "twice.h5").fingerprint == original.fingerprint


def test_a_file_is_not_repacked_onto_itself(tmp_path):
    path = write_maps(tmp_path / "maps.h5")
    before = path.read_bytes()
    assert "is read by this command" in refused("repack", path, "-o", path, "--force")
    assert path.read_bytes() == before


def test_a_copy_among_its_own_parts_is_not_taken_for_more_rows(tmp_path):
    for seed in (1, 2):
        with h5py.File(write_maps(tmp_path / f"{seed}.h5", 20, seed), "a") as file:
            file.attrs["suite"] = "TNG"
    done("repack", tmp_path / "*.h5", "-o", tmp_path / "packed.h5")
    with pytest.raises(UserError, match="too; ids must differ"):
        catalogs.read(tmp_path / "*.h5")


def test_many_files_are_repacked_into_one(tmp_path):
    pattern = cut_into_files(write_maps(tmp_path / "maps.h5"), [50, 120, ROWS])
    done("repack", pattern, "-o", tmp_path / "packed.h5")
    assert catalogs.read(tmp_path / "packed.h5").fingerprint == catalogs.read(tmp_path / "maps.h5").fingerprint


def test_foreign_layouts_and_classes_are_repacked_into_our_layout(tmp_path):
    stream = np.random.default_rng(0)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["LH/params"], file["LH/x"] = stream.uniform(size=(40, 2)), stream.normal(size=(40, 3))
    options = ["--parameters", "LH/params", "--data", "LH/x", "--names", "a,b", "--bounds", "a=0:1,b=-1:2"]
    done("repack", tmp_path / "other.h5", "-o", tmp_path / "ours.h5", *options)
    repacked = catalogs.read(tmp_path / "ours.h5")
    assert (
        repacked.parameters.names == ("a", "b")
        and repacked.parameters.high.tolist() == [1, 2]
        and not repacked.declared_priors
    )
    with h5py.File(tmp_path / "classes.h5", "w") as file:
        file["data"], file["classes/kind"] = stream.normal(size=(40, 3)), np.arange(40) % 2
        file["classes/kind"].attrs["names"] = ["old", "new"]
    done("repack", tmp_path / "classes.h5", "--target", "kind", "-o", tmp_path / "packed.h5")
    assert catalogs.read(tmp_path / "packed.h5", ReadOptions(target="kind")).classes == ("old", "new")
    assert "kind" in done("inspect", tmp_path / "packed.h5", "--target", "kind")


def test_repack_is_refused_without_free_disk_space(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1000, free=100))
    assert "are free" in refused("repack", write_maps(tmp_path / "maps.h5"), "-o", tmp_path / "packed.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["maps.h5"]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"compression": "gzip"}, "is decompressed"),
        ({"chunks": (1, 6, 6)}, "are small"),
        ({"chunks": (9, 3, 6)}, "split rows"),
    ],
)
def test_inspect_warns_of_a_slow_hdf5_layout(tmp_path, monkeypatch, layout, words):
    monkeypatch.setattr(audit_values, "LARGE_DATASET_BYTES", 1000)
    findings = json.loads(done("inspect", write_maps(tmp_path / "maps.h5", **layout), "--json"))["findings"]
    assert any(words in finding["text"] and "repack" in finding["remedy"] for finding in findings)
    findings = json.loads(done("inspect", write_maps(tmp_path / "plain.h5"), "--json"))["findings"]
    assert not any("repack" in finding["remedy"] for finding in findings)


def test_repack_leaves_out_what_has_no_fixed_size(tmp_path):
    theta, x = np.random.default_rng(0).uniform(size=(20, 2)), np.ones((20, 3))
    path = write(tmp_path / "sims.h5", theta, x + theta[:, :1])
    with h5py.File(path, "a") as file:
        text = h5py.string_dtype()
        file["table"] = np.array([("a", 1.0), ("bb", 2.0)], dtype=[("name", text), ("value", "f8")])
        file.create_dataset("lists", (2,), h5py.vlen_dtype(np.float64))
        file.create_dataset("reference", data=np.array([file["data"].ref], dtype=h5py.ref_dtype))
        file["plain"] = np.array([(1, 1.0)], dtype=[("n", "i4"), ("value", "f8")])
    status, _, messages = call("repack", path, "-o", tmp_path / "packed.h5")
    assert status == 0 and "without lists, reference, table, which are" in messages
    with h5py.File(tmp_path / "packed.h5") as file:
        assert "table" not in file and file["plain"][0]["value"] == 1


def test_repack_keeps_extra_datasets_and_attributes(tmp_path):
    """As many features as rows, weights a row, classes, attributes; in one file and in two."""
    for seed in (1, 2):
        stream = np.random.default_rng(seed)
        with h5py.File(tmp_path / f"{seed}.h5", "w") as file:
            file["data"], file["parameters"] = stream.normal(size=(20, 20)), stream.uniform(size=(20, 1))
            file["k"], file["weights"], file["classes/kind"] = (
                np.arange(20.0),
                stream.uniform(size=20),
                np.arange(20) % 2,
            )
            file["data"].attrs["units"], file["k"].attrs["units"] = "Mpc", "h/Mpc"
    done("repack", tmp_path / "1.h5", "-o", tmp_path / "one.packed")
    done("repack", tmp_path / "?.h5", "-o", tmp_path / "both.packed")
    with h5py.File(tmp_path / "one.packed") as single, h5py.File(tmp_path / "both.packed") as joined:
        assert (single["data"].attrs["units"], single["k"].attrs["units"]) == (b"Mpc", b"h/Mpc")
        for name, sizes in {"k": (20, 20), "weights": (20, 40), "classes/kind": (20, 40)}.items():
            assert (len(single[name]), len(joined[name])) == sizes, name
    assert catalogs.read(tmp_path / "both.packed", ReadOptions(scale_cut=("k<10",))).observables[0].row_shape == (10,)
    assert catalogs.read(tmp_path / "both.packed", ReadOptions(target="kind")).classes == ("0", "1")


def test_repack_names_large_datasets_that_it_leaves_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(repack, "MAX_COPIED_BYTES", 1000)
    with h5py.File(write_maps(tmp_path / "maps.h5", 20), "a") as file:
        file["CV/maps"], file["CV/seed"] = np.zeros((300, 6)), np.arange(3)
    _, _, messages = call("repack", tmp_path / "maps.h5", "-o", tmp_path / "packed.h5")
    assert "without CV/maps" in messages
    with h5py.File(tmp_path / "packed.h5") as file:
        assert "CV/seed" in file and "CV/maps" not in file
