"""Networks that regress the parameters: mixtures of normals in a box, baselines, and what a network did not find."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, special, stats
from sklearn.linear_model import RidgeCV

from cosmoinfer import models
from cosmoinfer.catalog import Catalog, Observable
from cosmoinfer.errors import UserError
from cosmoinfer.losses import LOSSES
from cosmoinfer.models import RegressorModel
from cosmoinfer.models import model as model_module
from cosmoinfer.models.regressor import collapsed_parameters, fit_regressor, regressor_recipe
from cosmoinfer.models.regressor.normals import CorrelatedNormals, IndependentNormals, Normals
from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.noise import Noise
from cosmoinfer.ridge_regression import PENALTIES
from cosmoinfer.sampling.rejection import BoxMass
from cosmoinfer.supports import Support
from tests.examples import (
    NORMAL,
    ROWS,
    TINY,
    agree,
    box,
    cells,
    check_same_row,
    fitted_preprocessing,
    in_memory_catalog,
    linear_gaussian,
    regressor_of,
    sampled,
    split_of,
    train_regressor,
    training_context,
)

every_width = pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.output_head != "point"])


def normals(model: RegressorModel, sims: Catalog, row: int) -> Normals:
    (raw,) = model._outputs(sims, np.array([row]))
    (mixture,) = model._normals(raw)
    return mixture


# ------------------------------------------------------------------------------------------------- mixtures of normals
@every_width
def test_the_moments_of_a_regressor_are_those_of_its_mixture(loss):
    model, sims = regressor_of(2, loss), linear_gaussian(2)
    posterior = sampled(model, sims, np.arange(4), 10)
    for row in range(4):
        mixture = normals(model, sims, row)
        if model.head == "widths":
            variances = mixture.widths**2
        else:
            covariances = np.linalg.inv(mixture.factors @ mixture.factors.transpose(0, 2, 1))
            variances = np.diagonal(covariances, axis1=1, axis2=2)
        mean = mixture.means.mean(axis=0)
        np.testing.assert_allclose(posterior.mean[row], mean)
        np.testing.assert_allclose(
            posterior.std[row], np.sqrt((variances + mixture.means**2).mean(axis=0) - mean**2), rtol=1e-5
        )
        assert np.ptp(mixture.means, axis=0).min() > 0


@every_width
@pytest.mark.parametrize("size", [1, 2])
def test_the_density_of_a_regressor_is_one_and_draws_follow_it(size, loss):
    model, sims, steps = regressor_of(size, loss), linear_gaussian(size), {1: 2000, 2: 320}[size]
    parameters = model.preprocessing.parameters
    theta, volumes, edges = cells(Support("truncate", parameters, np.zeros(size), np.ones(size)), steps)
    posterior, mixture = sampled(model, sims, [3], 4000), normals(model, sims, 3)
    log_mass = mixture.log_prob(posterior.samples[0]) - posterior.log_prob[0]
    np.testing.assert_allclose(log_mass, log_mass[0], atol=1e-5)
    mass = np.exp(mixture.log_prob(theta) - log_mass[0]) * volumes
    error = 0.0 if posterior.draws.log_norm_error is None else posterior.draws.log_norm_error[0]
    assert (posterior.draws.log_norm_error is None) == (model.head == "widths")
    assert mass.sum() == pytest.approx(1, abs=1e-3 + 5 * error)
    assert ((posterior.samples >= parameters.low) & (posterior.samples <= parameters.high)).all()
    z = np.where(np.array(parameters.prior) == "log-uniform", np.log(posterior.samples[0]), posterior.samples[0])
    for column in range(size):
        share = mass.reshape([steps] * size).sum(axis=tuple(c for c in range(size) if c != column))
        counts = np.histogram(z[:, column], edges[:: steps // 40, column])[0]
        assert agree(counts, 4000 * share.reshape(40, -1).sum(axis=1) / mass.sum())


def drawn_of(mixture: Normals, draws: int) -> tuple[np.ndarray, BoxMass]:
    """Draws (S, P), and what drawing them says of the box."""
    stream = mixture.draw(draws, np.random.default_rng(0))
    samples = np.concatenate([piece.theta for piece in stream])
    assert samples.shape == (draws, len(mixture.parameters))
    return samples, stream.mass


@pytest.mark.parametrize("beyond", [-45, -12, -3, 0, 0.5, 1, 4, 13, 46])
def test_normals_far_outside_the_box_are_cut_exactly(beyond):
    """A mean many widths below or above the box: draws and density follow the tail, which piles up on no edge."""
    low, high = box(1).low[0], box(1).high[0]
    width = high - low
    mixture = IndependentNormals(
        box(1), np.full(3, 1 / 3), np.full((3, 1), low + beyond * width), np.full((3, 1), width)
    )
    draws = drawn_of(mixture, 4000)[0][:, 0]
    grid = np.linspace(low, high, 4001)
    cumulative = integrate.cumulative_trapezoid(np.exp(mixture.log_prob(grid[:, None])), grid, initial=0)
    assert cumulative[-1] == pytest.approx(1, abs=1e-3)
    assert stats.kstest(np.interp(draws, grid, cumulative), "uniform").pvalue > 1e-4
    assert len(np.unique(draws)) > 3900


def test_correlated_normals_are_those_of_scipy():
    """Density, moments and draws of a mixture of two, the box far away."""
    covariances = np.array([[[1.0, 0.7], [0.7, 2.0]], [[0.5, -0.3], [-0.3, 0.4]]])
    means, weights = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([0.3, 0.7])
    factors = np.linalg.cholesky(np.linalg.inv(covariances))
    mixture = CorrelatedNormals(Parameters.from_names(("a", "b"), [-50, -50], [50, 50]), weights, means, factors)
    samples, mass = drawn_of(mixture, 20_000)
    terms = [stats.multivariate_normal(*moments).logpdf(samples) for moments in zip(means, covariances, strict=True)]
    expected = special.logsumexp(terms, axis=0, b=weights[:, None])
    np.testing.assert_allclose(mixture.log_prob(samples), expected)
    assert mass.log == 0
    np.testing.assert_allclose(samples.mean(axis=0), mixture.mean, atol=0.04)
    np.testing.assert_allclose(samples.std(axis=0), mixture.std, rtol=0.02)
    away = means - weights @ means
    exact = np.einsum("m,mij->ij", weights, covariances) + np.einsum("m,mi,mj->ij", weights, away, away)
    np.testing.assert_allclose(np.cov(samples.T), exact, atol=0.06)


def test_gaussian_nll_finds_the_exact_correlated_posterior():
    """Of a linear model with normal noise, its parameters in very different units: mean, widths and correlation."""
    sims, units = NORMAL.simulate(2500, 0), np.array([0.01, 30.0])
    parameters = Parameters.from_names(("a", "b"), prior=["normal"] * 2, mean=np.zeros(2), std=units)
    sims = in_memory_catalog(sims.theta * units, parameters, *sims.observables)
    settings = {
        "network": "linear",
        "layers": None,
        "hidden": None,
        "ensemble": 2,
        "epochs": 40,
        "learning_rate": 0.005,
    }
    model = train_regressor(sims, loss="gaussian-nll", **settings)
    rows = model.training_record.split.select_rows(sims.simulation, "test")
    posterior = sampled(model, sims, rows[:3], 4000)
    means, covariance = NORMAL.posterior(sims.observables[0].values[rows])
    means, covariance = means * units, covariance * np.outer(units, units)
    widths = np.sqrt(np.diag(covariance))
    assert (np.abs(model.means(sims, rows) - means) < 0.25 * widths).all()
    np.testing.assert_allclose(posterior.std, np.tile(widths, (3, 1)), rtol=0.1)
    correlation = covariance[0, 1] / widths.prod()
    assert abs(correlation) > 0.2  # or the question was none
    for draws in posterior.samples:
        assert np.corrcoef(draws.T)[0, 1] == pytest.approx(correlation, abs=0.08)
    exact = stats.multivariate_normal(cov=covariance).logpdf(sims.theta[rows] - means)
    learned = [normals(model, sims, row).log_prob(sims.theta[row : row + 1])[0] for row in rows]
    assert (exact - learned).mean() < 0.02


# ------------------------------------------------------------------------------------------- what a regressor predicts
def test_a_point_regressor_gives_points_only():
    posterior = sampled(regressor_of(2, "mse"), linear_gaussian(2), [0, 1], 100)
    assert posterior.mean.shape == (2, 2)
    assert posterior.draws is posterior.log_prob_truth is posterior.std is None


def test_a_regressor_predicts_in_catalog_units():
    """x that says nothing: the mean of theta itself, for the log-uniform parameter too."""
    sims = linear_gaussian(2, rows=2000, seed=5)
    noise = np.random.default_rng(0).standard_normal((2000, 2))
    sims = in_memory_catalog(sims.theta, sims.parameters, Observable("data", "vector", noise))
    model = train_regressor(sims, network="linear", loss="mse", epochs=40, layers=None, hidden=None, learning_rate=0.02)
    rows = model.training_record.split.select_rows(sims.simulation, "train")
    np.testing.assert_allclose(
        sampled(model, sims, rows, 1).mean.mean(axis=0), sims.theta[rows].mean(axis=0), rtol=0.02
    )


def test_the_draws_of_a_regressor_do_not_depend_on_other_rows():
    model, sims = regressor_of(6), linear_gaussian(6)
    alone, among = sampled(model, sims, [7], 200), sampled(model, sims, range(200), 200)
    check_same_row(alone, among.select(np.array([7])))


def test_a_summary_is_the_mean_and_the_log_width_of_the_mixture():
    model, sims, rows = regressor_of(2), linear_gaussian(2), np.arange(5)
    posterior = sampled(model, sims, rows, 1)
    expected = np.concatenate(
        [(posterior.mean - model.shift) / model.scale, np.log(posterior.std / model.scale)], axis=1
    )
    np.testing.assert_allclose(model.summarise(sims, rows), expected, atol=1e-5)
    points = regressor_of(2, "mse")
    assert points.summarise(sims, rows).shape == (5, *points.summary_shape) == (5, 2)


# ------------------------------------------------------------------------------------------ baselines, and what is lost
def baseline(name: str, sims: Catalog) -> RegressorModel:
    recipe = regressor_recipe({"network": name}, ROWS, [observable.row_shape for observable in sims.observables])
    return fit_regressor(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context())


def test_ridge_is_that_of_scikit_learn_and_the_reference_of_every_model():
    sims = linear_gaussian(2)
    model, rows = baseline("ridge", sims), np.arange(ROWS)
    train = model.training_record.split.select_rows(sims.simulation, "train")
    (x,) = model.preprocessing.data(sims, rows)
    reference = RidgeCV(alphas=PENALTIES, alpha_per_target=True).fit(x[train].astype(float), sims.theta[train])
    means = model.means(sims, rows)
    np.testing.assert_allclose(means, reference.predict(x.astype(float)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        model.preprocessing.parameters.clip(means), model.preprocessing.estimate_parameters(sims, rows), atol=1e-4
    )


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_gives_means_only_and_comes_back_from_its_file(name, tmp_path):
    sims = linear_gaussian(2)
    model, rows = baseline(name, sims), np.arange(5)
    posterior = sampled(model, sims, rows, 10)
    assert posterior.mean.shape == (5, 2)
    assert posterior.draws is posterior.std is None
    np.testing.assert_allclose(posterior.mean, model.means(sims, rows), rtol=1e-6)
    models.write(tmp_path / "baseline.h5", model, {})
    again = sampled(models.read(tmp_path / "baseline.h5"), sims, rows, 10)
    np.testing.assert_array_equal(again.mean, posterior.mean)
    (history,) = models.histories(model).values()
    partitions = [
        model.training_record.split.select_rows(sims.simulation, partition) for partition in ("train", "validation")
    ]
    errors = [
        (((model.means(sims, partition) - sims.theta[partition]) / model.scale) ** 2).mean() for partition in partitions
    ]
    assert [history.train[0, 0], history.validation[0, 0]] == pytest.approx(errors, rel=1e-4)


def test_trees_find_what_a_line_cannot():
    random = np.random.default_rng(0)
    theta = random.uniform(-1, 1, (600, 1))
    x = np.concatenate([np.abs(theta), np.sign(theta)], axis=1) + 0.05 * random.standard_normal((600, 2))
    sims = in_memory_catalog(theta**2, Parameters.from_names(("a",), [0.0], [1.0]), Observable("data", "vector", x))
    rows = np.arange(600)
    wrong = {name: (baseline(name, sims).means(sims, rows) - sims.theta).std() for name in BASELINES}
    assert wrong["trees"] < 0.7 * wrong["ridge"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "moment"}, "network=ridge: minimises the squared error; expected `loss=mse`"),
        ({"ensemble": 2}, "network=ridge: is not trained by gradient descent and has no `ensemble`"),
        ({"batch_size": 2}, "has no `batch_size`"),
    ],
)
def test_a_baseline_has_nothing_to_descend(settings, message):
    with pytest.raises(UserError, match=message):
        regressor_recipe({"network": "ridge"} | settings, 100, [(3,)])


def test_unconstrained_parameters_are_recognised():
    """The second one is somebody else's."""
    sims = linear_gaussian(2, rows=600)
    theta = sims.theta.copy()
    theta[:, 1] = np.random.default_rng(0).permutation(theta[:, 1])
    mixed = in_memory_catalog(theta, sims.parameters, *sims.observables)
    for fit in (
        lambda catalog: train_regressor(catalog, epochs=10, ensemble=1),
        lambda catalog: baseline("ridge", catalog),
    ):
        assert collapsed_parameters(fit(sims), sims) == ()
        assert collapsed_parameters(fit(mixed), mixed) == ("b",)


def test_a_warm_up_minimises_the_squared_error_whatever_the_loss_and_then_the_loss():
    curves = [
        train_regressor(linear_gaussian(2), loss=loss, ensemble=1, epochs=5, warm_up=3).stacks[0].history.train[:, 0]
        for loss in ("moment", "moment-log")
    ]
    np.testing.assert_array_equal(curves[0][:3], curves[1][:3])
    assert (curves[0][3:] != curves[1][3:]).all()
    with pytest.raises(UserError, match="warm_up=1: applies to losses with widths, as moment; found the loss mse"):
        train_regressor(linear_gaussian(2), loss="mse", warm_up=1)


# ------------------------------------------------------------------------------------------------------ noisy training
def test_noise_is_fresh_in_every_epoch_and_fixed_for_validation(monkeypatch):
    """What the loop is handed: training rows that differ from epoch to epoch, the same for the same seed."""
    sims = NORMAL.simulate(ROWS, 0, noise=False)
    recipe = regressor_recipe(TINY | {"network": "linear", "layers": None, "hidden": None}, ROWS, [(3,)])
    handed = []

    def stop(network, loss, train_rows, validation_rows, *positional, hooks, keeper):
        fresh = [hooks.fresh_rows(epoch)[1].numpy() for epoch in (0, 1, 0)]
        handed.append((train_rows.rows[1].numpy(), validation_rows.rows[1].numpy(), fresh))
        raise StopIteration

    monkeypatch.setattr(model_module, "train", stop)
    for seed in (0, 0, 1):
        with pytest.raises(StopIteration):
            fit_regressor(
                sims, split_of(sims), fitted_preprocessing(sims, Noise(np.eye(3), seed)), recipe, training_context()
            )
    (train, validation, (first, second, again)), twice, other_seed = handed
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, twice[2][0])
    np.testing.assert_array_equal(validation, twice[1])
    for data in (second, train, other_seed[2][0]):
        assert (first != data).all()
    assert (validation != other_seed[1]).all()


def test_a_regressor_trained_with_noise_is_as_wide_as_the_noise_makes_it():
    """The simulations hold none; a posterior from one draw a simulation would be learned by heart."""
    sims = NORMAL.simulate(2000, 0, noise=False)
    frame = fitted_preprocessing(sims, Noise(np.linalg.cholesky(NORMAL.covariance), 0))
    settings = {"network": "linear", "layers": None, "hidden": None, "ensemble": 1, "epochs": 25, "learning_rate": 0.02}
    model = train_regressor(sims, frame=frame, loss="gaussian-nll", **settings)
    judged = replace(NORMAL.simulate(20, 1), includes_noise=True)
    means, covariance = NORMAL.posterior(judged.observables[0].values)
    posterior = sampled(model, judged, np.arange(20), 10)
    widths = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(posterior.std, np.tile(widths, (20, 1)), rtol=0.1)
    assert (np.abs(posterior.mean - means) < 0.3 * widths).all()
