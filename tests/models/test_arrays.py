"""Models from Python: arrays in, the posteriors and densities of the commands out, shapes that do not fit refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer import models
from cosmoinfer.catalog import Observable
from cosmoinfer.errors import CosmoinferWarning, UserError
from tests.examples import (
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    regressor_of,
    sampled,
    train_flow,
    train_regressor,
    with_maps,
)
from tests.models.test_classifier import blobs, classifier
from tests.models.test_density import train as train_density

# of few rows, and of observations that were trained on
pytestmark = pytest.mark.filterwarnings("ignore::cosmoinfer.CosmoinferWarning")

X = linear_gaussian(2).observables[0].values


@pytest.mark.parametrize("support", ["probit", "truncate"])
def test_a_flow_samples_arrays_as_it_samples_a_catalog(support):
    sims, model = linear_gaussian(2), flow_of("nsf", 2, 3, support)
    expected = sampled(model, sims, [4, 5, 6], 50)
    posterior = model.sample(X[4:7], draws=50, row_numbers=[4, 5, 6])
    np.testing.assert_array_equal(posterior.samples, expected.samples)
    np.testing.assert_array_equal(posterior.log_prob, expected.log_prob)
    assert posterior.index.tolist() == [4, 5, 6] and posterior.truth is None
    single = model.sample(X[4], draws=50, row_numbers=[4])
    np.testing.assert_array_equal(single.samples, expected.samples[:1])


@pytest.mark.parametrize("support", ["probit", "truncate"])
def test_log_prob_is_the_density_of_the_draws(support):
    model = flow_of("nsf", 2, 3, support)
    drawn = model.sample(X[:3], draws=30)
    for number in range(3):
        log_prob = model.log_prob(drawn.samples[number], X[number])
        np.testing.assert_allclose(log_prob, drawn.log_prob[number], atol=1e-4 if support == "probit" else 0.06)
    paired = model.log_prob(drawn.samples[:, 0], X[:3])
    np.testing.assert_allclose(paired, drawn.log_prob[:, 0], atol=1e-4 if support == "probit" else 0.06)
    point = model.log_prob(drawn.samples[0, 0], X[0])
    assert np.ndim(point) == 0 and point == pytest.approx(paired[0], abs=1e-4)
    assert model.log_prob(model.preprocessing.parameters.high + 1, X[0]) == -np.inf
    assert np.isnan(model.log_prob(np.array([0.0, np.nan]), X[0]))
    with_gap = np.concatenate([drawn.samples[0, :4], [[np.nan, 0.0]]])
    log_prob = model.log_prob(with_gap, X[0])
    assert np.isnan(log_prob).tolist() == [False] * 4 + [True]
    np.testing.assert_allclose(log_prob[:4], model.log_prob(with_gap[:4], X[0]), atol=1e-5)


@pytest.mark.parametrize("loss", ["moment", "gaussian-nll"])
def test_a_regressor_does_so_too(loss):
    sims, model = linear_gaussian(2), regressor_of(2, loss)
    expected = sampled(model, sims, [0, 1], 40)
    posterior = model.sample(X[:2], draws=40)
    np.testing.assert_array_equal(posterior.samples, expected.samples)
    np.testing.assert_allclose(model.log_prob(posterior.samples[1], X[1]), posterior.log_prob[1], atol=0.06)
    np.testing.assert_allclose(model.log_prob(posterior.samples[:, 3], X[:2]), posterior.log_prob[:, 3], atol=0.06)
    assert np.isnan(model.log_prob(np.array([0.0, np.nan]), X[0]))


def test_a_regressor_of_points_has_no_density():
    model = regressor_of(2, "mse")
    assert model.sample(X[:2]).draws is None
    with pytest.raises(UserError, match="gives a point and no density"):
        model.log_prob(np.zeros(2), X[0])


def test_a_classifier_gives_probabilities():
    model, sims = classifier("cross-entropy"), blobs(2)
    probabilities = model.probabilities(sims.observables[0].values[:3])
    np.testing.assert_array_equal(probabilities, sampled(model, sims, [0, 1, 2]).classes.probabilities)
    np.testing.assert_array_equal(model.probabilities(sims.observables[0].values[0]), probabilities[0])


@pytest.mark.parametrize("conditional", [True, False])
def test_a_density_has_log_prob_and_draws(conditional):
    sims = linear_gaussian(2)
    model = train_density(sims, conditional=conditional, flow="maf", epochs=1)
    theta = sims.theta if conditional else None
    row_numbers = np.arange(5)
    expected = model.log_prob_of_rows(sims, row_numbers, lambda *_: None)
    np.testing.assert_array_equal(model.log_prob(X[:5], theta[:5] if conditional else None), expected)
    point = sims.theta[0] if conditional else None
    np.testing.assert_allclose(model.log_prob(X[0], point), expected[0], rtol=1e-5)
    np.testing.assert_array_equal(model.sample(point, 7, seed=3), model.generate(point, 7, 3))
    with pytest.raises(UserError, match="theta: the model is p"):
        model.sample(None if conditional else sims.theta[0])


def test_a_model_takes_profiles_and_channels_as_its_own_catalog_had_them(tmp_path):
    """The file of observations declares nothing; arrays may stand as in the catalog, or with their channels first."""
    theta = np.random.default_rng(0).uniform(size=(80, 1))
    poles = np.random.default_rng(1).normal(size=(80, 16, 2)) + theta[:, :, None]
    with pytest.raises(UserError, match="declare `kind=profile` with `channels=last`"):
        cosmoinfer.train_flow(theta=theta, x=poles)
    settings = {"embedding": "cnn", "flow": "maf", "ensemble": 1, "epochs": 1, "output": tmp_path / "flow.h5"}
    model = cosmoinfer.train_flow(theta=theta, x=poles, kind="profile", channels="last", **settings)
    turned = np.moveaxis(poles, 1, 2)
    drawn = model.sample(poles[:3], draws=5).samples
    np.testing.assert_array_equal(model.sample(turned[:3], draws=5).samples, drawn)
    np.testing.assert_array_equal(model.sample(poles[0], draws=5).samples, drawn[:1])
    with h5py.File(tmp_path / "observed.h5", "w") as file:
        file["data"] = poles[:3]
    np.testing.assert_array_equal(cosmoinfer.sample(model, tmp_path / "observed.h5", draws=5).samples, drawn)


def test_observations_may_be_masked_and_are_numbers():
    model = flow_of("maf", 2, 3, "probit")
    with pytest.raises(UserError, match="holds NaN or infinity in observation 0"):
        model.sample(np.ma.masked_array(X[0], np.arange(len(X[0])) == 1), draws=5)
    with pytest.raises(UserError, match="is of type <U1; expected numbers"):
        model.sample(["a"] * len(X[0]), draws=5)


def test_python_says_which_observations_a_flow_was_trained_on():
    sims, model = linear_gaussian(2), flow_of("maf", 2, 3, "probit")
    rows = model.training_record.rows(sims, "train")[:2]
    with pytest.warns(CosmoinferWarning, match="the data of 2 of these 3 observations are those of rows"):
        model.sample(np.concatenate([X[rows], X[rows[:1]] + 0.1]), draws=5)


@pytest.mark.parametrize("declaration", [{"channels": "last"}, {"channels": ["monopole", "quadrupole"]}])
def test_a_model_remembers_channels_that_an_attribute_of_its_catalog_declared_last(tmp_path, declaration):
    """For arrays, of either order, and for files that declare nothing."""
    theta = np.random.default_rng(0).uniform(size=(80, 1))
    poles = np.random.default_rng(1).normal(size=(80, 16, 2)) + theta[:, :, None]
    with h5py.File(tmp_path / "sims.h5", "w") as file:
        file["parameters"], file["data"] = theta, poles
        file["data"].attrs.update({"kind": "profile", **declaration})
    settings = {"embedding": "cnn", "flow": "maf", "ensemble": 1, "epochs": 1, "output": tmp_path / "flow.h5"}
    trained = cosmoinfer.train_flow(tmp_path / "sims.h5", **settings)
    turned = np.moveaxis(poles, 1, 2)
    with h5py.File(tmp_path / "observed.h5", "w") as file:
        file["data"] = poles[:3]
    with h5py.File(tmp_path / "turned.h5", "w") as file:
        file["data"] = turned[:3]
        file["data"].attrs["channels"] = "first"
    for model in (trained, cosmoinfer.load(tmp_path / "flow.h5")):
        drawn = model.sample(turned[:3], draws=5).samples
        np.testing.assert_array_equal(model.sample(poles[:3], draws=5).samples, drawn)
        np.testing.assert_array_equal(model.sample(poles[0], draws=5).samples, drawn[:1])
        for name in ("observed", "turned"):
            np.testing.assert_array_equal(cosmoinfer.sample(model, tmp_path / f"{name}.h5", draws=5).samples, drawn)


def test_several_observables_go_by_name():
    sims = with_maps(True)
    model = train_flow(sims, support="probit", epochs=1, ensemble=1)
    vector, maps = (observable.values for observable in sims.observables)
    expected = sampled(model, sims, [0, 1], 10)
    posterior = model.sample({"m": maps[:2, 0], "p": vector[:2]}, draws=10)  # the only channel may go without its axis
    np.testing.assert_array_equal(posterior.samples, expected.samples)
    with pytest.raises(UserError, match="takes several arrays, by name: p, m"):
        model.sample(vector[:2])
    with pytest.raises(UserError, match="expected p, m, found p"):
        model.sample({"p": vector[:2]})
    with pytest.raises(UserError, match="different numbers of rows: p 2, m 1"):
        model.sample({"p": vector[:2], "m": maps[:1]})


@pytest.mark.parametrize(
    ("x", "theta", "message"),
    [
        (X[:, :3], None, r"x: expected shape \(4,\) or \(n, 4\) for data, found \(\d+, 3\)"),
        (np.full(4, np.nan), None, "not finite|nan|NaN"),
        (X[0], np.zeros(3), r"theta: expected shape \(2,\) or \(n, 2\), found \(3,\)"),
        (X[:2], np.zeros((3, 2)), "theta: has 3 rows, and x holds 2 observations"),
    ],
)
def test_what_does_not_fit_is_refused(x, theta, message):
    model = flow_of("nsf", 2, 3, "probit")
    with pytest.raises(UserError, match=message):
        model.sample(x, draws=5) if theta is None else model.log_prob(theta, x)


def test_sets_of_rows_are_one_observation():
    sims = linear_gaussian(2)
    theta, ids = np.repeat(sims.theta[::2], 2, axis=0), np.repeat(np.arange(len(sims) // 2), 2).astype(str)
    pairs = replace(
        in_memory_catalog(theta, sims.parameters, Observable("data", "vector", X[: len(theta)])), simulation=ids
    )
    model = train_flow(pairs, support="probit", epochs=1, ensemble=1, observation="simulation")
    expected = sampled(model, pairs, [0, 2], 10)
    posterior = model.sample(X[:4].reshape(2, 2, -1), draws=10, row_numbers=[0, 2])
    np.testing.assert_array_equal(posterior.samples, expected.samples)
    np.testing.assert_array_equal(model.sample(X[:2], draws=10).samples, expected.samples[:1])


def test_a_model_saves_itself_with_its_provenance(tmp_path):
    model = replace(train_regressor(linear_gaussian(2)), provenance={"seed": 3})
    model.save(tmp_path / "own.h5")
    models.write(tmp_path / "other.h5", model, {"seed": 3})
    assert (tmp_path / "own.h5").read_bytes() == (tmp_path / "other.h5").read_bytes()
    again = models.read(tmp_path / "own.h5")
    assert again.provenance == {"seed": 3}
    with pytest.raises(UserError, match="exists already"):
        again.save(tmp_path / "own.h5")
    again.save(str(tmp_path / "own.h5"), force=True)


@pytest.mark.parametrize(
    ("use", "complaint"),
    [
        (lambda flow, density: flow.sample(X[:3], row_numbers=[1, 2]), "row_numbers: expected 3 whole numbers"),
        (lambda flow, density: density.log_prob(X[:2], np.zeros((2, 1))), r"theta: expected shape \(2,\) or \(n, 2\)"),
        (lambda flow, density: density.log_prob(X[:2], np.full((2, 2), np.nan)), "theta: holds NaN or infinity"),
        (lambda flow, density: density.sample(np.full((2, 2), 0.3)), r"theta: expected shape \(2,\), found \(2, 2\)"),
        (lambda flow, density: density.sample(), r"theta: the model is p\(x \| theta\): expected \(P,\) parameters"),
    ],
)
def test_arrays_beside_the_data_have_a_shape_too(use, complaint):
    density = train_density(linear_gaussian(2))
    with pytest.raises(UserError, match=complaint):
        use(flow_of("maf", 2, 3, "probit"), density)
