"""Standardisation of data by feature or channel: its inverse, log10, missing data, and the log slope."""

from dataclasses import asdict

import numpy as np
import pytest

from cosmoinfer.models.packing import pack, unpack
from cosmoinfer.preprocessing.standardizer import Standardizer, fit_standardizer

RNG = np.random.default_rng(0)


VECTORS = np.exp(RNG.normal(size=(200, 6)) + np.arange(6))  # wide and positive


FIELDS = RNG.normal(3.0, 2.0, size=(50, 3, 4, 5)) * np.array([1.0, 10.0, 100.0])[:, None, None]


def in_blocks(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


def fit(values, transform="auto", vector=True, size=1 << 20):
    return fit_standardizer(in_blocks(values, size), vector, transform)


def test_a_vector_is_standardised_by_feature():
    found = fit(VECTORS, "none")
    np.testing.assert_allclose(found.mean, VECTORS.mean(axis=0))
    np.testing.assert_allclose(found.std, VECTORS.std(axis=0))
    expected = (VECTORS - VECTORS.mean(axis=0)) / VECTORS.std(axis=0)
    np.testing.assert_allclose(found(VECTORS), expected, rtol=1e-6, atol=1e-6)
    assert found(VECTORS).dtype == np.float32


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_field_is_standardised_by_channel(axes):
    values = FIELDS.reshape(50, 3, *{1: (20,), 2: (4, 5), 3: (2, 2, 5)}[axes])
    found = fit(values, "none", vector=False)
    assert found.mean.shape == (3,) + (1,) * axes
    over = (0, *range(2, 2 + axes))
    np.testing.assert_allclose(found.mean.ravel(), values.mean(axis=over))
    np.testing.assert_allclose(found.std.ravel(), values.std(axis=over))
    assert found(values).std(axis=over) == pytest.approx(np.ones(3), rel=1e-5)


def test_log10_comes_before_the_standardisation():
    logs = np.log10(VECTORS)
    found = fit(VECTORS)
    assert found.log.all()
    np.testing.assert_allclose(found.mean, logs.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found(VECTORS), (logs - logs.mean(axis=0)) / logs.std(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 64, 199, 1000])
@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["auto", "log10"])
def test_blocks_of_any_size_give_the_same(size, values, vector, transform):
    whole, streamed = (fit(values, transform, vector, step) for step in (1 << 20, size))
    for name, expected in asdict(whole).items():
        np.testing.assert_allclose(getattr(streamed, name), expected, rtol=1e-12)


def test_one_walk_is_enough_and_keeps_the_digits_of_numbers_far_from_zero():
    values = 1e6 + VECTORS
    found = fit_standardizer(iter(in_blocks(values, 50)), True, "none")
    np.testing.assert_allclose(found.std, VECTORS.std(axis=0), rtol=1e-8)


def test_a_few_zeros_do_not_turn_log10_off():
    values = VECTORS.copy()
    values[[3, 5], [0, 2]] = 0.0
    found = fit(values)
    assert found.log.all()
    assert found.n_floored == 2
    np.testing.assert_array_equal(found.floor, np.where(values > 0, values, np.inf).min(axis=0))
    assert np.isfinite(found(values)).all()
    np.testing.assert_array_equal(found(np.zeros((1, 6))), found(found.floor[None]))


@pytest.mark.parametrize(
    "values",
    [
        np.where(np.arange(200)[:, None] == 7, -VECTORS, VECTORS),
        np.where(RNG.random(VECTORS.shape) < 0.1, 0.0, VECTORS),
        RNG.uniform(1.0, 20.0, size=(200, 6)),
        np.zeros((200, 6)),
    ],
    ids=["negative", "many zeros", "narrow", "nothing"],
)
def test_log10_is_not_taken_for(values):
    found = fit(values)
    assert not found.log.any()
    assert found.n_floored == 0
    assert np.isfinite(found(values)).all()


def test_transform_is_obeyed():
    narrow = RNG.uniform(1.0, 2.0, size=(200, 6))
    assert fit(narrow, "log10").log.all()
    assert not fit(VECTORS, "none").log.any()


def test_a_feature_that_is_always_zero_is_no_logarithm():
    values = np.concatenate([VECTORS, np.zeros((200, 1))], axis=1)
    found = fit(values, "log10")
    assert found.log.tolist() == [True] * 6 + [False]
    np.testing.assert_array_equal(found(values)[:, 6], 0)


@pytest.mark.parametrize("constant", [0.0, 1e-3, 1e6])
def test_a_constant_feature_becomes_zero(constant):
    values = np.concatenate([FIELDS[:, 0, 0], np.full((50, 1), constant)], axis=1)
    np.testing.assert_allclose(fit(values, "none")(values)[:, -1], 0, atol=1e-6)


def test_single_precision_loses_nothing_in_the_sums():
    values = (1e4 + RNG.normal(size=(20_000, 2))).astype(np.float32)
    found = fit(values, "none", size=100)
    np.testing.assert_allclose(found.mean, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.std, values.std(axis=0, dtype=np.float64), rtol=1e-9)


def test_only_training_rows_matter():
    outlier = np.full((1, 6), 1e12)
    found = fit(VECTORS)
    np.testing.assert_array_equal(found(np.concatenate([VECTORS, outlier]))[:200], found(VECTORS))
    assert found(outlier).min() > 10


def test_a_standardizer_comes_back_from_its_arrays():
    for values, vector in ((VECTORS, True), (FIELDS, False)):
        found = fit(values, vector=vector)
        again = unpack(Standardizer, pack(found))
        np.testing.assert_array_equal(again(values), found(values))
        assert again.n_floored == found.n_floored


@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["none", "log10"])
def test_what_is_standardised_comes_back(values, vector, transform):
    values = np.abs(values) + 0.1
    found = fit(values, transform, vector)
    np.testing.assert_allclose(found.inverse(found(values)), values, rtol=1e-5)
    z = RNG.uniform(-0.5, 2.0, size=values.shape)  # above the floor
    np.testing.assert_allclose(found(found.inverse(z)), z, atol=1e-5)
    assert found.inverse(found(values)).dtype == np.float64


@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["none", "log10"])
def test_the_log_slope_is_that_of_every_number_of_a_row(values, vector, transform):
    """Against central differences, number by number."""
    values = np.abs(values) + 0.1
    found = fit(values, transform, vector)
    step = 1e-4 * values
    mean, std = found.mean, found.std

    def scaled(x):
        return ((np.log10(x) if transform == "log10" else x) - mean) / std

    slopes = (scaled(values + step) - scaled(values - step)) / (2 * step)
    expected = np.log(slopes).reshape(len(values), -1).sum(axis=1)
    np.testing.assert_allclose(found.log_slope(values), expected, rtol=1e-6)


def test_below_the_floor_the_slope_is_that_of_the_floor():
    found = fit(VECTORS, "log10")
    np.testing.assert_allclose(found.log_slope(np.zeros((1, 6))), found.log_slope(found.floor[None]))
    assert np.isfinite(found.log_slope(-VECTORS)).all()


@pytest.mark.parametrize("transform", ["auto", "none"])
@pytest.mark.parametrize("size", [7, 1000])
def test_gaps_are_left_out_of_every_sum_and_stay_gaps(transform, size):
    values = VECTORS.copy()
    values[RNG.random(values.shape) < 0.3] = np.nan
    found = fit(values, transform, size=size)
    logged = np.log10(values) if found.log.any() else values
    np.testing.assert_allclose(found.mean, np.nanmean(logged, axis=0))
    np.testing.assert_allclose(found.std, np.nanstd(logged, axis=0))
    np.testing.assert_array_equal(found.floor, np.nanmin(values, axis=0))
    assert found.log.all() == (transform == "auto")
    assert found.n_floored == 0
    np.testing.assert_array_equal(np.isnan(found(values)), np.isnan(values))


def test_a_feature_that_was_never_measured_is_left_alone():
    values = VECTORS.copy()
    values[:, 2] = np.nan
    found = fit(values)
    assert (found.mean[2], found.std[2]) == (0, 1)
    assert np.isfinite(found(np.ones((1, 6)))).all()
