"""Standardisation of data by feature or channel: its inverse, log10, missing data, and the log slope."""

from dataclasses import asdict

import numpy as np
import pytest

from cosmoinfer.models.file import pack, unpack
from cosmoinfer.preprocessing.standardizer import Standardizer, fit_standardizer

RNG = np.random.default_rng(0)


VECTORS = np.exp(RNG.normal(size=(200, 6)) + np.arange(6))  # wide and positive


FIELDS = RNG.normal(3.0, 2.0, size=(50, 3, 4, 5)) * np.array([1.0, 10.0, 100.0])[:, None, None]


def in_blocks(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


def fit(values, transform="auto", vector=True, size=1 << 20):
    return fit_standardizer(in_blocks(values, size), vector, transform)


def test_a_vector_is_standardised_by_feature():
    standardizer = fit(VECTORS, "none")
    np.testing.assert_allclose(standardizer.mean, VECTORS.mean(axis=0))
    np.testing.assert_allclose(standardizer.std, VECTORS.std(axis=0))
    expected = (VECTORS - VECTORS.mean(axis=0)) / VECTORS.std(axis=0)
    np.testing.assert_allclose(standardizer(VECTORS), expected, rtol=1e-6, atol=1e-6)
    assert standardizer(VECTORS).dtype == np.float32


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_field_is_standardised_by_channel(axes):
    values = FIELDS.reshape(50, 3, *{1: (20,), 2: (4, 5), 3: (2, 2, 5)}[axes])
    standardizer = fit(values, "none", vector=False)
    assert standardizer.mean.shape == (3,) + (1,) * axes
    over = (0, *range(2, 2 + axes))
    np.testing.assert_allclose(standardizer.mean.ravel(), values.mean(axis=over))
    np.testing.assert_allclose(standardizer.std.ravel(), values.std(axis=over))
    assert standardizer(values).std(axis=over) == pytest.approx(np.ones(3), rel=1e-5)


def test_log10_comes_before_the_standardisation():
    logs = np.log10(VECTORS)
    standardizer = fit(VECTORS)
    assert standardizer.log.all()
    np.testing.assert_allclose(standardizer.mean, logs.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(
        standardizer(VECTORS), (logs - logs.mean(axis=0)) / logs.std(axis=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("size", [1, 7, 64, 199, 1000])
@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["auto", "log10"])
def test_blocks_of_any_size_give_the_same(size, values, vector, transform):
    at_once, streamed = (fit(values, transform, vector, step) for step in (1 << 20, size))
    for name, expected in asdict(at_once).items():
        np.testing.assert_allclose(getattr(streamed, name), expected, rtol=1e-12)


def test_one_walk_is_enough_and_keeps_the_digits_of_numbers_far_from_zero():
    values = 1e6 + VECTORS
    standardizer = fit_standardizer(iter(in_blocks(values, 50)), True, "none")
    np.testing.assert_allclose(standardizer.std, VECTORS.std(axis=0), rtol=1e-8)


def test_a_few_zeros_do_not_turn_log10_off():
    values = VECTORS.copy()
    values[[3, 5], [0, 2]] = 0.0
    standardizer = fit(values)
    assert standardizer.log.all()
    assert standardizer.n_floored == 2
    np.testing.assert_array_equal(standardizer.floor, np.where(values > 0, values, np.inf).min(axis=0))
    assert np.isfinite(standardizer(values)).all()
    np.testing.assert_array_equal(standardizer(np.zeros((1, 6))), standardizer(standardizer.floor[None]))


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
    standardizer = fit(values)
    assert not standardizer.log.any()
    assert standardizer.n_floored == 0
    assert np.isfinite(standardizer(values)).all()


def test_transform_is_obeyed():
    narrow = RNG.uniform(1.0, 2.0, size=(200, 6))
    assert fit(narrow, "log10").log.all()
    assert not fit(VECTORS, "none").log.any()


def test_a_feature_that_is_always_zero_is_no_logarithm():
    values = np.concatenate([VECTORS, np.zeros((200, 1))], axis=1)
    standardizer = fit(values, "log10")
    assert standardizer.log.tolist() == [True] * 6 + [False]
    np.testing.assert_array_equal(standardizer(values)[:, 6], 0)


@pytest.mark.parametrize("constant", [0.0, 1e-3, 1e6])
def test_a_constant_feature_becomes_zero(constant):
    values = np.concatenate([FIELDS[:, 0, 0], np.full((50, 1), constant)], axis=1)
    np.testing.assert_allclose(fit(values, "none")(values)[:, -1], 0, atol=1e-6)


def test_single_precision_loses_nothing_in_the_sums():
    values = (1e4 + RNG.normal(size=(20_000, 2))).astype(np.float32)
    standardizer = fit(values, "none", size=100)
    np.testing.assert_allclose(standardizer.mean, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(standardizer.std, values.std(axis=0, dtype=np.float64), rtol=1e-9)


def test_only_training_rows_matter():
    outlier = np.full((1, 6), 1e12)
    standardizer = fit(VECTORS)
    np.testing.assert_array_equal(standardizer(np.concatenate([VECTORS, outlier]))[:200], standardizer(VECTORS))
    assert standardizer(outlier).min() > 10


def test_a_standardizer_comes_back_from_its_arrays():
    for values, vector in ((VECTORS, True), (FIELDS, False)):
        standardizer = fit(values, vector=vector)
        again = unpack(Standardizer, pack(standardizer))
        np.testing.assert_array_equal(again(values), standardizer(values))
        assert again.n_floored == standardizer.n_floored


@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["none", "log10"])
def test_what_is_standardised_comes_back(values, vector, transform):
    values = np.abs(values) + 0.1
    standardizer = fit(values, transform, vector)
    np.testing.assert_allclose(standardizer.inverse(standardizer(values)), values, rtol=1e-5)
    z = RNG.uniform(-0.5, 2.0, size=values.shape)  # above the floor
    np.testing.assert_allclose(standardizer(standardizer.inverse(z)), z, atol=1e-5)
    assert standardizer.inverse(standardizer(values)).dtype == np.float64


@pytest.mark.parametrize(("values", "vector"), [(VECTORS, True), (FIELDS, False)], ids=["vectors", "fields"])
@pytest.mark.parametrize("transform", ["none", "log10"])
def test_the_log_slope_is_that_of_every_number_of_a_row(values, vector, transform):
    """Against central differences, number by number."""
    values = np.abs(values) + 0.1
    standardizer = fit(values, transform, vector)
    step = 1e-4 * values
    mean, std = standardizer.mean, standardizer.std

    def scaled(x):
        return ((np.log10(x) if transform == "log10" else x) - mean) / std

    slopes = (scaled(values + step) - scaled(values - step)) / (2 * step)
    expected = np.log(slopes).reshape(len(values), -1).sum(axis=1)
    np.testing.assert_allclose(standardizer.log_slope(values), expected, rtol=1e-6)


def test_below_the_floor_the_slope_is_that_of_the_floor():
    standardizer = fit(VECTORS, "log10")
    np.testing.assert_allclose(
        standardizer.log_slope(np.zeros((1, 6))), standardizer.log_slope(standardizer.floor[None])
    )
    assert np.isfinite(standardizer.log_slope(-VECTORS)).all()


@pytest.mark.parametrize("transform", ["auto", "none"])
@pytest.mark.parametrize("size", [7, 1000])
def test_gaps_are_left_out_of_every_sum_and_stay_gaps(transform, size):
    values = VECTORS.copy()
    values[RNG.random(values.shape) < 0.3] = np.nan
    standardizer = fit(values, transform, size=size)
    logged = np.log10(values) if standardizer.log.any() else values
    np.testing.assert_allclose(standardizer.mean, np.nanmean(logged, axis=0))
    np.testing.assert_allclose(standardizer.std, np.nanstd(logged, axis=0))
    np.testing.assert_array_equal(standardizer.floor, np.nanmin(values, axis=0))
    assert standardizer.log.all() == (transform == "auto")
    assert standardizer.n_floored == 0
    np.testing.assert_array_equal(np.isnan(standardizer(values)), np.isnan(values))


def test_a_feature_that_was_never_measured_is_left_alone():
    values = VECTORS.copy()
    values[:, 2] = np.nan
    standardizer = fit(values)
    assert (standardizer.mean[2], standardizer.std[2]) == (0, 1)
    assert np.isfinite(standardizer(np.ones((1, 6)))).all()
