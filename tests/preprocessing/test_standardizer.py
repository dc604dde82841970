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
    return fit_standardizer(lambda: in_blocks(values, size), vector, transform)


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
    walk = iter(in_blocks(values, 50))
    standardizer = fit_standardizer(lambda: walk, True, "none")
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


# ------------------------------------------------------------------------------------------------ units and precision
SIGNED = np.random.default_rng(1).normal(size=(300, 5))


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e-50, 1e-40, 1e40, 1e160, 1e290])
@pytest.mark.parametrize("vector", [True, False])
def test_units_do_not_matter(unit, vector):
    values = SIGNED if vector else SIGNED.reshape(60, 5, 5)
    expected, rescaled = fit(values, vector=vector), fit(unit * values, vector=vector)
    np.testing.assert_allclose(rescaled(unit * values), expected(values), rtol=1e-6)
    np.testing.assert_allclose(rescaled.inverse(rescaled(unit * values)) / unit, values, atol=1e-6)


@pytest.mark.parametrize(("offset", "width"), [(1e10, 100.0), (1e15, 1e3), (-1e4, 1e-7)])
def test_a_feature_is_constant_where_its_own_precision_says_so(offset, width):
    values = offset + width * SIGNED
    np.testing.assert_allclose(fit(values, "none")(values).std(axis=0), 1, rtol=1e-3)
    single = values.astype(np.float32)  # of which less than the last digit is left
    np.testing.assert_array_equal(fit(single, "none").std, 1)


def test_a_constant_is_constant_in_any_unit():
    for constant in (1e-300, 0.1, 1e300):
        standardizer = fit(np.full((300, 2), constant), "none")
        np.testing.assert_array_equal(standardizer.std, 1)


# ----------------------------------------------------------------------------------------------------------- outliers
@pytest.mark.parametrize("size", [10.0, 1e4, 1e20, 1e160, 1e300])
@pytest.mark.parametrize("rows", [[1], [1, 7, 200]])
def test_a_few_rows_do_not_rule_the_scaling(size, rows):
    values = SIGNED.copy()
    values[rows] = 100 * size * np.sign(values[rows])
    standardizer, ordinary = fit(values), np.delete(values, rows, axis=0)
    np.testing.assert_allclose(standardizer.mean, ordinary.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(standardizer.std, ordinary.std(axis=0))
    z = standardizer(values)
    assert np.abs(z[np.isfinite(z)]).max() < 10
    assert np.isfinite(z).all() == (size < 1e39)
    np.testing.assert_array_equal(np.sign(z[rows]), np.sign(values[rows]))


@pytest.mark.parametrize("fraction", [0.05, 0.4])
@pytest.mark.parametrize("code", [-1.6375e30, -999.0, 1e20])
def test_a_code_for_missing_values_does_not_rule_the_scaling(fraction, code):
    maps = RNG.normal(size=(100, 2, 8, 8)).astype(np.float32)
    is_hidden = np.random.default_rng(2).random((100, 8, 8)) < fraction
    maps[:, 0][is_hidden] = code
    standardizer = fit(maps, vector=False, size=30)
    assert standardizer.std.ravel() == pytest.approx([1, 1], abs=0.03)
    np.testing.assert_array_equal(standardizer(maps)[:, 0][is_hidden], 0)
    np.testing.assert_array_equal(standardizer(maps.astype(np.float64))[:, 0][is_hidden], 0)
    assert np.abs(standardizer(maps)[:, 0][~is_hidden]).min() > 0


def test_one_hot_pixel_does_not_rule_the_scaling():
    maps = RNG.normal(size=(400, 1, 16, 16)).astype(np.float32)
    expected = fit(maps, vector=False)
    maps[1, 0, 3, 3] = 1e8
    standardizer = fit(maps, vector=False)
    np.testing.assert_allclose(standardizer.std, expected.std, rtol=1e-4)
    assert 4 < standardizer(maps).max() < 12


def test_one_row_decides_neither_for_nor_against_a_logarithm():
    narrow = RNG.uniform(1.0, 2.0, size=(300, 5))
    narrow[4] *= 1e20
    assert not fit(narrow).log.any()
    wide = VECTORS.copy()
    wide[4] = -1e30
    standardizer = fit(wide)
    assert standardizer.log.all() and standardizer.std.max() < 0.6


@pytest.mark.parametrize(
    "values",
    [
        SIGNED,
        VECTORS,
        np.random.default_rng(3).standard_t(2, (1000, 20)),
        np.random.default_rng(3).lognormal(0, 2, (1000, 20)) - 1,
        np.random.default_rng(3).poisson(0.05, (1000, 20)),
        np.where(
            np.random.default_rng(3).random((1000, 20)) < 0.3, 0.0, np.random.default_rng(4).normal(5, 1, (1000, 20))
        ),
    ],
    ids=["normal", "log-normal", "heavy tail", "wide and signed", "counts", "zeros"],
)
def test_sound_data_lose_nothing_and_are_not_clipped(values):
    standardizer = fit(values, "none")
    np.testing.assert_allclose(standardizer.std, values.std(axis=0))
    z = (values - standardizer.mean) / standardizer.std
    np.testing.assert_array_equal(standardizer(values), z.astype(np.float32))
    assert (standardizer.clip >= 100).all()


def test_what_single_precision_cannot_hold_is_infinite_and_what_it_can_is_clipped():
    standardizer = fit(SIGNED)
    assert np.isinf(standardizer(np.full((1, 5), 1e39))).all()
    np.testing.assert_allclose(standardizer(np.full((1, 5), -1e38))[0], -standardizer.clip)
