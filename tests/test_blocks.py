"""Blocks of rows: every row once, always at its place; a product of matrices is the same in any set of rows."""

import numpy as np
import pytest

from cosmoinfer.blocks import aligned_blocks


@pytest.mark.parametrize("size", [1, 3, 61])
@pytest.mark.parametrize(
    "rows", [[], [7], [3, 3, 3], range(200), range(0, 800, 4), [5, 0, 128, 67, 6]], ids=lambda rows: str(len(rows))
)
def test_every_row_comes_once_and_at_its_place(rows, size):
    rows = np.array(rows, dtype=np.int64)
    positions = []
    for block in aligned_blocks(rows, size):
        assert block.rows.shape == (size,) and np.isin(block.rows, rows).all()
        np.testing.assert_array_equal(block.rows[block.places], rows[block.positions])
        np.testing.assert_array_equal(block.places, rows[block.positions] % size)
        positions += block.positions.tolist()
    assert sorted(positions) == list(range(len(rows)))


def test_evenly_spaced_rows_fill_the_blocks():
    for step in (1, 2, 4, 10, 32):
        assert len(list(aligned_blocks(np.arange(0, 610 * step, step), 61))) == 10


@pytest.mark.parametrize("features", [50, 333])
def test_a_product_of_a_row_is_the_same_whatever_rows_there_are(features):
    """Which it is not in blocks that only have one shape: where in it a row is counts too."""
    random = np.random.default_rng(0)
    data, weights = random.normal(size=(400, features)), random.normal(size=(features, features))

    def products(rows: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), features))
        for block in aligned_blocks(rows, 61):
            result[block.positions] = (data[block.rows] @ weights)[block.places]
        return result

    complete = products(np.arange(400))
    for rows in (np.arange(7), np.arange(7, 120), np.arange(0, 400, 3), random.permutation(400)):
        np.testing.assert_array_equal(products(rows), complete[rows])
