"""Ridge regression against scikit-learn's, which leaves rows out one by one; its features of fields in closed form."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cosmoinfer.ridge_regression import PENALTIES, fit_by_leave_one_out, power_by_scale, summary_features


@pytest.mark.parametrize("count", [20, 40, 400])
@pytest.mark.parametrize("noise", [0.1, 3.0])
def test_ridge_is_the_one_that_leave_one_out_prefers(count, noise):
    """Left out one by one by scikit-learn, with more features than rows and with fewer."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, 30)) + 3
    theta = x[:, :3] @ generator.normal(size=(3, 2)) + noise * generator.normal(size=(count, 2))
    weights, offset = fit_by_leave_one_out(x, theta)
    expected = RidgeCV(PENALTIES, alpha_per_target=True).fit(x, theta)
    np.testing.assert_allclose(weights, expected.coef_.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(offset, expected.intercept_, rtol=1e-6)


def test_ridge_of_a_feature_that_does_not_vary_is_the_mean():
    weights, offset = fit_by_leave_one_out(np.full((10, 1), 7.0), np.arange(20.0).reshape(10, 2))
    assert (weights == 0).all() and offset.tolist() == [9, 10]


# --------------------------------------------------------------------------------- power by scale of profiles and maps
def test_vectors_are_their_own_features_in_double_precision():
    vectors = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    features = summary_features(vectors)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, vectors)


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((2, 3), 2),  # too short for a variance: the means
        ((1, 4), 2),
        ((2, 64), 2 * (1 + 5)),  # variances at 64, 32, 16, 8 and 4
        ((3, 16, 16), 3 * (1 + 3)),
        ((1, 16, 64), 1 + 3),  # as long as the shorter side has 4 pixels
        ((1, 8, 8, 8), 1 + 2),
        ((1, 9, 9), 1 + 2),  # the last row and column of an odd side are left out of the pooling
    ],
)
def test_there_is_a_mean_and_a_variance_for_each_scale_and_channel(shape, count):
    data = np.random.default_rng(0).standard_normal((6, *shape))
    assert power_by_scale(data).shape == (6, count)


def test_the_features_are_means_and_log_variances_of_pooled_maps():
    maps = np.random.default_rng(0).standard_normal((4, 2, 8, 8))
    pooled = maps.reshape(4, 2, 4, 2, 4, 2).mean(axis=(3, 5))
    expected = [maps.mean(axis=(2, 3)), np.log(maps.var(axis=(2, 3))), np.log(pooled.var(axis=(2, 3)))]
    np.testing.assert_allclose(power_by_scale(maps), np.concatenate(expected, axis=1), rtol=1e-9)


def test_white_noise_loses_a_factor_of_the_pixels_that_are_pooled():
    """Variance / 4 for each pooling of a map by two, / 8 of a grid; a smooth map loses next to nothing."""
    random = np.random.default_rng(0)
    maps, grids = random.standard_normal((2000, 1, 16, 16)), random.standard_normal((500, 1, 8, 8, 8))
    for data, factor in ((maps, 4), (grids, 8)):
        variances = np.exp(power_by_scale(data)[:, 1:]).mean(axis=0)
        expected = factor ** -np.arange(len(variances), dtype=float)
        n_pixels = data[0].size * expected  # the variance about the mean of so many pixels is smaller by 1 / n
        np.testing.assert_allclose(variances, expected * (1 - 1 / n_pixels), rtol=0.03)
    wave = np.cos(2 * np.pi * np.arange(64) / 64)[None, None]
    fine, coarse = np.exp(power_by_scale(wave))[0, [1, 2]]
    assert coarse == pytest.approx(fine, rel=0.01)


def test_twice_the_amplitude_is_four_times_the_variance_and_an_offset_moves_the_mean_alone():
    maps = np.random.default_rng(0).standard_normal((10, 1, 16, 16))
    features = power_by_scale(maps)
    doubled, shifted = power_by_scale(2 * maps) - features, power_by_scale(maps + 3) - features
    np.testing.assert_allclose(doubled[:, 1:], np.log(4), rtol=1e-9)
    np.testing.assert_allclose(doubled[:, 0], features[:, 0])
    np.testing.assert_allclose(shifted[:, 0], 3)
    np.testing.assert_allclose(shifted[:, 1:], 0, atol=1e-9)


def test_constant_maps_have_finite_features():
    assert np.isfinite(power_by_scale(np.full((3, 2, 8, 8), 5.0))).all()
