"""Hashes of rows: equal values have equal hashes whatever stores them, and no others have."""

from dataclasses import asdict

import numpy as np
import pytest

from cosmoinfer.catalog import row_hashes
from cosmoinfer.catalog.row_hashes import RowHashes

RNG = np.random.default_rng(0)
THETA = RNG.random((50, 3))
INTEGERS = RNG.integers(-1000, 1000, (50, 7))


def hashes(*data, theta=None):
    return RowHashes.from_values(theta, [np.asarray(array) for array in data])


def features(*data):
    return hashes(*data).features


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4", "f2", "i2", ">i4", "i8", np.longdouble])
def test_the_type_that_stores_a_value_does_not_matter(dtype):
    result = hashes(INTEGERS.astype(dtype), theta=THETA)
    np.testing.assert_equal(asdict(result), asdict(hashes(INTEGERS, theta=THETA.astype(">f8"))))


def test_hashes_are_the_same_in_every_version():
    """Model files hold them."""
    result = hashes(np.array([[1.5, -2.0, 1e44], [0.1, 0.2, 0.3]]), theta=np.array([[0.3], [np.nan]]))
    assert result.theta.tolist() == [14242129190117299841, 0]
    assert result.features.tolist() == [17373237378824537155, 1338195631495240684]
    assert result.features_single.tolist() == [4921825766974640185, 8042751649653528927]


def test_minus_zero_is_zero_and_nan_is_nan():
    np.testing.assert_array_equal(features([[0.0, 1.0]]), features([[-0.0, 1.0]]))
    odd_nan = np.array([0x7FF8000000000123], np.uint64).view(np.float64)
    np.testing.assert_array_equal(features([[np.nan, 1.0]]), features([[odd_nan[0], 1.0]]))
    np.testing.assert_array_equal(features([[np.nan, 1.0]]), features(np.array([[-np.nan, 1.0]], np.float32)))


@pytest.mark.parametrize(
    "values",
    [
        2**60 + np.arange(20),
        np.array([2**64 - 1, 2**64 - 3, 2**63, 2**63 + 1], np.uint64),
        1 + np.arange(20) * np.finfo(np.longdouble).eps,
        1e10 + 1e-5 * np.arange(20),
        1e44 * (1 + 1e-15 * np.arange(20)),
        5e-324 * np.arange(20),
    ],
    ids=["int64", "uint64", "longdouble", "offset", "large", "denormal"],
)
def test_values_are_told_apart_in_their_own_precision(values):
    column = np.column_stack([values, np.ones_like(values)])
    assert len(np.unique(features(column))) == len(np.unique(values))


def test_values_and_their_places_both_count():
    values = RNG.random((1000, 4))
    assert len(np.unique(features(values))) == 1000
    assert not np.isin(features(values[:, ::-1]), features(values)).any()
    assert not np.isin(features(values[:, :2], values[:, :1]), features(values[:, :1], values[:, :2])).any()
    small = np.stack(np.meshgrid(*[np.arange(12)] * 4), axis=-1).reshape(-1, 4)
    assert len(np.unique(features(small))) == len(small) and len(np.unique(features(small / 10))) == len(small)


def test_arrays_side_by_side_are_one_row():
    values = RNG.random((20, 9))
    for first, second in ((3, 4), (1, 8), (2, 7)):
        pieces = values[:, :first], values[:, first : first + second], values[:, first + second :]
        np.testing.assert_equal(asdict(hashes(*pieces)), asdict(hashes(values)))
    np.testing.assert_array_equal(hashes(values.reshape(20, 3, 3)).data, hashes(values).data)
    changed = values.copy()
    changed[:, 4] += 1
    same = hashes(changed).data == hashes(values).data
    assert not same[:, 0].any() and same[:, 1].all()  # the half of the features with even numbers has changed


def test_blocks_do_not_matter(monkeypatch):
    values, all_hashes = RNG.random((30, 5)), []
    for size in (1, 7, 1 << 15):
        monkeypatch.setattr(row_hashes, "MAX_BLOCK_NUMBERS", size)
        all_hashes.append(asdict(hashes(values, theta=THETA[:30])))
    np.testing.assert_equal(all_hashes[0], all_hashes[1])
    np.testing.assert_equal(all_hashes[0], all_hashes[2])


def test_a_copy_in_single_precision_has_the_same_hash_in_it():
    values = RNG.random((20, 6))
    copy = values.astype(np.float32)
    np.testing.assert_array_equal(hashes(copy).features, hashes(values).features_single)
    np.testing.assert_array_equal(hashes(copy).features, hashes(copy).features_single)
    assert not np.isin(hashes(copy).features, hashes(values).features).any()


@pytest.mark.parametrize("factor", [1e44, 1e-50])
def test_rows_of_which_single_precision_leaves_nothing_keep_their_own_hash(factor):
    result = hashes(factor * (1 + RNG.random((20, 6))))
    np.testing.assert_array_equal(result.features_single, result.features)
    partly = np.column_stack([factor * np.ones(20), RNG.random(20)])
    assert not np.isin(hashes(partly).features_single, hashes(partly).features).any()


def test_parameters_that_are_not_known_have_no_hash():
    theta = np.array([[0.0, 0.0], [np.nan, np.nan], [0.3, 0.8]])
    result = hashes(np.ones((3, 2)), theta=theta)
    assert (result.theta != 0).tolist() == (result.theta_single != 0).tolist() == [True, False, True]
    assert not hashes(np.ones((3, 2))).theta.any()


def test_rows_are_selected_and_concatenated():
    result = hashes(RNG.random((6, 3)), theta=THETA[:6])
    halves = [result.select(np.arange(6) < 4), result.select(np.array([4, 5]))]
    np.testing.assert_equal(asdict(RowHashes.concatenate(halves)), asdict(result))
    assert len(halves[0]) == 4 and len(hashes(np.empty((0, 3)), theta=np.empty((0, 2)))) == 0
