"""Catalogs of many files: manifests, ids, selections and what does not fit together."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog as catalogs
from cosmoinfer.catalog import ReadOptions, multi_file
from cosmoinfer.catalog.lazy_array import LazyArray, concatenate
from cosmoinfer.errors import UserError
from cosmoinfer.storage import DatasetHandle
from tests.command_line import done, refused
from tests.map_files import ROWS, TINY, cut_into_files, write_maps


@pytest.mark.parametrize("memory_", [None, 60_000])
def test_many_files_are_one_catalog(tmp_path, small_memory, memory_):
    path = write_maps(tmp_path / "maps.h5")
    pattern, single = cut_into_files(path, [50, 120, ROWS]), catalogs.read(path)
    together = catalogs.read(pattern, memory=memory_)
    assert together.fingerprint == single.fingerprint and len(together) == ROWS
    rows = np.random.default_rng(0).permutation(ROWS)
    np.testing.assert_array_equal(together.observables[0].read(rows), single.observables[0].read(rows))
    done("inspect", pattern, "--manifest", tmp_path / "sims.json")
    listed = catalogs.read(tmp_path / "sims.json", memory=memory_)
    assert listed.fingerprint == single.fingerprint
    assert multi_file.catalog_name(pattern) == "maps" and multi_file.catalog_name(tmp_path / "sims.json") == "sims"


def test_a_selection_of_joined_parts_is_still_in_its_files(tmp_path):
    arrays = [LazyArray((DatasetHandle(write_maps(tmp_path / f"{seed}.h5", 20, seed), "data"),)) for seed in (1, 2)]
    joined = concatenate([arrays[0].select(np.array([4, 2])), arrays[1]])
    expected = np.concatenate([arrays[0][np.array([4, 2])], arrays[1][np.arange(20)]])
    np.testing.assert_array_equal(joined[np.arange(22)], expected)


def test_files_that_do_not_fit_together_are_refused(tmp_path):
    for number, change in enumerate(("names", "box", "shape", "ids")):
        folder = tmp_path / change
        folder.mkdir()
        write_maps(folder / "0.h5", 20, 1)
        write_maps(folder / "1.h5", 20, 1 if change == "ids" else 2)
        with h5py.File(folder / "1.h5", "a") as file:
            if change == "names":
                file["parameters"].attrs["names"] = ["a", "c"]
            elif change == "box":
                file["parameters"].attrs["high"] = [1.0, 2.0]
            elif change == "shape":
                data = file["data"][:, :5]
                del file["data"]
                file["data"] = data
        words = ("expected parameters", "expected a prior of b", "expected data", "simulation 1000")[number]
        with pytest.raises(UserError, match=words):
            catalogs.read(folder / "*.h5")


def test_files_without_ids_or_with_a_suite_keep_their_rows_apart(tmp_path):
    for seed in (1, 2):
        write_maps(tmp_path / f"{seed}.h5", 20, seed)
        with h5py.File(tmp_path / f"{seed}.h5", "a") as file:
            del file["simulation"]
    assert catalogs.read(tmp_path / "?.h5").simulation[[0, 20]].tolist() == ["1/0", "2/0"]
    for seed in (1, 2):
        with h5py.File(tmp_path / f"{seed}.h5", "a") as file:
            file["simulation"], file.attrs["suite"] = np.arange(20), f"suite {seed}"
    assert catalogs.read(tmp_path / "?.h5").simulation[[0, 39]].tolist() == ["suite 1/0", "suite 2/19"]


def test_a_manifest_with_a_missing_or_a_changed_file_is_refused(tmp_path):
    pattern = cut_into_files(write_maps(tmp_path / "maps.h5"), [50, ROWS])
    done("inspect", pattern, "--manifest", tmp_path / "sims.json")
    assert "exists already" in refused("inspect", pattern, "--manifest", tmp_path / "sims.json")
    first = tmp_path / "maps" / "00.h5"
    moved = first.rename(tmp_path / "elsewhere.h5")
    with pytest.raises(UserError, match=r"sims\.json: lists .*00\.h5: no such file"):
        catalogs.read(tmp_path / "sims.json")
    os.mkfifo(first)
    with pytest.raises(UserError, match=r"sims\.json: lists .*00\.h5: is no regular file"):
        catalogs.read(tmp_path / "sims.json")
    with pytest.raises(UserError, match=r"00\.h5: is no regular file"):
        catalogs.read(pattern)
    first.unlink()
    write_maps(first, 20, 5)
    with pytest.raises(UserError, match="with 50 rows, which has 20"):
        catalogs.read(tmp_path / "sims.json")
    moved.rename(first)
    entry = '{"kind": "manifest", "format": 1, "parts": [{"path": %s, "rows": %s}]}'
    odd = [
        entry % pair
        for pair in (("1", "5"), ('"a.h5"', "1e400"), ('"a.h5"', "true"), ('"a.h5"', '"5"'), ('"a.h5"', "null"))
    ]
    for text in ("{}", "[1]", "no JSON", "[" * 100_000, '{"kind": "manifest"}', *odd):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(UserError, match="is no manifest"):
            catalogs.read(tmp_path / "other.json")
    with pytest.raises(UserError, match="no file matches"):
        catalogs.read(tmp_path / "nothing*.h5")


def test_ids_do_not_depend_on_how_many_files_match(tmp_path):
    """So that a simulation stays in its part of the split when the next files arrive."""
    with h5py.File(write_maps(tmp_path / "a.h5", 20), "a") as file:
        del file["simulation"]
    alone = catalogs.read(tmp_path / "*.h5")
    assert alone.simulation[0] == "a/0"
    with h5py.File(write_maps(tmp_path / "b.h5", 20, 2), "a") as file:
        del file["simulation"]
    assert catalogs.read(tmp_path / "*.h5").simulation[0] == "a/0"


def test_output_files_of_this_tool_are_left_out_of_a_pattern_with_a_note(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cut_into_files(write_maps(tmp_path / "maps.h5"), [50, ROWS])
    monkeypatch.chdir(tmp_path / "maps")
    done("train-flow", "*.h5", *TINY, "-o", "flow.h5")
    result = catalogs.read(Path("*.h5"))
    assert len(result) == ROWS and "left out, being no catalogs: flow.h5" in result.notes
    done("sample", "flow.h5", "*.h5", "--draws", "10")
    with pytest.raises(UserError, match="no catalog matches"):
        catalogs.read(Path("fl*.h5"))


def test_a_row_of_many_files_is_named_by_its_file(tmp_path):
    pattern = cut_into_files(write_maps(tmp_path / "maps.h5"), [50, ROWS])
    with h5py.File(tmp_path / "maps" / "01.h5", "a") as file:
        file["data"][7, 2, 2] = np.nan
    with pytest.raises(UserError, match=r"row 7 of 01\.h5"):
        catalogs.read(pattern)
    assert "row 7 of 01.h5" in refused("inspect", pattern)
    dropped = catalogs.read(pattern, ReadOptions(drop_nonfinite=True))
    assert "row 8 of 01.h5" in dropped.describe_rows(np.array([57]))


def test_files_with_different_dataset_names_or_coordinates_are_refused(tmp_path):
    stream = np.random.default_rng(0)
    for number, (name, k) in enumerate([("pk", 1.0), ("pk", 1.1), ("bk", 1.0)]):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file[f"data/{name}"], file["parameters"] = stream.normal(size=(20, 4)), stream.uniform(size=(20, 1))
            file["k"] = k * np.arange(1, 5)
    assert len(catalogs.read(tmp_path / "[01].h5")) == 40
    with pytest.raises(UserError, match=r"1\.h5: /k differs from that of .*0\.h5"):
        catalogs.read(tmp_path / "[01].h5", ReadOptions(scale_cut=("k<2.5",)))
    with pytest.raises(UserError, match=r"expected data as in .*/data/pk.*found /data/bk"):
        catalogs.read(tmp_path / "[02].h5")


def test_a_manifest_of_files_in_a_foreign_layout_is_read(tmp_path):
    stream = np.random.default_rng(0)
    for number in (1, 2):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["P"], file["x"] = stream.uniform(size=(20, 2)), stream.normal(size=(20, 3))
    options = ["--parameters", "P", "--data", "x"]
    done("inspect", tmp_path / "*.h5", *options, "--manifest", tmp_path / "sims.json")
    assert len(catalogs.read(tmp_path / "sims.json", ReadOptions(parameters="P", data=("x",)))) == 40
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_recursive_patterns_match_and_equal_file_names_get_distinct_ids(tmp_path):
    for seed, name in enumerate(("a/r1", "a/r2", "b/c/r1")):
        (tmp_path / name).mkdir(parents=True)
        with h5py.File(write_maps(tmp_path / name / "maps.h5", 20, seed), "a") as file:
            del file["simulation"]
    (tmp_path / "a" / "folder.h5").mkdir()
    result = catalogs.read(tmp_path / "a" / "*" / "*.h5")
    assert result.simulation[[0, 20]].tolist() == ["r1-maps/0", "r2-maps/0"]
    with pytest.raises(UserError, match="too; ids must differ"):
        catalogs.read(tmp_path / "**" / "*.h5")
    assert len(catalogs.read(tmp_path / "a" / "**" / "*.h5")) == 40


def test_a_manifest_of_links_gives_the_ids_of_the_links(tmp_path):
    (tmp_path / "links").mkdir()
    for number in range(2):
        with h5py.File(write_maps(tmp_path / f"store{number}.h5", 20, number), "a") as file:
            del file["simulation"]
        (tmp_path / "links" / f"{number}.h5").symlink_to(tmp_path / f"store{number}.h5")
    done("inspect", tmp_path / "links" / "*.h5", "--manifest", tmp_path / "links.json")
    by_pattern, by_manifest = catalogs.read(tmp_path / "links" / "*.h5"), catalogs.read(tmp_path / "links.json")
    assert (
        by_pattern.simulation.tolist() == by_manifest.simulation.tolist()
        and by_pattern.fingerprint == by_manifest.fingerprint
    )
