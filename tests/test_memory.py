"""Memory: sizes as a user writes them, how much a process may take; slices of every item once, in order."""

import numpy as np
import pytest

from cosmoinfer import memory
from cosmoinfer.errors import UserError
from cosmoinfer.memory import slices


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("2GB", 2e9), ("500M", 5e8), ("1.5 gb", 1.5e9), ("1t", 1e12), ("2GiB", 1 << 31), ("900 Mi", 900 << 20)],
)
def test_memory_sizes_have_decimal_and_binary_units(text, bytes_):
    assert memory.parse_size(text) == bytes_


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (24_240, "24.2kB"),
        (999_600, "1MB"),
        (2.5e9, "2.5GB"),
        (3e15, "3e+03TB"),
    ],
)
def test_a_size_is_printed_in_its_unit(size, text):
    assert memory.format_size(size) == text


def test_an_invalid_memory_size_is_refused(monkeypatch):
    for text in ("2 apples", "", "-1GB", "10MB", "5iB"):
        with pytest.raises(UserError) as caught:
            memory.parse_size(text)
        assert caught.value.setting == "memory"
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "2048")
    assert memory.available_bytes() <= 1 << 30


def test_available_memory_of_a_slurm_job_is_per_cpu(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "512")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert memory.available_bytes() <= 1 << 29


@pytest.mark.parametrize(("count", "size"), [(10, 3), (9, 3), (2, 3), (1, 1), (5, 100)])
def test_every_item_comes_once_and_in_order(count, size):
    items = np.arange(count)
    chunks = [items[chunk] for chunk in slices(count, size)]
    np.testing.assert_array_equal(np.concatenate(chunks), items)
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert 0 < len(chunks[-1]) <= size


def test_a_slice_ends_where_the_items_end():
    assert list(slices(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_no_items_are_no_slice_or_an_empty_one():
    assert list(slices(0, 3)) == []
    assert list(slices(0, 3, keep_empty=True)) == [slice(0, 0)]
    assert list(slices(2, 3, keep_empty=True)) == [slice(0, 2)]


def test_a_size_below_one_is_one():
    assert list(slices(2, 0)) == [slice(0, 1), slice(1, 2)]


def test_numbers_that_do_not_fit_are_refused_with_what_they_would_take(monkeypatch) -> None:
    monkeypatch.setattr("cosmoinfer.memory.available_bytes", lambda: 8 * 10**9)
    memory.check_memory(10**9, "draws")
    with pytest.raises(UserError, match=r"^draws: 2 draws would take 16GB of memory, of 8GB that there are$"):
        memory.check_memory(2 * 10**9, "2 draws", "draws")
    with pytest.raises(UserError, match=r"100TB or more"):
        memory.check_memory(10**5000, "draws")
