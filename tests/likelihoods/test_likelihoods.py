"""Likelihoods: what a bound model says is what the model says, in values, gradients, processes and files."""

import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from cosmoinfer import likelihoods, storage
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.errors import CosmoinferWarning, UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.likelihoods import Likelihood
from cosmoinfer.likelihoods.bound_flow import log_prior_gradient
from cosmoinfer.models import DensityModel, FlowModel
from cosmoinfer.models.density import density_recipe, fit_density
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.supports import SUPPORTS
from tests.examples import (
    TINY,
    flow_of,
    in_memory_catalog,
    linear_gaussian,
    split_of,
    train_flow,
    train_regressor,
    training_context,
)
from tests.models.test_regions import TRIANGLE, triangle
from tests.models.test_regions import flow as triangle_flow

CLOSE = {"rtol": 1e-6, "atol": 1e-4}  # the networks' digits are those of float32


def density_of(sims: Catalog, **settings: object) -> DensityModel:
    kinds = tuple(observable.kind for observable in sims.observables)
    recipe = density_recipe({**TINY, "ensemble": 2, **settings}, 1000, kinds, conditional=True)
    preprocessing = fit_preprocessing(sims, split_of(sims), ReadOptions(), recipe.transform)
    return fit_density(sims, split_of(sims), preprocessing, recipe, training_context())


@lru_cache
def vector_density(flow: str = "maf") -> DensityModel:
    return density_of(linear_gaussian(2), flow=flow)


def null_mode_catalog() -> Catalog:
    sims = linear_gaussian(2)
    x = sims.observables[0].values
    return in_memory_catalog(sims.theta, sims.parameters, Observable("data", "vector", x - x.mean(1, keepdims=True)))


def bound(model: DensityModel | FlowModel, sims: Catalog, *rows: int) -> Likelihood:
    return likelihoods.bind(model, sims, np.array(rows))


def points_of(parameters: Parameters, count: int = 20, seed: int = 0) -> np.ndarray:
    return parameters.quantile(np.random.default_rng(seed).uniform(0.02, 0.98, (count, len(parameters))))


POINTS = points_of(linear_gaussian(2).parameters)


# -------------------------------------------------------------------------------------------------- what a model says
@pytest.mark.parametrize("flow", FLOWS)
def test_a_bound_density_is_the_density_at_its_observation(flow):
    sims, model = linear_gaussian(2), vector_density(flow)
    x = np.repeat(sims.observables[0].values[3:4], len(POINTS), axis=0)
    np.testing.assert_allclose(bound(model, sims, 3)(POINTS), model.log_prob(x, POINTS), **CLOSE)


def test_a_model_that_is_bound_stays_as_it_was():
    sims, model = linear_gaussian(2), flow_of("maf", 2, 2, "soft")
    weights = {name: value.clone() for name, value in model.stacks[0].network.state_dict().items()}
    bound(model, sims, 0)
    network = model.stacks[0].network
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert all(value.requires_grad for value in network.parameters())


def test_noise_in_modes_that_never_vary_is_the_same_for_all_points():
    sims = null_mode_catalog()
    model = density_of(sims, flow="maf")
    assert model.null_mode_noise is not None
    x = sims.observables[0].values[0]
    expected = [model.log_prob(x, point) for point in POINTS]  # as row 0, whose noise it takes
    np.testing.assert_allclose(bound(model, sims, 0)(POINTS), expected, **CLOSE)


@pytest.mark.parametrize("flow", MAP_FLOWS)
def test_a_density_of_maps_is_bound_as_one_of_vectors(flow):
    random = np.random.default_rng(0)
    maps = random.standard_normal((80, 1, 8, 8)) * np.exp(0.3 * linear_gaussian(1, 80).theta)[:, :, None, None]
    sims = in_memory_catalog(
        linear_gaussian(1, 80).theta, linear_gaussian(1).parameters, Observable("data", "map", maps, periodic=True)
    )
    model = density_of(sims, flow=flow, epochs=1)
    theta = points_of(sims.parameters, 5)
    expected = [model.log_prob(maps[0], point) for point in theta]
    np.testing.assert_allclose(bound(model, sims, 0)(theta), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_bound_flow_is_the_posterior_over_the_prior(flow, support):
    sims, model = linear_gaussian(2), flow_of(flow, 2, 2, support)
    x = sims.observables[0].values[0]
    expected = model.log_prob(POINTS, x) - sims.parameters.log_prior(POINTS)
    np.testing.assert_allclose(bound(model, sims, 0)(POINTS), expected, **CLOSE)


@pytest.mark.parametrize("support", ["soft", "truncate"])
def test_a_prior_that_is_cut_to_a_region_is_divided_out_inside_it(support, tmp_path: Path):
    sims, model = triangle(), triangle_flow(support)
    x, theta = sims.observables[0].values[0], points_of(TRIANGLE, 200)
    inside = TRIANGLE.inside(theta)
    likelihood = bound(model, sims, 0)
    values, gradient = likelihood(theta), likelihood.gradient(theta)
    expected = model.log_prob(theta[inside], x) - TRIANGLE.log_prior(theta[inside])
    np.testing.assert_allclose(values[inside], expected, **CLOSE)
    assert (values[~inside] == -np.inf).all() and 20 < inside.sum() < 180
    assert np.isfinite(gradient[inside]).all() and np.isnan(gradient[~inside]).all()
    likelihoods.write(tmp_path / "l.h5", likelihood)
    np.testing.assert_array_equal(likelihoods.read(tmp_path / "l.h5")(theta), values)


@pytest.mark.parametrize("embedding", ["mlp", "none"])
def test_a_summary_network_or_an_embedding_is_in_the_context(embedding):
    sims = linear_gaussian(2)
    summary = train_regressor(sims, network="mlp", epochs=1) if embedding == "none" else None
    model = train_flow(sims, flow="maf", support="soft", summary=summary, epochs=1)
    expected = model.log_prob(POINTS, sims.observables[0].values[0]) - sims.parameters.log_prior(POINTS)
    np.testing.assert_allclose(bound(model, sims, 0)(POINTS), expected, **CLOSE)


def test_stacks_of_several_supports_are_one_mixture():
    sims, first, second = linear_gaussian(2), flow_of("maf", 2, 2, "soft"), flow_of("nsf", 2, 2, "truncate")
    model = replace(first, stacks=first.stacks + second.stacks, weights=np.array([0.1, 0.2, 0.3, 0.4]))
    expected = model.log_prob(POINTS, sims.observables[0].values[0]) - sims.parameters.log_prior(POINTS)
    np.testing.assert_allclose(bound(model, sims, 0)(POINTS), expected, **CLOSE)


def test_the_temperature_is_that_of_the_flow():
    sims = linear_gaussian(2)
    model = replace(flow_of("maf", 2, 2, "soft"), temperature=1.3)
    expected = model.log_prob(POINTS, sims.observables[0].values[0]) - sims.parameters.log_prior(POINTS)
    np.testing.assert_allclose(bound(model, sims, 0)(POINTS), expected, **CLOSE)


@pytest.mark.parametrize("model", [vector_density, lambda: flow_of("nsf", 2, 2, "truncate")])
def test_several_observations_add_up(model: Callable[[], DensityModel | FlowModel], monkeypatch):
    sims, rows = linear_gaussian(2), (0, 4, 7)
    total = sum(bound(model(), sims, row)(POINTS) for row in rows)
    joint = bound(model(), sims, *rows)
    np.testing.assert_allclose(joint(POINTS), total, **CLOSE)
    monkeypatch.setattr("cosmoinfer.likelihoods.bound_flow.POINTS_PER_CALL", 6)  # 2 points at once
    monkeypatch.setattr("cosmoinfer.likelihoods.bound_density.MAX_NUMBERS", 24)
    assert joint.bound.points_per_call == 2
    np.testing.assert_allclose(joint(POINTS), total, **CLOSE)


# ---------------------------------------------------------------------------------------------------------- gradients
def test_gradients_are_those_of_finite_differences():
    sims = linear_gaussian(2)
    for model in (vector_density("nsf"), *(flow_of("maf", 2, 2, support) for support in SUPPORTS)):
        likelihood = bound(model, sims, 0, 1)
        exact = replace(likelihood, bound=likelihood.bound.in_double())
        widths = 1e-6 * (sims.parameters.high - sims.parameters.low)
        expected = np.stack(
            [(exact(POINTS + step) - exact(POINTS - step)) / (2 * step.max()) for step in np.diag(widths)],
            axis=1,
        )
        np.testing.assert_allclose(exact.gradient(POINTS), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(likelihood.gradient(POINTS), expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("correlation", [None, np.array([[1, 0.6, 0, 0], [0.6, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])])
def test_the_gradient_of_every_prior(correlation):
    parameters = Parameters.from_names(
        ("a", "b", "c", "d"),
        low=[-np.inf, 0.0, 1e-9, -1],
        high=[0.5, np.inf, 1e-3, 1],
        prior=["normal", "log-normal", "log-uniform", "uniform"],
        mean=[0.2, 0.3, 0, 0],
        std=[0.5, 0.4, 1, 1],
        correlation=correlation,
        where=("a < b",),
    )
    theta = np.array([[0.2, 1.1, 1e-6, 0.0], [-0.8, 0.6, 2e-4, -0.9], [0.5, 0.7, 1e-9, 1.0]])
    steps = np.diag([1e-5, 1e-5, 1e-14, 1e-5])
    inner = np.where(theta == [0.5, 0, 1e-9, 1], theta + np.array([-1e-4, 0, 1e-13, -1e-4]), theta)
    expected = np.stack(
        [
            (parameters.log_prior(inner + step) - parameters.log_prior(inner - step)) / (2 * step.max())
            for step in steps
        ],
        axis=1,
    )
    np.testing.assert_allclose(log_prior_gradient(parameters, theta), expected, rtol=1e-3, atol=1e-3)


# ------------------------------------------------------------------------------------------------- what samplers need
def test_points_outside_the_box_and_nan_are_minus_infinity():
    likelihood = bound(vector_density(), linear_gaussian(2), 0)
    theta = np.array([[0.3, 1.0], [0.6, 1.0], [0.3, 5.0], [np.nan, 1.0], [np.inf, 1.0], [0.3, np.nan]])
    with pytest.warns(CosmoinferWarning, match="NaN") as caught:
        values = likelihood(theta)
    assert len(caught) == 1 and np.isfinite(values[0]) and (values[1:] == -np.inf).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradient = likelihood.gradient(theta)
    assert np.isfinite(gradient[0]).all() and np.isnan(gradient[1:]).all()


def test_one_point_is_a_row_of_many_and_nothing_is_of_torch():
    likelihood = bound(flow_of("maf", 2, 2, "soft"), linear_gaussian(2), 0)
    values, gradient = likelihood(POINTS), likelihood.gradient(POINTS)
    assert values.dtype == gradient.dtype == np.float64 and type(values) is type(gradient) is np.ndarray
    value = likelihood(POINTS[2].tolist())
    assert isinstance(value, np.float64) and likelihood.gradient(POINTS[2]).shape == (2,)
    np.testing.assert_allclose(value, values[2], **CLOSE)
    assert likelihood(np.empty((0, 2))).shape == (0,)
    for wrong in ([0.3], [[0.3]], 0.3, np.zeros((1, 1, 2)), "a", [[0.3, 1.0], [0.3]]):
        with pytest.raises(UserError, match="theta: expected"):
            likelihood(wrong)


def test_names_bounds_and_prior():
    sims = linear_gaussian(2)
    likelihood = bound(vector_density(), sims, 0)
    assert likelihood.names == likelihood.labels == ("a", "b") and likelihood.kind == "density"
    np.testing.assert_array_equal(likelihood.bounds, [[0.1, 0.5], [0.25, 4]])
    u = np.array([[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(likelihood.prior_transform(u), [[0.3, 1.0], [0.1, 4.0]])
    np.testing.assert_array_equal(likelihood.prior_transform(u[0]), likelihood.prior_transform(u)[0])
    np.testing.assert_array_equal(likelihood.log_prior(POINTS), sims.parameters.log_prior(POINTS))
    assert bound(flow_of("maf", 2, 2, "soft"), sims, 0).kind == "flow over prior"
    assert "holds no prior" in repr(likelihood)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda parameters: parameters.with_prior(["uniform", "unknown"]), "prior of b is unknown"),
        (lambda parameters: parameters.with_where(["a < b"]), "no product.*a < b"),
    ],
)
def test_a_prior_that_is_no_product_has_no_transform(change, complaint):
    sims, model = linear_gaussian(2), vector_density()
    parameters = change(sims.parameters)
    model = replace(
        model,
        preprocessing=replace(model.preprocessing, parameters=parameters),
        condition=replace(model.condition, parameters=parameters),
    )
    likelihood = bound(model, sims, 0)
    assert np.isfinite(likelihood.test_values).all()
    with pytest.raises(UserError, match=complaint):
        likelihood.prior_transform([0.5, 0.5])


def test_threads_of_the_process_are_as_before():
    likelihood, before = bound(vector_density(), linear_gaussian(2), 0), torch.get_num_threads()
    inside = []
    torch.set_num_threads(before + 1)
    try:
        observed = replace(likelihood, bound=ThreadCounter(likelihood.bound, inside))
        observed(POINTS)
        assert torch.get_num_threads() == before + 1 and set(inside) == {1}
    finally:
        torch.set_num_threads(before)


class ThreadCounter:
    """A bound density that notes how many threads there are when it is called."""

    def __init__(self, inner, counts):
        self.inner, self.counts = inner, counts

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def log_likelihood(self, theta):
        self.counts.append(torch.get_num_threads())
        return self.inner.log_likelihood(theta)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_processes_say_the_same():
    likelihood = bound(flow_of("nsf", 2, 2, "soft"), linear_gaussian(2), 0)
    expected = likelihood(POINTS), likelihood.gradient(POINTS)
    torch.set_num_threads(2)
    try:
        (torch.randn(600, 600) @ torch.randn(600, 600)).sum()  # a pool of threads, which no child inherits
        with multiprocessing.get_context("fork").Pool(2) as pool:
            values = pool.map_async(likelihood, [POINTS, POINTS]).get(timeout=60)
            gradients = pool.map_async(likelihood.gradient, [POINTS, POINTS]).get(timeout=60)
    finally:
        torch.set_num_threads(1)
    for value, gradient in zip(values, gradients, strict=True):
        np.testing.assert_array_equal(value, expected[0])
        np.testing.assert_array_equal(gradient, expected[1])


# ----------------------------------------------------------------------------------------------------------- the file
@pytest.mark.parametrize("model", [vector_density, lambda: flow_of("nsf", 2, 2, "truncate")])
def test_a_file_gives_the_same_likelihood(model, tmp_path: Path):
    likelihood = replace(bound(model(), linear_gaussian(2), 2, 5), provenance={"command": "likelihood"})
    likelihoods.write(tmp_path / "l.h5", likelihood)
    loaded = likelihoods.read(tmp_path / "l.h5")
    np.testing.assert_array_equal(loaded(POINTS), likelihood(POINTS))
    np.testing.assert_array_equal(loaded.gradient(POINTS), likelihood.gradient(POINTS))
    assert loaded.observed.index.tolist() == [2, 5] and loaded.provenance == likelihood.provenance
    np.testing.assert_array_equal(loaded.observed.data["data"], linear_gaussian(2).observables[0].values[[2, 5]])
    likelihoods.write(tmp_path / "again.h5", loaded)
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "l.h5").read_bytes()


def test_a_file_with_other_numbers_is_refused(tmp_path: Path):
    path = tmp_path / "l.h5"
    likelihoods.write(path, bound(vector_density(), linear_gaussian(2), 2))
    contents = storage.read(path, likelihoods.SCHEMA)
    changes = {"test_values": 1e-4, "mixture_weights": 1e-3, "stacks/0/weights/transform._transforms.0.weight": 0.01}
    for name, change in changes.items():
        name = name if name in contents.arrays else next(key for key in contents.arrays if "/weights/" in key)
        changed = contents.arrays[name] * np.array(1 + change, contents.arrays[name].dtype)
        storage.write(path, replace(contents, arrays=contents.arrays | {name: changed}), force=True)
        with pytest.raises(UserError, match=r"l\.h5: its self-test fails") as caught:
            likelihoods.read(path)
        assert len(str(caught.value).splitlines()) == 1
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError):
        likelihoods.read(path)


# -------------------------------------------------------------------------------------------- models without likelihood
def test_models_that_have_no_likelihood_are_refused():
    sims = linear_gaussian(2)
    unknown = replace(
        flow_of("maf", 2, 2, "soft"),
        preprocessing=replace(
            flow_of("maf", 2, 2, "soft").preprocessing, parameters=sims.parameters.with_prior(["uniform", "unknown"])
        ),
    )
    for model, complaint in ((unknown, "unknown for b"), (replace(vector_density(), condition=None), r"p\(x\)")):
        with pytest.raises(UserError, match=complaint):
            bound(model, sims, 0)
