"""Log-normal fields: is their posterior that of the Gaussian fields behind them, and their power the Gaussian's?"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cosmoinfer.errors import UserError
from cosmoinfer.simulators import (
    GaussianGrids,
    GaussianMaps,
    GaussianProfiles,
    LogNormalPairs,
    latin_hypercube,
    log_normal_twins,
)

FIDUCIAL = np.array([0.3, 0.8])
MAPS = LogNormalPairs()
TINY = replace(MAPS, pixels=4, side=60.0, noise=30.0, tracer_noise=50.0)
FIELDS = (GaussianProfiles(), GaussianMaps(), GaussianGrids(pixels=16))
every_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)


def dense(problem, theta):
    """The covariance of both g, pixel by pixel, from a sum over wavevectors: (2 H W, 2 H W)."""
    index = np.stack([axis.ravel() for axis in np.indices((problem.pixels, problem.pixels))], axis=-1)
    k = 2 * np.pi / problem.side * np.where(index > problem.pixels // 2, index - problem.pixels, index)
    x = problem.side / problem.pixels * index
    power = problem.linear(np.linalg.norm(k, axis=-1)[1:], theta) / problem.depth
    matter = np.cos((x[:, None] - x) @ k[1:].T) @ power / problem.side**2
    white = np.eye(len(x)) * (problem.pixels / problem.side) ** 2
    cross = problem.bias * matter
    return np.block(
        [
            [matter + problem.noise * white, cross],
            [cross, problem.bias**2 * matter + problem.tracer_noise * white],
        ]
    )


# ----------------------------------------------------------------------------------------------- two fields, one truth
def test_the_likelihood_of_both_fields_is_the_dense_gaussian_of_their_logarithms():
    made = TINY.simulate(3, seed=1)
    assert made.data.shape == (3, 2, 4, 4)
    for theta, data in zip(made.theta, made.data, strict=True):
        g = np.log1p(data).ravel()
        expected = stats.multivariate_normal.logpdf(g, cov=dense(TINY, theta)) - g.sum()
        assert TINY.log_likelihood(theta, data) == pytest.approx(expected, abs=1e-8)


def test_the_fields_have_the_covariance_of_the_likelihood():
    rows, covariance = 20_000, dense(TINY, FIDUCIAL)
    g = np.log1p(TINY.observe(np.tile(FIDUCIAL, (rows, 1)), np.random.default_rng(2))).reshape(rows, -1)
    variance = np.diag(covariance)
    error = np.sqrt((covariance**2 + np.outer(variance, variance)) / rows)
    assert np.abs((g.T @ g / rows - covariance) / error).max() < 4.5
    assert np.abs(g.mean(axis=0) / np.sqrt(variance / rows)).max() < 4


def test_two_channels_tell_more_than_one():
    made = MAPS.simulate(200, seed=3)
    g = np.log1p(made.data)
    alone = [
        GaussianMaps(depth=MAPS.depth / bias**2, noise=noise).log_posterior(made.theta, g[:, channel])
        for channel, (bias, noise) in enumerate([(1.0, MAPS.noise), (MAPS.bias, MAPS.tracer_noise)])
    ]
    joint = MAPS.log_posterior(made.theta, made.data)
    for single in alone:
        gain = joint - single
        assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_the_maps_are_plainly_not_gaussian():
    maps = MAPS.observe(np.tile(FIDUCIAL, (50, 1)), np.random.default_rng(4))
    deviation = np.log1p(maps).std(axis=(0, 2, 3))
    assert (deviation > 0.5).all()
    assert (deviation < 1).all()
    assert (stats.skew(maps.reshape(50, 2, -1), axis=2).mean(axis=0) > 1.5).all()
    assert np.log1p(maps.astype(np.float32)) == pytest.approx(np.log1p(maps), abs=1e-4)  # what a file keeps


# ---------------------------------------------------------------------------------------- one field, a Gaussian's power
@every_field
@pytest.mark.parametrize("sigma", (0.3, 0.8))
def test_a_twin_has_the_power_of_its_gaussian_and_its_own_skewness(field, sigma):
    rows = 1_000_000 // field.pixels**field.dimensions
    theta = latin_hypercube(field.parameters, rows, np.random.default_rng(5))
    twins = log_normal_twins(field, theta, sigma, np.random.default_rng(6))
    assert twins.shape == (rows, *field.row)
    ratio = field.measured(twins) / field.expected(theta)
    assert np.abs((ratio.mean(axis=0) - 1) / (ratio.std(axis=0) / np.sqrt(rows))).max() < 4.5
    flat = twins.reshape(rows, -1)
    assert np.abs(flat.mean(axis=1)).max() < 1e-12
    pooled = flat / np.sqrt((field.expected(theta) @ field.bands.modes) / field.side**field.dimensions)[:, None]
    assert (pooled**3).mean() == pytest.approx(3 * sigma + sigma**3, rel=0.15)


@every_field
def test_a_twin_that_is_hardly_log_normal_is_the_gaussian_field_itself(field):
    theta = latin_hypercube(field.parameters, 5, np.random.default_rng(7))
    gaussian = field.observe(theta, np.random.default_rng(8))
    twins = log_normal_twins(field, theta, 1e-5, np.random.default_rng(8))
    np.testing.assert_allclose(twins, gaussian, rtol=0, atol=1e-3 * gaussian.std())


@pytest.mark.parametrize("sigma", (2.0, 30.0))
def test_a_twin_that_cannot_be_is_refused(sigma):
    with pytest.raises(UserError, match=f"sigma: no log-normal field .* deviation of {sigma:g}"):
        log_normal_twins(GaussianProfiles(), FIDUCIAL[None], sigma, np.random.default_rng(9))
