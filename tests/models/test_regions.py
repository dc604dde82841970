"""Models whose prior is cut to a region: densities that are one over it, and draws that never leave it."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from cosmoinfer import models
from cosmoinfer.catalog import Catalog, Observable
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import evaluate
from cosmoinfer.models.flow import product_posterior
from cosmoinfer.parameters import Parameters
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.sampling.product import SinglePosterior, multiply
from cosmoinfer.supports import SUPPORTS
from tests.examples import cells, in_memory_catalog, sampled, train_flow, train_regressor
from tests.posteriors import make

WHERE = "a+b<0"
NOISE = 1.5
TRIANGLE = Parameters.from_names(("a", "b"), [-3, -3], [1, 2], where=[WHERE])
LINEAR = Parameters.from_names(
    ("a", "b"), prior=["normal"] * 2, mean=[-1, 0], std=[0.5, 0.5], correlation=[[1, -0.6], [-0.6, 1]]
)


@lru_cache
def triangle(rows: int = 400, seed: int = 0, noise: float = NOISE) -> Catalog:
    """theta in a triangle, x = theta + n."""
    theta = TRIANGLE.quantile(TRIANGLE.joint_prior.draw_units(rows, np.random.default_rng(seed)))
    x = theta + noise * np.random.default_rng(seed + 1).standard_normal(theta.shape)
    return in_memory_catalog(theta, TRIANGLE, Observable("data", "vector", x), name=f"triangle_{seed}.h5")


@lru_cache
def flow(support: str, members: int = 1):
    return train_flow(triangle(), flow="maf", ensemble=members, support=support, epochs=15)


def grid(steps: int = 500) -> tuple[np.ndarray, float]:
    """Midpoints of the box, (steps^2, 2), and the area of a cell."""
    axes = [low + (np.arange(steps) + 0.5) * (high - low) / steps for low, high in ((-3, 1), (-3, 2))]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2), 20 / steps**2


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("support", SUPPORTS)
def test_the_density_over_the_region_is_one_and_draws_never_leave_it(support, members):
    model, sims = flow(support, members), triangle()
    posterior = sampled(model, sims, [0, 5], 3000)
    assert not model.stacks[0].support.maps_inside and (posterior.draws.log_norm_error < 0.02).all()
    assert (posterior.samples.sum(axis=-1) < 0).all() and TRIANGLE.accepts(posterior.samples).all()
    theta, area = grid()
    log_prob = model.log_prob(theta, sims.observables[0].values[0])
    assert (np.isneginf(log_prob) == (theta.sum(axis=1) >= 0)).all()
    mass = np.exp(log_prob) * area
    assert mass.sum() == pytest.approx(1, abs=0.04)
    for column in range(2):
        np.testing.assert_allclose(posterior.samples[0, :, column].mean(), mass @ theta[:, column], atol=0.08)
    np.testing.assert_allclose(
        model.log_prob(posterior.samples[0, :20], sims.observables[0].values[0]), posterior.log_prob[0, :20], atol=0.04
    )
    assert np.isfinite(posterior.log_prob_truth).all()


@pytest.mark.parametrize("loss", ["moment", "gaussian-nll"])
def test_a_regressor_stays_in_the_region(loss):
    model, sims = train_regressor(triangle(), loss=loss, ensemble=2), triangle()
    posterior = sampled(model, sims, [0, 5], 3000)
    assert TRIANGLE.accepts(posterior.samples).all() and (posterior.draws.log_norm_error < 0.02).all()
    theta, area = grid(300)
    mass = np.exp(model.log_prob(theta, sims.observables[0].values[0])) * area
    assert mass.sum() == pytest.approx(1, abs=0.04)
    np.testing.assert_allclose(posterior.samples[0].mean(axis=0), mass @ theta, atol=0.08)
    assert model.recalibration is not None and np.isfinite(model.recalibration.after)


def test_the_density_stays_one_at_any_temperature():
    model, sims = replace(flow("soft", 2), temperature=1.5), triangle()
    theta, volumes, _ = cells(model.stacks[0].support, 400)
    mass = np.exp(model.log_prob(theta, sims.observables[0].values[3])) * volumes
    assert mass.sum() == pytest.approx(1, abs=0.03)
    row, generator = np.array([3]), np.random.default_rng(0)
    contexts = model.embed(sims, row)
    log_mass = np.mean([model.mixture.log_box_mass_at_temperature(contexts, generator)(1.5) for _ in range(60)])
    assert log_mass == pytest.approx(np.log(model.mixture.box_mass(contexts, 20_000, generator)), abs=0.03)


def test_a_model_file_keeps_the_region(tmp_path):
    model = flow("probit")
    models.write(tmp_path / "flow.h5", model, {})
    again = models.read(tmp_path / "flow.h5")
    assert again.preprocessing.parameters.where == (WHERE,)
    assert not again.mixture.maps_inside


def exact_posterior(count: int = 3000, draws: int = 1000):
    """Of x = theta + n, truths from the triangle: normals cut to it, by rejection, normalised on a grid."""
    random = np.random.default_rng(3)
    sims = triangle(count, 7)
    x = sims.observables[0].values
    theta, area = grid(120)
    theta = theta[theta.sum(axis=1) < 0]
    samples, log_prob_truth = np.empty((count, draws, 2)), np.empty(count)
    for row in range(count):
        log_like = stats.norm(x[row], NOISE).logpdf(theta).sum(axis=1)
        weights = np.exp(log_like)
        log_norm = np.log(weights.sum() * area)
        samples[row] = theta[random.choice(len(theta), draws, p=weights / weights.sum())]
        log_prob_truth[row] = stats.norm(x[row], NOISE).logpdf(sims.theta[row]).sum() - log_norm
    rows = np.arange(count)
    return make(TRIANGLE, rows, rows.astype(str), np.full(count, 2), sims.theta, log_prob_truth, samples=samples)


def test_the_gain_of_an_exact_posterior_is_that_over_the_region():
    """A box that is larger by ln(20 / 15.5) claims as many nats more; and its width is not that of the prior."""
    posterior = exact_posterior(400, 100)
    cut, boxed = evaluate(posterior), evaluate(replace(posterior, parameters=TRIANGLE.untied))
    gain, claimed = (evaluation.joint["log_prob_gain"].value for evaluation in (cut, boxed))
    assert claimed - gain == pytest.approx(np.log(20 / 15.5), abs=1e-3)
    left = posterior.std[:, 0] ** 2 / TRIANGLE.prior_std()[0] ** 2
    assert cut.parameters["contraction"]["a"].value == pytest.approx(1 - left.mean(), abs=1e-6)
    assert cut.joint["tarp_p"].value > 1e-3


# ---------------------------------------------------------------------------------------------------------- products
def test_a_product_over_a_region_is_that_of_its_normals():
    """Looks at theta from a triangle: the product of the cut posteriors is the cut product."""
    looks = np.array([[-0.2, 0.1], [0.3, -0.1], [0.1, 0.4]])
    theta, area = grid(400)
    inside = theta.sum(axis=1) < 0
    singles = []
    for number, x in enumerate(looks):
        log_like = stats.norm(x, 0.7).logpdf(theta).sum(axis=1)
        weights = np.where(inside, np.exp(log_like), 0)
        log_norm = np.log(weights.sum() * area)
        chosen = np.random.default_rng(number).choice(len(theta), 1000, p=weights / weights.sum())

        def log_prob(points, x=x, log_norm=log_norm):
            log_like = stats.norm(x, 0.7).logpdf(points).sum(axis=1)
            return np.where(TRIANGLE.inside(points), log_like - log_norm, -np.inf)

        singles.append(SinglePosterior(theta[chosen], log_prob))
    points = np.array([[-0.5, 0.2], [0.3, 0.3]])
    product = multiply(singles, TRIANGLE, 3000, np.random.default_rng(0), points)
    log_exact = sum(stats.norm(x, 0.7).logpdf(theta).sum(axis=1) for x in looks)
    weights = np.where(inside, np.exp(log_exact), 0)
    log_norm = np.log(weights.sum() * area)
    weights /= weights.sum()
    assert TRIANGLE.accepts(product.samples).all() and product.ess > 1000
    np.testing.assert_allclose(product.mean, weights @ theta, atol=0.03)
    at_first = sum(stats.norm(x, 0.7).logpdf(points[0]).sum() for x in looks) - log_norm
    assert product.log_prob_at[0] == pytest.approx(at_first, abs=0.05 + 5 * product.log_norm_error)
    assert product.log_prob_at[1] == -np.inf


def test_a_product_of_normals_with_a_correlated_prior_is_normal():
    prior = np.array([-1, 0]), np.array([[0.25, -0.15], [-0.15, 0.25]])
    looks, noise = np.array([[-0.8, 0.1], [-1.1, 0.3], [-0.9, -0.2]]), 0.5

    def exact(x: np.ndarray) -> stats._multivariate.multivariate_normal_frozen:
        covariance = np.linalg.inv(np.linalg.inv(prior[1]) + len(x) * np.eye(2) / noise**2)
        return stats.multivariate_normal(
            covariance @ (np.linalg.solve(*prior[::-1]) + x.sum(axis=0) / noise**2), covariance
        )

    singles = [
        SinglePosterior(exact(x[None]).rvs(1000, random_state=n), lambda theta, x=x: exact(x[None]).logpdf(theta))
        for n, x in enumerate(looks)
    ]
    product = multiply(singles, LINEAR, 3000, np.random.default_rng(0), np.array([[-0.9, 0.1]]))
    expected = exact(looks)
    np.testing.assert_allclose(product.mean, expected.mean, atol=0.03)
    np.testing.assert_allclose(
        product.log_prob, expected.logpdf(product.samples), atol=0.02 + 5 * product.log_norm_error
    )
    assert product.log_prob_at[0] == pytest.approx(expected.logpdf([-0.9, 0.1]), abs=0.02 + 5 * product.log_norm_error)


def test_a_flow_multiplies_its_posteriors_inside_the_region():
    model, sims = flow("probit", 2), triangle()
    pairs = replace(
        sims, simulation=(np.arange(len(sims)) // 2).astype(str), theta=np.repeat(sims.theta[::2], 2, axis=0)
    )
    posterior = product_posterior(model, pairs, np.arange(4), SamplingOptions(500))
    assert TRIANGLE.accepts(posterior.samples).all() and np.isfinite(posterior.log_prob).all()


# ---------------------------------------------------------------------------------------------------------- failures
def test_an_observation_whose_posterior_lies_outside_the_region_is_named():
    region = Parameters.from_names(("a", "b"), [-3, -3], [1, 2], where=["a+b<-4.99"])
    model = flow("probit")
    (stack,) = model.stacks
    cut = replace(stack, support=replace(stack.support, parameters=region))
    narrow = replace(model, stacks=(cut,), preprocessing=replace(model.preprocessing, parameters=region))
    far = in_memory_catalog(None, None, Observable("data", "vector", np.array([[1.0, 2.0]])))
    with pytest.raises(UserError, match="fell inside the prior's box and region"):
        sampled(narrow, far, [0], 100_000)
