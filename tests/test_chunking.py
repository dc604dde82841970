"""Chunking: every item once, in order, never more than the size."""

import numpy as np
import pytest

from cosmoinfer.chunking import slices


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
