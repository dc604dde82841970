"""Lazy arrays: rows read from files in any order and selection."""

import copy
import multiprocessing
import os

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog as catalogs
from cosmoinfer.catalog.catalog import ReadOptions
from cosmoinfer.catalog.kinds import AxisMeaning
from cosmoinfer.catalog.lazy_array import LazyArray
from cosmoinfer.errors import UserError
from cosmoinfer.storage import DatasetHandle, hdf5
from tests.map_files import LAYOUTS, ROWS, write_maps


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_those_of_the_file_in_any_order_and_selection(tmp_path, layout, small_memory):
    path = write_maps(tmp_path / "maps.h5", **LAYOUTS[layout])
    values = LazyArray((DatasetHandle(path, "data"),)).with_axes(AxisMeaning("map"))
    with h5py.File(path) as file:
        stored = file["data"][()][:, None]
    assert values.shape == stored.shape and values.dtype == stored.dtype and len(values) == ROWS
    chosen = np.random.default_rng(1).permutation(ROWS)[:90]
    for rows in (np.arange(ROWS), chosen, chosen[:1], chosen[:0], np.array([3, 3, 200])):
        np.testing.assert_array_equal(values[rows], stored[rows])
    np.testing.assert_array_equal(
        values.select(chosen).select_features(np.array([1, 4]))[np.arange(5, 60)], stored[chosen[5:60]][..., [1, 4]]
    )
    np.testing.assert_array_equal(copy.deepcopy(values)[chosen], stored[chosen])
    blocks = values.select(chosen).group_by_block(np.arange(3, 80))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(77)) and len(blocks) > 5


def test_cuts_add_up_and_rows_that_repeat_repeat(tmp_path):
    values = LazyArray((DatasetHandle(write_maps(tmp_path / "maps.h5"), "data"),))
    stored = values[np.arange(ROWS)]
    cut = values.select_features(np.arange(1, 6)).select_features(np.array([0, 2]))
    np.testing.assert_array_equal(cut[np.array([3, 3, 5])], stored[[3, 3, 5]][..., [1, 3]])


def test_files_with_different_dtypes_and_a_channel_axis_are_concatenated(tmp_path):
    numbers = np.arange(4 * 9).reshape(4, 3, 3)
    for name, maps in (("0", numbers), ("1", (numbers + 0.5)[:, None])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"], file["simulation"] = maps, np.arange(4) + 10 * int(name)
            file["data"].attrs["kind"] = "map"
    held, streamed = (catalogs.read(tmp_path / "?.h5", memory=memory) for memory in (None, 1))
    assert streamed.is_streamed and held.fingerprint == streamed.fingerprint


def test_more_files_than_a_process_may_open(tmp_path):
    handles = tuple(DatasetHandle(write_maps(tmp_path / f"{seed}.h5", 4, seed), "data") for seed in range(40))
    values = LazyArray(handles)
    np.testing.assert_array_equal(values[np.arange(160)], np.concatenate([handle.read(0, 4) for handle in handles]))
    assert 0 < hdf5._open_for_reading.cache_info().currsize <= 32


def test_chunks_that_span_all_rows_are_split_into_blocks(tmp_path):
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        file.create_dataset("data", data=np.zeros((4000, 100)), chunks=(4000, 1))
    assert DatasetHandle(tmp_path / "columns.h5", "data").rows_per_block(80_000) == 100


def read_in_child(values: LazyArray, rows: np.ndarray, answer: object) -> None:
    answer.put(values[rows])


def test_a_child_process_opens_the_file_itself(tmp_path):
    values = LazyArray((DatasetHandle(write_maps(tmp_path / "maps.h5"), "data"),))
    here, answer = values[np.arange(9)], multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=read_in_child, args=(values, np.arange(9), answer))
    child.start()
    np.testing.assert_array_equal(answer.get(timeout=60), here)
    child.join()


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
            catalogs.read(tmp_path / "whole.h5", ReadOptions(follow_links=True), memory_)


def test_a_file_that_was_replaced_is_read_anew_and_not_read_on(tmp_path):
    first = catalogs.read(write_maps(tmp_path / "maps.h5", 30, 1), memory=100)
    before = first.observables[0].read(np.arange(3))
    write_maps(tmp_path / "other.h5", 30, 2).replace(tmp_path / "maps.h5")
    anew = catalogs.read(tmp_path / "maps.h5", memory=100)
    assert anew.fingerprint == catalogs.read(tmp_path / "maps.h5").fingerprint != first.fingerprint
    assert not np.array_equal(anew.observables[0].read(np.arange(3)), before)
    with pytest.raises(UserError, match="was modified after it was opened"):
        first.observables[0].read(np.arange(3))


@pytest.mark.parametrize("rows", [slice(0, 3), slice(20, 23)])
def test_a_file_that_was_changed_in_place_is_not_read_on(tmp_path, rows):
    """Rows that were compared with their digests, and rows that were not."""
    path = write_maps(tmp_path / "maps.h5", 30, 1)
    handle = DatasetHandle(path, "data")
    handle.read(0, 3)
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))
    os.utime(path, ns=(0, 0))  # a clock that did not go on in between would hide it
    with pytest.raises(UserError, match="was modified after it was opened"):
        handle.read(rows.start, rows.stop)
