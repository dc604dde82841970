"""Simulators: do the numbers follow the law that is written down, and is the exact posterior exact?"""

import json
import runpy
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import integrate, stats

from cosmoinfer import catalog, posterior, storage
from cosmoinfer import split as splits
from cosmoinfer.errors import UserError
from cosmoinfer.simulators import (
    SIMULATORS,
    BoxedLinearGaussian,
    GaussianMaps,
    GaussianModes,
    LinearGaussian,
    LinearPower,
    LogNormalMaps,
    MaskedSpectrum,
    PowerSpectrum,
    Supernovae,
    latin_hypercube,
    top_hat,
)
from cosmoinfer.tasks.simulate import SimulationSettings, simulate_record, with_settings
from tests.command_line import call, done, refused

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
CORNERS = np.array([*product((0.1, 0.3, 0.5), (0.6, 1.0))])
SPECTRUM = PowerSpectrum()
MASKED = MaskedSpectrum()
SMALLER = {"gaussian-grids": {"pixels": 16}}  # time
PROBLEMS = {name: replace(problem, **SMALLER.get(name, {})) for name, problem in SIMULATORS.items()}
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
MODES = {name: problem for name, problem in PROBLEMS.items() if isinstance(problem, GaussianModes)}
every_field = pytest.mark.parametrize("problem", MODES.values(), ids=MODES)
PAIRS = {name: problem for name, problem in PROBLEMS.items() if len(problem.parameters) == 2}
every_pair = pytest.mark.parametrize("problem", PAIRS.values(), ids=PAIRS)


# ------------------------------------------------------------------------------------------------ the power spectrum
@pytest.mark.parametrize("theta", CORNERS)
def test_the_spectrum_has_the_sigma_8_that_was_asked_for(theta):
    def integrand(log_k):
        k = np.exp([log_k])
        return float((k**3 * LinearPower()(k, theta) * top_hat(8 * k) ** 2)[0]) / (2 * np.pi**2)

    pieces = np.linspace(np.log(1e-6), np.log(30), 12)  # beyond, the sphere lets 1e-8 through
    variance = sum(integrate.quad(integrand, *ends, epsrel=1e-8)[0] for ends in pairwise(pieces))
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
    complete, left = (problem.observe(theta, np.random.default_rng(2)) for problem in (SPECTRUM, MASKED))
    measured = ~np.isnan(left)
    np.testing.assert_array_equal(left[measured], complete[measured])


def test_the_likelihood_of_what_is_left_is_the_gamma_densities_of_those_bins():
    made = MASKED.simulate(5, seed=2)
    power, modes = MASKED.expected(made.theta), MASKED.bands.modes
    measured = ~np.isnan(made.data)
    expected = [
        stats.gamma.logpdf(data[bins], modes[bins] / 2, scale=(2 * expectation / modes)[bins]).sum()
        + stats.binom.logpmf(bins, 1, 1 - MASKED.missing).sum()
        for data, expectation, bins in zip(made.data, power, measured, strict=True)
    ]
    np.testing.assert_allclose(MASKED.log_likelihood(made.theta, made.data), expected, rtol=0, atol=1e-6)


def test_the_posterior_goes_from_the_whole_spectrum_s_to_the_prior_s():
    made = SPECTRUM.simulate(4, seed=3)
    expected = SPECTRUM.log_posterior(made.theta, made.data)
    np.testing.assert_allclose(MASKED.log_posterior(made.theta, made.data), expected, rtol=0, atol=1e-9)
    all_missing = np.full_like(made.data, np.nan)
    np.testing.assert_allclose(MASKED.log_posterior(made.theta, all_missing), -np.log(0.4 * 0.4), rtol=0, atol=1e-9)


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
    other_seed = problem.simulate(4, seed=7, rows_per_simulation=3).data
    assert not np.array_equal(made.data, other_seed, equal_nan=True)


@every_field
def test_the_posterior_is_the_same_on_a_finer_grid(problem):
    x = problem.measured(problem.simulate(40, seed=8).data)
    finer = replace(problem.posterior, nodes=200).log_evidence(x)
    np.testing.assert_allclose(problem.posterior.log_evidence(x), finer, rtol=0, atol=1e-5)


@every_pair
def test_the_posterior_integrates_to_one_by_brute_force(problem):
    """Where a box edge cuts it too, and where its density jumps (two moons): cells small against what it is wide."""
    made = problem.simulate(2, seed=9)
    low, high, cells = problem.parameters.low, problem.parameters.high, 300 if problem in MODES.values() else 2000
    axes = (low + (high - low) * (np.arange(cells)[:, None] + 0.5) / cells).T
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    for data in made.data:
        brute = np.exp(problem.log_posterior(theta, data)).sum() * np.prod((high - low) / cells)
        assert brute == pytest.approx(1, abs=1e-3 if problem in MODES.values() else 4e-3)


@every_field
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
    rows = 60 if isinstance(problem, Supernovae) else 100 if isinstance(problem, GaussianModes) else 200  # time
    made, draws = problem.simulate(rows, seed=11), 99
    samples = problem.sample(made.data, draws, seed=12)
    assert samples.shape == (rows, draws, len(problem.parameters))
    assert problem.parameters.inside(samples).all()
    tie = np.random.default_rng(0)
    ranks = ((samples < made.theta[:, None]).sum(axis=1) + tie.random(made.theta.shape)) / (draws + 1)
    density = problem.log_posterior(samples, made.data[:, None])
    level = (density > problem.log_posterior(made.theta, made.data)[:, None]).sum(axis=1) + tie.random(rows)
    for uniform in (*ranks.T, level / (draws + 1)):
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@every_field
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


def test_a_linear_gaussian_posterior_is_bayes_theorem():
    """Prior times likelihood over any two points; and its draws have its covariance."""
    problem, stream = LinearGaussian(dimensions=3), np.random.default_rng(20)
    theta, data = stream.standard_normal((2, 3)), stream.standard_normal(3)
    residual = (data - theta @ problem.response.T) / problem.noise
    joint = -0.5 * (theta**2).sum(axis=1) - 0.5 * (residual**2).sum(axis=1)
    assert np.diff(problem.log_posterior(theta, data)) == pytest.approx(np.diff(joint), abs=1e-9)
    drawn = problem.sample(data[None], 20_000, seed=0)[0]
    np.testing.assert_allclose(np.cov(drawn.T), problem.covariance, atol=0.01)
    np.testing.assert_allclose(drawn.mean(axis=0), problem.mean(data), atol=0.02)
    np.testing.assert_allclose(np.linalg.inv(problem.covariance), np.eye(3) + problem.fisher(theta)[0], atol=1e-9)


def test_a_boxed_posterior_is_a_product_of_truncated_normals():
    problem = BoxedLinearGaussian(dimensions=3)
    data = np.array([-1.4, 0.2, 0.95])
    law = stats.truncnorm((-1 - data) / problem.noise, (1 - data) / problem.noise, data, problem.noise)
    theta = np.array([[-0.9, 0.1, 0.99], [0.3, -0.4, -1.0]])
    np.testing.assert_allclose(problem.log_posterior(theta, data), law.logpdf(theta).sum(axis=1))
    drawn = problem.sample(data[None], 20_000, seed=0)[0]
    np.testing.assert_allclose(drawn.mean(axis=0), law.mean(), atol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), law.std(), atol=0.01)


@pytest.mark.parametrize("omega_m", (0.1, 0.3, 0.6))
@pytest.mark.parametrize("w", (-2.0, -1.0, -0.4))
def test_distance_moduli_are_the_integral_of_the_expansion(omega_m, w):
    problem = Supernovae()

    def inverse_expansion(z):
        return (omega_m * (1 + z) ** 3 + (1 - omega_m) * (1 + z) ** (3 * (1 + w))) ** -0.5

    z = problem.redshifts[[0, 12, -1]]
    distance = [(1 + redshift) * 2997.92458 / 0.7 * integrate.quad(inverse_expansion, 0, redshift)[0] for redshift in z]
    moduli = problem.modulus(np.array([omega_m, w]))[[0, 12, -1]]
    np.testing.assert_allclose(moduli, 5 * np.log10(distance) + 25, atol=1e-6)  # 25: from 10 pc to Mpc


def test_the_posterior_of_supernovae_is_their_likelihood_on_a_grid_of_all_three():
    """No integral by formula: the box in (Omega_m, w, offset) cell by cell."""
    problem = Supernovae(error=0.4)  # wide, so that few cells do
    made = problem.simulate(2, seed=3)
    parameters, cells = problem.parameters, (40, 40, 20)
    axes = [low + (high - low) * (np.arange(count) + 0.5) / count for low, high, count in
            zip(parameters.low, parameters.high, cells, strict=True)]  # fmt: skip
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    volume = np.prod((parameters.high - parameters.low) / cells)
    model = problem.modulus(theta[:, :2])
    for data in made.data:
        likelihood = -0.5 * np.square((data - model - theta[:, 2:]) / 0.4).sum(axis=1)
        brute = likelihood - np.log(np.exp(likelihood).sum() * volume)
        np.testing.assert_allclose(problem.log_posterior(theta[::997], data), brute[::997], atol=2e-3)


@every_field
def test_fisher_information_is_the_curvature_of_the_mean_likelihood(problem):
    """F = -E d^2 ln L: by second differences of the likelihood at data that equal their expectation."""
    theta, step = np.array([0.28, 0.83]), 2e-3 * np.array([0.4, 0.4])
    expected = problem.expected(theta)
    curvature = np.empty((2, 2))
    for a, b in product(range(2), repeat=2):
        corners = [
            (i, j, theta + i * step * np.eye(2)[a] + j * step * np.eye(2)[b]) for i, j in product((1, -1), (1, -1))
        ]
        curvature[a, b] = sum(i * j * problem._log_modes(where, expected) for i, j, where in corners) / (
            4 * step[a] * step[b]
        )
    np.testing.assert_allclose(problem.fisher(theta), -curvature, rtol=1e-3)


def test_the_posterior_is_as_wide_as_fisher_information_says():
    """Far from the edges and well measured, the inverse covariance of exact draws is F."""
    problem = replace(SPECTRUM, side=600.0, shot_noise=100.0)
    theta = np.tile([0.3, 0.8], (40, 1))
    samples = problem.sample(problem.observe(theta, np.random.default_rng(1)), 500, seed=0)
    covariance = np.mean([np.cov(drawn.T) for drawn in samples], axis=0)
    np.testing.assert_allclose(covariance @ problem.fisher(theta[0]), np.eye(2), atol=0.15)


def test_log_normal_maps_have_the_posterior_of_their_logarithms():
    problem = LogNormalMaps()
    made = problem.simulate(3, seed=4)
    assert made.data.min() > -1 and stats.skew(made.data.ravel()) > 1
    gaussian = problem.logarithm.log_posterior(made.theta, np.log1p(made.data))
    np.testing.assert_allclose(problem.log_posterior(made.theta, made.data), gaussian)
    assert np.abs(problem.logarithm.log_posterior(made.theta, made.data) - gaussian).min() > 0.1  # not of the maps'


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


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What ``make.py`` writes, its commands called in this process."""
    folder = tmp_path_factory.mktemp("shipped")
    run = SimpleNamespace(run=lambda command, check: done(*command[3:]))  # python -m cosmoinfer ...
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(make["main"].__globals__, "subprocess", run)
        make["main"](folder)
    return folder


@pytest.mark.parametrize("file", make["SHIPPED"])
def test_the_files_that_ship_are_what_the_command_makes(file, made):
    shipped, again = storage.read_contents(SAMPLE_DATA / file, "catalog"), storage.read_contents(made / file, "catalog")
    assert {**shipped.meta, "version": None} == {**again.meta, "version": None}
    assert shipped.arrays.keys() == again.arrays.keys()
    for name, array in again.arrays.items():  # another machine's arithmetic may differ in the last bits
        np.testing.assert_allclose(shipped.arrays[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
        assert shipped.arrays[name].dtype == array.dtype


def test_the_files_that_ship_are_small():
    assert sum(file.stat().st_size for file in SAMPLE_DATA.glob("*.h5")) < 5e6


@pytest.mark.parametrize("problem", SIMULATORS)
def test_every_problem_makes_a_catalog(problem):
    made = simulate_record(with_settings(problem, ()), problem, SimulationSettings(rows=8, rows_per_simulation=2))
    attributes = made.attributes["data"]
    channels = len(attributes.get("channels", ()))
    row = made.arrays["data"].shape[1:]
    assert len(made.arrays["data"]) == len(made.arrays["parameters"]) == 8
    np.testing.assert_array_equal(made.arrays["simulation"], [0, 0, 1, 1, 2, 2, 3, 3])
    assert made.arrays["data"].dtype == np.float32
    assert len(row) == AXES[attributes["kind"]] or (channels == 1 and len(row) == AXES[attributes["kind"]] - 1)
    assert channels < 2 or row[0] == channels
    assert np.isnan(made.arrays["data"]).any() == (problem == "masked-spectrum")


def test_the_truth_of_data_with_gaps_is_written(tmp_path):
    done("simulate", "masked-spectrum", "-n", 60, "-o", tmp_path / "m.h5", "--truth", "--draws", 20)
    truth = posterior.read(tmp_path / "m.truth.h5")
    data = storage.read_contents(tmp_path / "m.h5", "catalog").arrays["data"][truth.index].astype(np.float64)
    np.testing.assert_allclose(truth.log_prob_truth, MASKED.log_posterior(truth.truth, data))


def test_settings_of_the_exact_posterior_require_it_to_be_written(tmp_path):
    for option in (["--draws", 5], ["--split-seed", 3], ["--fractions", 0.5, 0.25, 0.25]):
        message = refused("simulate", "two-moons", "-n", 60, "-o", tmp_path / "m.h5", *option)
        assert "set the exact posterior, which only --truth writes" in message and not (tmp_path / "m.h5").exists()


def test_settings_are_replaced_by_name(tmp_path):
    file = tmp_path / "maps.h5"
    words = ("simulate", "gaussian-maps", "-n", 6, "--rows-per-simulation", 3, "-o", file, "--seed", 5)
    words += ("--set", "pixels=16", "--set", "depth=80")
    done(*words)
    written = storage.read_contents(file, "catalog")
    assert written.meta["settings"]["settings"] == {
        **written.meta["settings"]["settings"],
        "pixels": 16,
        "depth": 80.0,
        "side": 320.0,
    }
    expected = GaussianMaps(pixels=16, depth=80.0).simulate(2, 5, 3)
    np.testing.assert_array_equal(written.arrays["data"], expected.data.astype(np.float32))
    np.testing.assert_array_equal(written.arrays["simulation"], [0, 0, 0, 1, 1, 1])
    before = file.read_bytes()
    assert call(*words)[0] == 0 and file.read_bytes() == before  # complete already
    assert "exists" in refused(*words[:-2])
    done(*words[:-2], "--force")
    assert file.read_bytes() != before


@pytest.mark.parametrize(
    ("setting", "message"),
    (
        ("pixel=16", "gaussian-maps has no setting 'pixel'; there are pixels, side, noise, depth"),
        ("linear=1", "gaussian-maps has no setting 'linear'"),
        ("pixels=6.5", "expected pixels= and a positive whole number, found '6.5'"),
        ("pixels=0", "found '0'"),
        ("side=nan", "expected side= and a positive number, found 'nan'"),
        ("depth", "found ''"),
    ),
)
def test_a_setting_that_is_none_is_refused(setting, message):
    with pytest.raises(UserError) as error:
        with_settings("gaussian-maps", [setting])
    assert f"set={setting}: " in str(error.value)
    assert message in str(error.value)


def test_rows_come_in_whole_simulations(tmp_path):
    def refusal(*words):
        return refused("simulate", "gaussian-maps", "-o", tmp_path / "no.h5", *words)

    assert "--rows: expected a multiple of 4" in refusal("-n", 6, "--rows-per-simulation", 4)
    assert "--rows-per-simulation: expected at least 1" in refusal("-n", 6, "--rows-per-simulation", 0)
    assert "--rows: expected at least 1, found 0" in refusal("-n", 0)
    assert "partition is empty" in refusal("-n", 1, "--truth", "--rows-per-simulation", 1)
    assert "--draws: expected at least 1" in refusal("-n", 40, "--truth", "--draws", 0)
    assert not (tmp_path / "no.h5").exists()  # refused before anything is written
    assert "the problem 'moon' is not known; there are linear-gaussian" in refused("simulate", "moon")


def test_the_truth_is_the_exact_posterior_of_the_test_rows(tmp_path):
    """Of the data as the file holds them, in single precision; and it calls itself calibrated."""
    file = tmp_path / "moons.h5"
    done("simulate", "two-moons", "-n", 600, "-o", file, "--truth", "--draws", 100, "--seed", 1)
    truth, sims = posterior.read(tmp_path / "moons.truth.h5"), catalog.read(file, catalog.ReadOptions())
    assert truth.index.tolist() == splits.by_hash(sims.simulation).select_rows(sims.simulation, "test").tolist()
    data = sims.observables[0].values[truth.index]
    expected = SIMULATORS["two-moons"].log_posterior(sims.theta[truth.index], data)
    np.testing.assert_allclose(truth.log_prob_truth, expected)
    np.testing.assert_allclose(truth.log_prob[3], SIMULATORS["two-moons"].log_posterior(truth.samples[3], data[3]))
    document = json.loads(done("evaluate", tmp_path / "moons.truth.h5", "--json"))
    assert document["verdict"]["joint"] == "calibrated within errors"
