"""Catalogs that stay in their files: the same rows, numbers and models, in bounded memory; and one of many files."""

import copy
import json
import multiprocessing
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from cosmoinfer import catalog as catalogs
from cosmoinfer import memory, split
from cosmoinfer.audit import values as audit_values
from cosmoinfer.catalog import ReadOptions, multi_file, repack
from cosmoinfer.catalog.lazy_array import LazyArray, concatenate
from cosmoinfer.errors import UserError
from cosmoinfer.preprocessing import fit as fit_module
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.storage import DatasetHandle, reader
from cosmoinfer.training import loop
from cosmoinfer.training.context import TrainingContext
from cosmoinfer.training.loaders import InMemoryLoader, StreamingLoader, make_loader
from cosmoinfer.training.loss import Loss
from tests.command_line import call, done, refused

ROWS = 230
LAYOUTS = {"contiguous": {}, "chunks of 7": {"chunks": (7, 6, 6)}, "gzip": {"chunks": (1, 6, 6), "compression": "gzip"}}
TINY = ["--epochs", "2", "--ensemble", "2", "--batch-size", "20", "--threads", "1", "--hidden", "4"]


def maps(path: Path, rows: int = ROWS, seed: int = 0, **layout: object) -> Path:
    """Of two parameters, two rows a simulation."""
    stream = np.random.default_rng(seed)
    theta = np.repeat(stream.uniform(size=(rows // 2, 2)), 2, axis=0)
    with h5py.File(path, "w") as file:
        file["parameters"] = theta
        file["parameters"].attrs.update(names=["a", "b"], low=[0.0, 0.0], high=[1.0, 1.0])
        data = theta[:, :1, None] + theta[:, 1:, None] * stream.standard_normal((rows, 6, 6))
        file.create_dataset("data", data=data.astype(np.float32), **layout)
        file["data"].attrs["kind"] = "map"
        file["simulation"] = np.arange(rows) // 2 + 1000 * seed
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory into which the maps do not fit, blocks of a few rows, windows of a few batches."""
    monkeypatch.setattr(memory, "MIN_MEMORY_BYTES", 1)
    monkeypatch.setattr(catalogs.lazy_array, "BLOCK_BYTES", 1500)
    monkeypatch.setattr(catalogs.rows, "MAX_STREAMED_BLOCK_NUMBERS", 500)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_those_of_the_file_in_any_order_and_selection(tmp_path, layout, small):
    path = maps(tmp_path / "maps.h5", **LAYOUTS[layout])
    values = LazyArray((DatasetHandle(path, "data"),)).with_channel_axis()
    with h5py.File(path) as file:
        whole = file["data"][()][:, None]
    assert values.shape == whole.shape and values.dtype == whole.dtype and len(values) == ROWS
    some = np.random.default_rng(1).permutation(ROWS)[:90]
    for rows in (np.arange(ROWS), some, some[:1], some[:0], np.array([3, 3, 200])):
        np.testing.assert_array_equal(values[rows], whole[rows])
    np.testing.assert_array_equal(
        values.take(some).select_features(np.array([1, 4]))[np.arange(5, 60)], whole[some[5:60]][..., [1, 4]]
    )
    np.testing.assert_array_equal(copy.deepcopy(values)[some], whole[some])
    blocks = values.take(some).group_by_block(np.arange(3, 80))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(77)) and len(blocks) > 5


def test_cuts_add_up_and_rows_that_repeat_repeat(tmp_path):
    values = LazyArray((DatasetHandle(maps(tmp_path / "maps.h5"), "data"),))
    whole = values[np.arange(ROWS)]
    cut = values.select_features(np.arange(1, 6)).select_features(np.array([0, 2]))
    np.testing.assert_array_equal(cut[np.array([3, 3, 5])], whole[[3, 3, 5]][..., [1, 3]])


def test_parts_of_other_types_and_with_an_axis_of_one_channel_go_together(tmp_path):
    numbers = np.arange(4 * 9).reshape(4, 3, 3)
    for name, part in (("0", numbers), ("1", (numbers + 0.5)[:, None])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"], file["simulation"] = part, np.arange(4) + 10 * int(name)
            file["data"].attrs["kind"] = "map"
    held, streamed = (catalogs.read(tmp_path / "?.h5", memory=given) for given in (None, 1))
    assert streamed.is_streamed and held.fingerprint == streamed.fingerprint


def test_more_files_than_a_process_may_open(tmp_path):
    parts = tuple(DatasetHandle(maps(tmp_path / f"{seed}.h5", 4, seed), "data") for seed in range(40))
    values = LazyArray(parts)
    np.testing.assert_array_equal(values[np.arange(160)], np.concatenate([one.read(0, 4) for one in parts]))
    assert 0 < reader._open_for_reading.cache_info().currsize <= 32


def test_chunks_that_run_across_all_rows_do_not_make_one_block_of_them(tmp_path):
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        file.create_dataset("data", data=np.zeros((4000, 100)), chunks=(4000, 1))
    assert DatasetHandle(tmp_path / "columns.h5", "data").rows_per_block(80_000) == 100


def read_in_child(values: LazyArray, rows: np.ndarray, answer: object) -> None:
    answer.put(values[rows])


def test_a_child_process_opens_the_file_itself(tmp_path):
    values = LazyArray((DatasetHandle(maps(tmp_path / "maps.h5"), "data"),))
    here, answer = values[np.arange(9)], multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=read_in_child, args=(values, np.arange(9), answer))
    child.start()
    np.testing.assert_array_equal(answer.get(timeout=60), here)
    child.join()


def test_a_catalog_is_the_same_streamed_and_in_memory(tmp_path, small, monkeypatch):
    monkeypatch.setattr(fit_module, "RIDGE_MEMORY_FACTOR", 0)  # or the regression would take fewer rows
    path = maps(tmp_path / "maps.h5")
    held, streamed = catalogs.read(path), catalogs.read(path, memory=60_000)
    assert streamed.is_streamed and not held.is_streamed and isinstance(streamed.observables[0].values, LazyArray)
    assert streamed.fingerprint == held.fingerprint and streamed.selection_hash == held.selection_hash
    np.testing.assert_array_equal(streamed.hashes(np.arange(40, 90)), held.hashes(np.arange(40, 90)))
    parts = split.by_hash(held.simulation)
    frames = [fit_preprocessing(one, parts, ReadOptions(), "auto") for one in (held, streamed)]
    for name in ("mean", "std", "floor"):
        own = [getattr(frame.inputs[0].standardizer, name) for frame in frames]
        np.testing.assert_allclose(own[0], own[1], rtol=1e-6)
    rows = np.arange(10, 70)
    np.testing.assert_allclose(
        frames[0].estimate_parameters(held, rows), frames[1].estimate_parameters(streamed, rows), rtol=1e-4
    )
    taken = streamed.take(rows).take(np.arange(5))
    np.testing.assert_array_equal(taken.observables[0].read(np.arange(5)), held.observables[0].read(rows[:5]))


def streaming(path: Path) -> tuple[StreamingLoader, np.ndarray]:
    """A feed of every second row, and the data that it should give."""
    sims = catalogs.read(path, memory=60_000)
    rows = np.arange(0, ROWS, 2)
    bench = TrainingContext(torch.device("cpu"), 3, lambda line: None, lambda *_: None)
    made = make_loader(sims, rows, [rows[:, None].astype(float)], lambda some: (sims.observables[0].read(some),), bench)
    assert isinstance(made, StreamingLoader) and made.window < len(rows)
    return made, catalogs.read(path).observables[0].read(rows)


def test_every_row_comes_once_an_epoch_with_its_own_data_and_the_same_seed_repeats_it(tmp_path, small):
    made, data = streaming(maps(tmp_path / "maps.h5"))

    def epoch(number: int) -> list[tuple[torch.Tensor, ...]]:
        return list(made.batches(number, 10, [torch.Generator().manual_seed(number + one) for one in (0, 50)]))

    batches = epoch(1)
    assert len(batches) == len(made) // 10
    for member in (0, 1):
        rows = torch.cat([batch[0][member, :, 0] for batch in batches]).long().numpy()
        assert len(set(rows.tolist())) == len(batches) * 10
        found = torch.cat([batch[1][member] for batch in batches]).numpy()
        np.testing.assert_array_equal(found, data[rows // 2])
        assert (np.diff(rows) < 0).mean() > 0.3  # shuffled
    again, other = epoch(1), epoch(2)
    assert all(torch.equal(one[0], two[0]) for one, two in zip(batches, again, strict=True))
    assert not all(torch.equal(one[0], two[0]) for one, two in zip(batches, other, strict=True))
    first, second = (torch.cat([batch[0][member, :, 0] for batch in batches]) for member in (0, 1))
    assert not torch.equal(first, second)
    chunks = list(made.chunks(33))
    np.testing.assert_array_equal(torch.cat([chunk[1] for chunk in chunks]).numpy(), data)


def test_a_reader_that_fails_says_so_and_does_not_hang(tmp_path, small):
    made, _ = streaming(maps(tmp_path / "maps.h5", chunks=(1, 6, 6), fletcher32=True))
    raw = bytearray((tmp_path / "maps.h5").read_bytes())
    with h5py.File(tmp_path / "maps.h5") as file:
        place = file["data"].id.get_chunk_info(100).byte_offset
    raw[place] ^= 1
    (tmp_path / "broken.h5").write_bytes(bytes(raw))
    broken = LazyArray((DatasetHandle(tmp_path / "broken.h5", "data"),))
    failing = StreamingLoader(
        made.leading, lambda rows: (broken[rows],), made.rows, made.blocks, made.window, made.context
    )
    with pytest.raises(UserError, match=r"broken\.h5: /data is damaged"):
        list(failing.batches(0, 10, [torch.Generator()]))


def test_a_model_of_a_streamed_catalog_is_trained_sampled_and_evaluated(tmp_path, small, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sims = maps(tmp_path / "maps.h5")
    for command, kind in (("train-flow", "flow"), ("train-regressor", "regressor")):
        done(command, sims, "--memory", "60kB", *TINY[:-2] if kind == "regressor" else TINY)
        model = tmp_path / f"maps.{kind}.h5"
        done("sample", model, sims, "--draws", "50", "--memory", "60kB", "--threads", "1")
        held = tmp_path / f"{kind}.held.h5"
        done("sample", model, sims, "--draws", "50", "--threads", "1", "-o", held)
        with h5py.File(tmp_path / f"maps.{kind}.posterior.h5") as one, h5py.File(held) as other:
            np.testing.assert_allclose(one["samples"][()], other["samples"][()], rtol=1e-5, atol=1e-6)
    before = (tmp_path / "maps.flow.h5").read_bytes()
    done("train-flow", sims, "--memory", "60kB", "-o", "again.h5", *TINY)
    assert (tmp_path / "again.h5").read_bytes() == before
    status, out, _ = call("inspect", sims, "--memory", "60kB", "--json")
    assert status == 0 and json.loads(out)["rows"] == ROWS


def test_what_wants_all_data_at_once_refuses_a_streamed_catalog(tmp_path, small):
    sims = maps(tmp_path / "maps.h5")
    for command in (
        ["train-density"],
        ["train-flow", "--observation", "simulation"],
        ["train-regressor", "--network", "ridge"],
    ):
        told = refused(command[0], sims, "--memory", "60kB", *command[1:], "-o", tmp_path / "model.h5")
        assert "requires all data in memory" in told and "--memory" in told


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("2GB", 2e9), ("500M", 5e8), ("1.5 gb", 1.5e9), ("1t", 1e12), ("2GiB", 1 << 31), ("900 Mi", 900 << 20)],
)
def test_memory_is_told_in_powers_of_a_thousand_or_of_1024(text, bytes_):
    assert memory.parse_size(text) == bytes_


def test_a_memory_that_is_none_is_refused(monkeypatch):
    for text in ("2 apples", "", "-1GB", "10MB", "5iB"):
        with pytest.raises(UserError, match="memory"):
            memory.parse_size(text)
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2048")
    assert memory.available_bytes() <= 1 << 30


# ----------------------------------------------------------------------------------------------------------- repack
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_repacked_copy_is_the_same_catalog_in_whole_chunks(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(repack, "CHUNK_BYTES", 3000)
    path, packed = maps(tmp_path / "maps.h5", **LAYOUTS[layout]), tmp_path / "packed.h5"
    with h5py.File(path, "a") as file:
        file["k"], file.attrs["suite"] = np.arange(6), "TNG"
    done("repack", path, "-o", packed)
    whole, copy = catalogs.read(path), catalogs.read(packed)
    assert copy.fingerprint == whole.fingerprint and copy.selection_hash == whole.selection_hash
    with h5py.File(packed) as file:
        assert file["data"].chunks == (3000 // 144, 1, 6, 6) and file["data"].fletcher32
        assert file["data"].dtype == np.float32 and file["k"].shape == (6,) and file.attrs["suite"] == "TNG"
    before = packed.read_bytes()
    done("repack", path, "-o", packed)
    assert packed.read_bytes() == before
    assert "exists already" in refused("repack", maps(tmp_path / "other.h5", 20, 7), "-o", packed)
    done("repack", packed, "-o", tmp_path / "twice.h5")
    assert catalogs.read(tmp_path / "twice.h5").fingerprint == whole.fingerprint


def test_a_file_is_not_repacked_onto_itself(tmp_path):
    path = maps(tmp_path / "maps.h5")
    before = path.read_bytes()
    assert "is read by this command" in refused("repack", path, "-o", path, "--force")
    assert path.read_bytes() == before


def test_a_copy_among_its_own_parts_is_not_taken_for_more_rows(tmp_path):
    for seed in (1, 2):
        with h5py.File(maps(tmp_path / f"{seed}.h5", 20, seed), "a") as file:
            file.attrs["suite"] = "TNG"
    done("repack", tmp_path / "*.h5", "-o", tmp_path / "packed.h5")
    with pytest.raises(UserError, match="too; ids must differ"):
        catalogs.read(tmp_path / "*.h5")


def test_many_files_are_repacked_into_one(tmp_path):
    pattern = cut(maps(tmp_path / "maps.h5"), [50, 120, ROWS])
    done("repack", pattern, "-o", tmp_path / "packed.h5")
    assert catalogs.read(tmp_path / "packed.h5").fingerprint == catalogs.read(tmp_path / "maps.h5").fingerprint


def test_other_peoples_files_and_classes_come_into_our_layout(tmp_path):
    stream = np.random.default_rng(0)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["LH/params"], file["LH/x"] = stream.uniform(size=(40, 2)), stream.normal(size=(40, 3))
    options = ["--parameters", "LH/params", "--data", "LH/x", "--names", "a,b", "--bounds", "a=0:1,b=-1:2"]
    done("repack", tmp_path / "other.h5", "-o", tmp_path / "ours.h5", *options)
    found = catalogs.read(tmp_path / "ours.h5")
    assert (
        found.parameters.names == ("a", "b") and found.parameters.high.tolist() == [1, 2] and not found.declared_priors
    )
    with h5py.File(tmp_path / "classes.h5", "w") as file:
        file["data"], file["classes/kind"] = stream.normal(size=(40, 3)), np.arange(40) % 2
        file["classes/kind"].attrs["names"] = ["old", "new"]
    done("repack", tmp_path / "classes.h5", "--target", "kind", "-o", tmp_path / "packed.h5")
    assert catalogs.read(tmp_path / "packed.h5", ReadOptions(target="kind")).classes == ("old", "new")


def test_a_disk_without_room_is_told_before(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    assert "are free" in refused("repack", maps(tmp_path / "maps.h5"), "-o", tmp_path / "packed.h5")
    assert [one.name for one in tmp_path.iterdir()] == ["maps.h5"]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"compression": "gzip"}, "is decompressed"),
        ({"chunks": (1, 6, 6)}, "are small"),
        ({"chunks": (9, 3, 6)}, "split rows"),
    ],
)
def test_inspect_tells_what_will_be_slow_to_read(tmp_path, monkeypatch, layout, words):
    monkeypatch.setattr(audit_values, "LARGE_DATASET_BYTES", 1000)
    found = json.loads(done("inspect", maps(tmp_path / "maps.h5", **layout), "--json"))["findings"]
    assert any(words in one["text"] and "repack" in one["remedy"] for one in found)
    found = json.loads(done("inspect", maps(tmp_path / "plain.h5"), "--json"))["findings"]
    assert not any("repack" in one["remedy"] for one in found)


# ------------------------------------------------------------------------------------------------------- many files
def cut(path: Path, ends: list[int]) -> Path:
    """The same rows in several files; the pattern that stands for them."""
    folder = path.with_suffix("")
    folder.mkdir()
    with h5py.File(path) as whole:
        for number, (start, stop) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            with h5py.File(folder / f"{number:02}.h5", "w") as part:
                for name in ("parameters", "data", "simulation"):
                    part[name] = whole[name][start:stop]
                    part[name].attrs.update(whole[name].attrs)
    return folder / "*.h5"


@pytest.mark.parametrize("memory_", [None, 60_000])
def test_many_files_are_one_catalog(tmp_path, small, memory_):
    path = maps(tmp_path / "maps.h5")
    pattern, whole = cut(path, [50, 120, ROWS]), catalogs.read(path)
    together = catalogs.read(pattern, memory=memory_)
    assert together.fingerprint == whole.fingerprint and len(together) == ROWS
    some = np.random.default_rng(0).permutation(ROWS)
    np.testing.assert_array_equal(together.observables[0].read(some), whole.observables[0].read(some))
    done("inspect", pattern, "--manifest", tmp_path / "sims.json")
    listed = catalogs.read(tmp_path / "sims.json", memory=memory_)
    assert listed.fingerprint == whole.fingerprint
    assert multi_file.catalog_name(pattern) == "maps" and multi_file.catalog_name(tmp_path / "sims.json") == "sims"


def test_a_selection_of_joined_parts_is_still_in_its_files(tmp_path):
    parts = [LazyArray((DatasetHandle(maps(tmp_path / f"{seed}.h5", 20, seed), "data"),)) for seed in (1, 2)]
    both = concatenate([parts[0].take(np.array([4, 2])), parts[1]])
    expected = np.concatenate([parts[0][np.array([4, 2])], parts[1][np.arange(20)]])
    np.testing.assert_array_equal(both[np.arange(22)], expected)


def test_files_that_do_not_fit_together_are_refused(tmp_path):
    for number, change in enumerate(("names", "box", "shape", "ids")):
        folder = tmp_path / change
        folder.mkdir()
        maps(folder / "0.h5", 20, 1)
        maps(folder / "1.h5", 20, 1 if change == "ids" else 2)
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
        maps(tmp_path / f"{seed}.h5", 20, seed)
        with h5py.File(tmp_path / f"{seed}.h5", "a") as file:
            del file["simulation"]
    assert catalogs.read(tmp_path / "?.h5").simulation[[0, 20]].tolist() == ["1/0", "2/0"]
    for seed in (1, 2):
        with h5py.File(tmp_path / f"{seed}.h5", "a") as file:
            file["simulation"], file.attrs["suite"] = np.arange(20), f"suite {seed}"
    assert catalogs.read(tmp_path / "?.h5").simulation[[0, 39]].tolist() == ["suite 1/0", "suite 2/19"]


def test_a_manifest_with_a_missing_or_a_changed_file_is_refused(tmp_path):
    pattern = cut(maps(tmp_path / "maps.h5"), [50, ROWS])
    done("inspect", pattern, "--manifest", tmp_path / "sims.json")
    assert "exists already" in refused("inspect", pattern, "--manifest", tmp_path / "sims.json")
    first = tmp_path / "maps" / "00.h5"
    moved = first.rename(tmp_path / "elsewhere.h5")
    with pytest.raises(UserError, match=r"00\.h5, which is missing"):
        catalogs.read(tmp_path / "sims.json")
    maps(first, 20, 5)
    with pytest.raises(UserError, match="with 50 rows, which has 20"):
        catalogs.read(tmp_path / "sims.json")
    moved.rename(first)
    for text in ("{}", "[1]", "no JSON"):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(UserError, match="is no manifest"):
            catalogs.read(tmp_path / "other.json")
    with pytest.raises(UserError, match="no file matches"):
        catalogs.read(tmp_path / "nothing*.h5")


def test_ids_do_not_depend_on_how_many_files_match(tmp_path):
    """So that a simulation stays in its part of the split when the next files arrive."""
    with h5py.File(maps(tmp_path / "a.h5", 20), "a") as file:
        del file["simulation"]
    alone = catalogs.read(tmp_path / "*.h5")
    assert alone.simulation[0] == "a/0"
    with h5py.File(maps(tmp_path / "b.h5", 20, 2), "a") as file:
        del file["simulation"]
    assert catalogs.read(tmp_path / "*.h5").simulation[0] == "a/0"


def test_what_this_tool_wrote_beside_its_catalogs_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cut(maps(tmp_path / "maps.h5"), [50, ROWS])
    monkeypatch.chdir(tmp_path / "maps")
    done("train-flow", "*.h5", *TINY, "-o", "flow.h5")
    found = catalogs.read(Path("*.h5"))
    assert len(found) == ROWS and "left out, being no catalogs: flow.h5" in found.notes
    done("sample", "flow.h5", "*.h5", "--draws", "10")
    with pytest.raises(UserError, match="no catalog matches"):
        catalogs.read(Path("fl*.h5"))


def test_a_row_of_many_files_is_named_by_its_file(tmp_path):
    pattern = cut(maps(tmp_path / "maps.h5"), [50, ROWS])
    with h5py.File(tmp_path / "maps" / "01.h5", "a") as file:
        file["data"][7, 2, 2] = np.nan
    with pytest.raises(UserError, match=r"row 7 of 01\.h5"):
        catalogs.read(pattern)
    assert "row 7 of 01.h5" in refused("inspect", pattern)
    dropped = catalogs.read(pattern, ReadOptions(drop_nonfinite=True))
    assert "row 8 of 01.h5" in dropped.describe_rows(np.array([57]))


def test_datasets_of_other_names_and_other_coordinates_do_not_fit_together(tmp_path):
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


def test_a_manifest_of_other_peoples_files_is_read_as_they_are(tmp_path):
    stream = np.random.default_rng(0)
    for number in (1, 2):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["P"], file["x"] = stream.uniform(size=(20, 2)), stream.normal(size=(20, 3))
    options = ["--parameters", "P", "--data", "x"]
    done("inspect", tmp_path / "*.h5", *options, "--manifest", tmp_path / "sims.json")
    assert len(catalogs.read(tmp_path / "sims.json", ReadOptions(parameters="P", data=("x",)))) == 40
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_the_memory_of_a_batch_job_is_that_of_its_processors(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "512")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert memory.available_bytes() <= 1 << 29


# -------------------------------------------------------------------------------------------- what a first user met
def test_a_copy_keeps_what_stands_beside_the_data(tmp_path):
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
    with h5py.File(tmp_path / "one.packed") as one, h5py.File(tmp_path / "both.packed") as both:
        assert (one["data"].attrs["units"], one["k"].attrs["units"]) == ("Mpc", "h/Mpc")
        for name, sizes in {"k": (20, 20), "weights": (20, 40), "classes/kind": (20, 40)}.items():
            assert (len(one[name]), len(both[name])) == sizes, name
    assert catalogs.read(tmp_path / "both.packed", ReadOptions(scale_cut=("k<10",))).observables[0].row_shape == (10,)
    assert catalogs.read(tmp_path / "both.packed", ReadOptions(target="kind")).classes == ("0", "1")


def test_a_copy_says_what_it_leaves_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(repack, "MAX_COPIED_BYTES", 1000)
    with h5py.File(maps(tmp_path / "maps.h5", 20), "a") as file:
        file["CV/maps"], file["CV/seed"] = np.zeros((300, 6)), np.arange(3)
    _, _, told = call("repack", tmp_path / "maps.h5", "-o", tmp_path / "packed.h5")
    assert "without CV/maps" in told
    with h5py.File(tmp_path / "packed.h5") as file:
        assert "CV/seed" in file and "CV/maps" not in file


@pytest.mark.parametrize(
    ("mapped", "sources", "words"), [(8, 10, "has no source for 8 of its 40"), (10, 9, "refers to more than x of")]
)
def test_a_virtual_dataset_with_a_gap_or_a_short_part_is_an_error_not_zeros(tmp_path, mapped, sources, words):
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["x"] = np.ones((sources, 4))
    layout = h5py.VirtualLayout((10, 4), "f8")
    layout[:mapped] = h5py.VirtualSource(tmp_path / "part.h5", "x", (10, 4))[:mapped]
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    for memory_ in (None, 100):
        with pytest.raises(UserError, match=words):
            catalogs.read(tmp_path / "whole.h5", memory=memory_)


def test_a_file_that_was_replaced_is_read_anew_and_not_read_on(tmp_path):
    first = catalogs.read(maps(tmp_path / "maps.h5", 30, 1), memory=100)
    before = first.observables[0].read(np.arange(3))
    maps(tmp_path / "other.h5", 30, 2).replace(tmp_path / "maps.h5")
    anew = catalogs.read(tmp_path / "maps.h5", memory=100)
    assert anew.fingerprint == catalogs.read(tmp_path / "maps.h5").fingerprint != first.fingerprint
    assert not np.array_equal(anew.observables[0].read(np.arange(3)), before)
    reader._open_for_reading.cache_clear()
    with pytest.raises(UserError, match="was modified after it was opened"):
        first.observables[0].read(np.arange(3))


def test_folders_below_folders_match_and_equal_names_are_told_apart(tmp_path):
    for seed, name in enumerate(("a/r1", "a/r2", "b/c/r1")):
        (tmp_path / name).mkdir(parents=True)
        with h5py.File(maps(tmp_path / name / "maps.h5", 20, seed), "a") as file:
            del file["simulation"]
    (tmp_path / "a" / "folder.h5").mkdir()
    found = catalogs.read(tmp_path / "a" / "*" / "*.h5")
    assert found.simulation[[0, 20]].tolist() == ["r1-maps/0", "r2-maps/0"]
    with pytest.raises(UserError, match="too; ids must differ"):
        catalogs.read(tmp_path / "**" / "*.h5")
    assert len(catalogs.read(tmp_path / "a" / "**" / "*.h5")) == 40


def test_a_manifest_of_links_gives_the_ids_of_the_links(tmp_path):
    (tmp_path / "links").mkdir()
    for number in range(2):
        with h5py.File(maps(tmp_path / f"store{number}.h5", 20, number), "a") as file:
            del file["simulation"]
        (tmp_path / "links" / f"{number}.h5").symlink_to(tmp_path / f"store{number}.h5")
    done("inspect", tmp_path / "links" / "*.h5", "--manifest", tmp_path / "links.json")
    one, other = catalogs.read(tmp_path / "links" / "*.h5"), catalogs.read(tmp_path / "links.json")
    assert one.simulation.tolist() == other.simulation.tolist() and one.fingerprint == other.fingerprint


def test_that_data_stay_on_disk_is_said(tmp_path, small):
    sims = catalogs.read(maps(tmp_path / "maps.h5"), memory=60_000)
    assert any("read from disk" in note and "`memory`" in note for note in sims.notes)
    assert not any("read from disk" in note for note in catalogs.read(tmp_path / "maps.h5").notes)


def test_rows_are_validated_a_bounded_amount_at_a_time(monkeypatch):
    monkeypatch.setattr(loop, "MAX_NUMBERS_PER_CHUNK", 600)
    sizes = []

    def terms(network, rows):
        sizes.append(rows[0].shape[1])
        return rows[0].mean((2, 3, 4))[..., None]

    held = InMemoryLoader((torch.randn(20, 1, 10, 10),))
    loop.evaluate(torch.nn.Identity(), Loss(terms, lambda found: found.mean((1, 2))), held, 2)
    assert sizes == [3] * 6 + [2]
