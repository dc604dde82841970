"""Gaussian profiles, maps and grids: do their modes follow the law that is written down, each counted once?"""

from dataclasses import replace

import numpy as np
import pytest

from cosmoinfer.simulators import GaussianGrids, GaussianMaps, GaussianProfiles, gaussian_fields

FIDUCIAL = np.array([0.3, 0.8])
FIELDS = (GaussianProfiles(), GaussianMaps(), GaussianGrids(pixels=16))
every_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)


def waves(field):
    """|k| of every mode, and cos(k (x - y)) of every two cells and every mode: (M,), (M, M, M)."""
    index = np.stack([axis.ravel() for axis in np.indices(field.grid)], axis=-1)
    signed = np.where(index > field.pixels // 2, index - field.pixels, index)
    k = 2 * np.pi / field.side * signed
    x = field.side / field.pixels * index
    return np.linalg.norm(k, axis=-1), np.cos((x[:, None] - x) @ k.T)


@every_field
def test_the_periodogram_has_the_expected_power(field):
    rows = 2_000_000 // field.pixels**field.dimensions
    fields = field.observe(np.tile(FIDUCIAL, (rows, 1)), np.random.default_rng(3))
    measured, expected, modes = field.measured(fields), field.expected(FIDUCIAL), field.bands.modes
    cells = field.pixels**field.dimensions
    assert fields.shape == (rows, *field.row)
    assert modes.sum() == cells - 1
    assert np.abs((measured.mean(axis=0) / expected - 1) / np.sqrt(2 / modes / rows)).max() < 4
    spread = np.sqrt((8 + 48 / modes) / rows)  # of the variance of chi^2_nu over its mean squared, times nu
    assert np.abs((measured.var(axis=0) / expected**2 * modes - 2) / spread).max() < 4.5
    assert fields.var() == pytest.approx((expected * modes).sum() / field.cell / cells, rel=0.01)
    assert np.abs(fields.reshape(rows, -1).mean(axis=1)).max() < 1e-12


@every_field
def test_white_noise_of_power_n0_has_the_variance_n0_over_a_cell_s_volume(field):
    theta = np.full((400_000 // field.pixels**field.dimensions, 2), 0.6)
    blank = field.realise(np.full((len(theta), len(field.bands.k)), 3.0), np.random.default_rng(4))
    assert blank.var() == pytest.approx(3.0 / field.cell * (1 - 1 / field.pixels**field.dimensions), rel=0.01)


@pytest.mark.parametrize(
    "field",
    (
        GaussianProfiles(pixels=16, side=160.0),
        GaussianProfiles(pixels=15, side=160.0),
        GaussianMaps(pixels=8, side=160.0),
        GaussianMaps(pixels=7, side=160.0),
        GaussianGrids(pixels=4, side=100.0),
        GaussianGrids(pixels=5, side=100.0),
    ),
    ids=lambda field: f"{type(field).__name__}-{field.pixels}",
)
def test_the_likelihood_is_the_dense_gaussian_of_the_cells(field):
    made = field.simulate(3, seed=5)
    k, cosines = waves(field)
    for theta, data in zip(made.theta, made.data, strict=True):
        power = field.linear(k[1:], theta) / field.across + field.noise
        covariance = cosines[..., 1:] @ power / field.side**field.dimensions
        values, vectors = np.linalg.eigh(covariance)  # the first is the mean's, which is zero
        modes = data.ravel() @ vectors
        dense = -0.5 * (np.square(modes)[1:] / values[1:] + np.log(2 * np.pi * values[1:])).sum()
        assert values[0] == pytest.approx(0, abs=1e-10 * values[1])
        assert field.log_likelihood(theta, data) == pytest.approx(dense, abs=1e-7)


@pytest.mark.parametrize("axes", (1, 2))
def test_a_map_and_a_profile_are_what_is_left_of_a_box_that_is_averaged(axes):
    box = GaussianGrids(pixels=8, side=160.0, noise=300.0)
    left = {
        1: GaussianMaps(pixels=8, side=160.0, depth=160.0, noise=300.0 / 160),
        2: GaussianProfiles(pixels=8, side=160.0, width=160.0, noise=300.0 / 160**2),
    }[axes]
    rows = 3000
    grids = box.observe(np.tile(FIDUCIAL, (rows, 1)), np.random.default_rng(6))
    averaged = grids.mean(axis=tuple(range(-axes, 0))).reshape(rows, *left.row)
    error = np.sqrt(2 / left.bands.modes / rows)
    assert np.abs((left.measured(averaged).mean(axis=0) / left.expected(FIDUCIAL) - 1) / error).max() < 4


@every_field
def test_blocks_change_nothing(field, monkeypatch):
    theta = field.parameters.quantile(np.random.default_rng(0).random((7, 2)))
    maps = field.observe(theta, np.random.default_rng(7))
    powers = field.measured(maps)
    monkeypatch.setattr(gaussian_fields, "CELLS_PER_BLOCK", 3 * field.pixels**field.dimensions)
    np.testing.assert_array_equal(field.observe(theta, np.random.default_rng(7)), maps)
    np.testing.assert_array_equal(field.measured(maps), powers)
    np.testing.assert_array_equal(field.measured(maps.reshape(7, 1, *field.row)), powers[:, None])


@every_field
def test_a_posterior_is_a_few_per_cent_of_the_prior_wide(field):
    if field.dimensions == 3:
        field = replace(field, pixels=32)
    made = field.simulate(20, seed=8)
    width = field.sample(made.data, 100, seed=9).std(axis=1).mean(axis=0) / 0.4
    assert (width > 0.02).all()
    assert (width < 0.15).all()
