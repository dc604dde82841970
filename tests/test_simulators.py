"""Simulators: do the numbers follow the law that is written down, and is the exact posterior exact?"""

import runpy
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.simulators import (
    SIMULATORS,
    GaussianMaps,
    LinearPower,
    MaskedSpectrum,
    PowerSpectrum,
    latin_hypercube,
    top_hat,
)

SAMPLE_DATA = Path(__file__).parent.parent / "sample_data"
CORNERS = np.array([*product((0.1, 0.3, 0.5), (0.6, 1.0))])
SPECTRUM = PowerSpectrum()
MASKED = MaskedSpectrum()
SMALLER = {"gaussian-grids": {"pixels": 16}}  # time
PROBLEMS = {name: replace(problem, **SMALLER.get(name, {})) for name, problem in SIMULATORS.items()}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


# ------------------------------------------------------------------------------------------------ the power spectrum
@pytest.mark.parametrize("theta", CORNERS)
def test_the_spectrum_has_the_sigma_8_that_was_asked_for(theta):
    def integrand(log_k):
        k = np.exp([log_k])
        return float((k**3 * LinearPower()(k, theta) * top_hat(8 * k) ** 2)[0]) / (2 * np.pi**2)

    pieces = np.linspace(np.log(1e-6), np.log(30), 12)  # beyond, the sphere lets 1e-8 through
    variance = sum(integrate.quad(integrand, *ends, epsrel=1e-9)[0] for ends in pairwise(pieces))
    assert np.sqrt(variance) == pytest.approx(theta[1], rel=1e-6)


def test_the_spectrum_of_many_cosmologies_is_that_of_each():
    k, linear = np.geomspace(1e-3, 1, 7), LinearPower()
    together = linear(k, CORNERS.reshape(3, 2, 2))
    assert together.shape == (3, 2, 7)
    np.testing.assert_allclose(together.reshape(6, 7), [linear(k, theta) for theta in CORNERS], rtol=1e-12)


def test_the_spectrum_rises_as_k_to_the_n_s_and_falls_as_log_squared_over_k_cubed():
    linear, theta = LinearPower(), np.array([0.3, 0.8])
    slope = np.log(np.divide(*linear(np.array([2e-5, 1e-5]), theta))) / np.log(2)
    assert slope == pytest.approx(linear.n_s, abs=2e-3)
    k = np.array([1e4, 1e5])
    ratio = linear(k, theta) / (k ** (linear.n_s - 4) * np.log(k) ** 2)
    assert np.log(ratio[1] / ratio[0]) == pytest.approx(0, abs=0.5)
    assert linear.transfer(np.array([1e-6]), np.array(0.3)) == pytest.approx(1, abs=1e-3)


def test_a_latin_hypercube_has_one_point_in_every_slice():
    theta = latin_hypercube(SPECTRUM.parameters, 50, np.random.default_rng(0))
    slices = np.floor(50 * SPECTRUM.parameters.cdf(theta)).astype(int)
    np.testing.assert_array_equal(np.sort(slices, axis=0), np.arange(50)[:, None].repeat(2, axis=1))


# ------------------------------------------------------------------------------------------------------ the bins' law
def test_the_modes_of_a_bin_are_counted_one_by_one():
    small = PowerSpectrum(bins=4)
    counts = np.zeros(4, dtype=int)
    for n in product(range(-5, 6), repeat=3):
        bin_ = int(np.floor(np.linalg.norm(n) + 0.5)) - 1
        if 0 <= bin_ < 4:
            counts[bin_] += 1
    np.testing.assert_array_equal(small.bands.modes, counts)
    np.testing.assert_array_equal(SPECTRUM.bands.modes[:4], counts)
    np.testing.assert_allclose(SPECTRUM.bands.k, 2 * np.pi / 250 * np.arange(1, 41))


def test_band_powers_have_the_mean_and_the_variance_of_their_chi_squared():
    theta, rows = np.array([0.3, 0.8]), 20_000
    power, modes = SPECTRUM.expected(theta), SPECTRUM.bands.modes
    data = SPECTRUM.observe(np.tile(theta, (rows, 1)), np.random.default_rng(1))
    z = (data.mean(axis=0) / power - 1) / np.sqrt(2 / modes / rows)
    assert np.abs(z).max() < 4
    np.testing.assert_allclose(data.var(axis=0) / power**2, 2 / modes, rtol=0.06)


def test_the_likelihood_of_band_powers_is_a_product_of_gamma_densities():
    made = SPECTRUM.simulate(5, seed=2)
    power, modes = SPECTRUM.expected(made.theta), SPECTRUM.bands.modes
    expected = stats.gamma.logpdf(made.data, modes / 2, scale=2 * power / modes).sum(axis=1)
    np.testing.assert_allclose(SPECTRUM.log_likelihood(made.theta, made.data), expected, rtol=0, atol=1e-6)
    expected = (stats.chi2.logpdf(modes * made.data / power, modes) + np.log(modes / power)).sum(axis=1)
    np.testing.assert_allclose(SPECTRUM.log_likelihood(made.theta, made.data), expected, rtol=0, atol=1e-6)


# --------------------------------------------------------------------------------------------------- bins that are lost
def test_bins_are_lost_with_their_probability_whatever_they_hold():
    theta, rows = MASKED.parameters.quantile(np.random.default_rng(0).random((5000, 2))), 5000
    lost = np.isnan(MASKED.observe(theta, np.random.default_rng(1)))
    error = np.sqrt(MASKED.missing * (1 - MASKED.missing) / rows)
    assert np.abs(lost.mean(axis=0) - MASKED.missing).max() < 4 * error
    correlations = np.corrcoef(np.column_stack([theta, lost]).T)[np.triu_indices(42, 1)]
    assert np.abs(np.sqrt(rows) * correlations[1:]).max() < 4.5  # 860 of them; the first is theta's own


def test_what_is_left_is_the_whole_spectrum_elsewhere():
    theta = np.tile([0.3, 0.8], (50, 1))
    whole, left = (one.observe(theta, np.random.default_rng(2)) for one in (SPECTRUM, MASKED))
    there = ~np.isnan(left)
    np.testing.assert_array_equal(left[there], whole[there])


def test_the_likelihood_of_what_is_left_is_the_gamma_densities_of_those_bins():
    made = MASKED.simulate(5, seed=2)
    power, modes = MASKED.expected(made.theta), MASKED.bands.modes
    there = ~np.isnan(made.data)
    expected = [
        stats.gamma.logpdf(data[some], modes[some] / 2, scale=(2 * each / modes)[some]).sum()
        + stats.binom.logpmf(some, 1, 1 - MASKED.missing).sum()
        for data, each, some in zip(made.data, power, there, strict=True)
    ]
    np.testing.assert_allclose(MASKED.log_likelihood(made.theta, made.data), expected, rtol=0, atol=1e-6)


def test_the_posterior_goes_from_the_whole_spectrum_s_to_the_prior_s():
    made = SPECTRUM.simulate(4, seed=3)
    expected = SPECTRUM.log_posterior(made.theta, made.data)
    np.testing.assert_allclose(MASKED.log_posterior(made.theta, made.data), expected, rtol=0, atol=1e-9)
    nothing = np.full_like(made.data, np.nan)
    np.testing.assert_allclose(MASKED.log_posterior(made.theta, nothing), -np.log(0.4 * 0.4), rtol=0, atol=1e-9)


@pytest.mark.parametrize("missing", (0.0, 1.0, 2.0))
def test_a_probability_that_is_none_is_refused(missing):
    with pytest.raises(UserError, match="missing: expected a probability between 0 and 1"):
        MaskedSpectrum(missing=missing)


# ----------------------------------------------------------------------------------------------------- every problem
@every_problem
def test_rows_of_one_simulation_share_their_parameters_and_nothing_else(problem):
    made = problem.simulate(4, seed=6, rows_per_simulation=3)
    np.testing.assert_array_equal(made.simulation, np.repeat(np.arange(4), 3))
    np.testing.assert_array_equal(made.theta, problem.simulate(4, seed=6).theta[made.simulation])
    assert problem.parameters.inside(made.theta).all()
    assert len(np.unique(made.data.reshape(12, -1), axis=0)) == 12
    np.testing.assert_array_equal(made.data, problem.simulate(4, seed=6, rows_per_simulation=3).data)
    other = problem.simulate(4, seed=7, rows_per_simulation=3).data
    assert not np.array_equal(made.data, other, equal_nan=True)


@every_problem
def test_the_posterior_is_the_same_on_a_finer_grid(problem):
    x = problem.measured(problem.simulate(100, seed=8).data)
    finer = replace(problem.posterior, nodes=200).log_evidence(x)
    np.testing.assert_allclose(problem.posterior.log_evidence(x), finer, rtol=0, atol=1e-5)


@every_problem
def test_the_posterior_integrates_to_one_by_brute_force(problem):
    made = problem.simulate(2, seed=9)
    low, high, cells = problem.parameters.low, problem.parameters.high, 300
    axes = (low + (high - low) * (np.arange(cells)[:, None] + 0.5) / cells).T
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    for data in made.data:
        brute = np.exp(problem.log_posterior(theta, data)).sum() * np.prod((high - low) / cells)
        assert brute == pytest.approx(1, abs=1e-3)


@every_problem
def test_the_posterior_differs_from_the_likelihood_by_a_constant_and_ends_at_the_box(problem):
    data = problem.simulate(3, seed=10).data
    theta = problem.parameters.quantile(np.random.default_rng(0).random((3, 5, 2)))
    posterior = problem.log_posterior(theta, data[:, None])
    difference = posterior - problem.log_likelihood(theta, data[:, None])
    assert posterior.shape == (3, 5)
    np.testing.assert_allclose(difference, difference[:, :1].repeat(5, axis=1), rtol=0, atol=1e-6)
    assert (problem.log_posterior(np.array([0.3, 1.01]), data) == -np.inf).all()


@every_problem
def test_exact_draws_are_calibrated(problem):
    made, draws = problem.simulate(200, seed=11), 99
    samples = problem.sample(made.data, draws, seed=12)
    assert samples.shape == (200, draws, 2)
    assert problem.parameters.inside(samples).all()
    tie = np.random.default_rng(0)
    ranks = ((samples < made.theta[:, None]).sum(axis=1) + tie.random((200, 2))) / (draws + 1)
    density = problem.log_posterior(samples, made.data[:, None])
    level = (density > problem.log_posterior(made.theta, made.data)[:, None]).sum(axis=1) + tie.random(200)
    for uniform in (*ranks.T, level / (draws + 1)):
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@every_problem
def test_exact_draws_have_the_moments_of_the_density(problem):
    data = problem.simulate(3, seed=13).data
    samples = problem.sample(data, 4000, seed=14)
    theta, log_weight = replace(problem.posterior, nodes=200)._grid
    for row, drawn in zip(data, samples, strict=True):
        weight = np.exp(problem.log_posterior(theta, row) + log_weight)
        mean = weight @ theta
        covariance = (theta - mean).T * weight @ (theta - mean)
        whitened = (drawn - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
        np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=0.07)
        np.testing.assert_allclose(np.cov(whitened.T), np.eye(2), atol=0.1)


@every_problem
def test_the_draws_of_a_row_do_not_depend_on_the_rows_behind_it(problem):
    data = problem.simulate(3, seed=15).data
    np.testing.assert_allclose(problem.sample(data[:1], 7, seed=0), problem.sample(data, 7, seed=0)[:1], rtol=1e-9)


def test_band_powers_are_informative_but_not_too_much():
    made = SPECTRUM.simulate(300, seed=16)
    mean = SPECTRUM.log_posterior(made.theta, made.data).mean()
    assert mean == pytest.approx(6.4, abs=0.3)  # nats per unit of Omega_m sigma_8; the prior alone has 1.83


# ------------------------------------------------------------------------------------------------------ what we ship
make = runpy.run_path(str(SAMPLE_DATA / "make.py"))
AXES = {"vector": 1, "profile": 2, "map": 3, "grid": 4}  # of a row, channels included


@pytest.mark.parametrize("problem", make["SHIPPED"])
def test_the_files_that_ship_are_what_the_command_makes(problem):
    shipped = storage.read(SAMPLE_DATA / make["SHIPPED"][problem], "catalog")
    made = make["catalog"](problem, make["SEED"])
    assert {**shipped.meta, "version": None} == {**made.meta, "version": None}
    assert shipped.arrays.keys() == made.arrays.keys()
    for name, array in made.arrays.items():  # another machine's arithmetic may differ in the last bits
        np.testing.assert_allclose(shipped.arrays[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
        assert shipped.arrays[name].dtype == array.dtype


def test_the_files_that_ship_are_small_and_their_writing_repeats(tmp_path):
    assert sum(file.stat().st_size for file in SAMPLE_DATA.glob("*.h5")) < 5e6
    for name in ("first.h5", "second.h5"):
        storage.write(tmp_path / name, make["catalog"]("gaussian-maps", 3, rows=8))
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


@pytest.mark.parametrize("problem", SIMULATORS)
def test_every_problem_makes_a_catalog(problem):
    made = make["catalog"](problem, 0, rows=8)
    said = made.attributes["data"]
    channels = len(said.get("channels", ()))
    row = made.arrays["data"].shape[1:]
    assert len(made.arrays["data"]) == len(made.arrays["parameters"]) == len(made.arrays["simulation"]) == 8
    assert made.arrays["data"].dtype == np.float32
    assert len(row) == AXES[said["kind"]] or (channels == 1 and len(row) == AXES[said["kind"]] - 1)
    assert channels < 2 or row[0] == channels
    assert np.isnan(made.arrays["data"]).any() == (problem == "masked-spectrum")


def call(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["make.py", *map(str, arguments)])
    make["main"]()


def test_settings_are_replaced_by_name(tmp_path, monkeypatch):
    file = tmp_path / "maps.h5"
    options = ("--problem", "gaussian-maps", "--rows", 6, "--rows-per-simulation", 3, "-o", file)
    call(monkeypatch, *options, "--set", "pixels=16", "--set", "depth=80", "--seed", 5)
    written = storage.read(file, "catalog")
    assert written.meta["settings"] == {**written.meta["settings"], "pixels": 16, "depth": 80.0, "side": 320.0}
    expected = GaussianMaps(pixels=16, depth=80.0).simulate(2, 5, 3)
    np.testing.assert_array_equal(written.arrays["data"], expected.data.astype(np.float32))
    np.testing.assert_array_equal(written.arrays["simulation"], [0, 0, 0, 1, 1, 1])
    with pytest.raises(UserError, match="exists already"):
        call(monkeypatch, *options)
    call(monkeypatch, *options, "--force")
    assert storage.read(file, "catalog").arrays["data"].shape == (6, 32, 32)


@pytest.mark.parametrize(
    ("setting", "found"),
    (
        ("pixel=16", "gaussian-maps has no setting 'pixel'; there are pixels, side, noise, depth"),
        ("linear=1", "gaussian-maps has no setting 'linear'"),
        ("pixels=6.5", "expected pixels= and a positive whole number, found '6.5'"),
        ("pixels=0", "found '0'"),
        ("side=nan", "expected side= and a positive number, found 'nan'"),
        ("depth", "found ''"),
    ),
)
def test_a_setting_that_is_none_is_refused(setting, found):
    with pytest.raises(UserError) as error:
        make["catalog"]("gaussian-maps", 0, [setting], rows=4)
    assert f"--set {setting}: " in str(error.value)
    assert found in str(error.value)


def test_rows_come_in_whole_simulations():
    with pytest.raises(UserError, match="--rows: expected a multiple of 4"):
        make["catalog"]("gaussian-maps", 0, rows=6)
    with pytest.raises(UserError, match="--rows-per-simulation: expected at least 1"):
        make["catalog"]("gaussian-maps", 0, rows=6, each=0)
