"""Supports: bijections between the prior box and the real line, and their log-determinants."""

import numpy as np
import pytest
from scipy import stats

from cosmoinfer.parameters import Parameters
from cosmoinfer.supports import SUPPORTS, Support, fit_support

RNG = np.random.default_rng(0)


PRIORS = {
    "uniform": Parameters.from_names(["Omega_m"], [0.1], [0.5]),
    "log-uniform": Parameters.from_names(["A"], [0.25], [4.0], ["log-uniform"]),
    "normal": Parameters.from_names(["n_s"], prior=["normal"], mean=[0.96], std=[0.04]),
    "normal in a box": Parameters.from_names(["H_0"], [60.0], [75.0], ["normal"], [67.0], [5.0]),
    "normal above": Parameters.from_names(["b"], [0.0], [np.inf], ["normal"], [-1.0], [2.0]),
    "unbounded": Parameters.from_names(["a"]),
    "unknown above": Parameters.from_names(["A_s"], [0.0], [np.inf]),
    "unknown below": Parameters.from_names(["w"], [-np.inf], [-0.3]),
    "unknown in a box": Parameters.from_names(["f"], [-1.0], [3.0], ["unknown"]),
}


TOGETHER = Parameters.from_names(
    ["a", "b", "c", "d"],
    [0.1, 0.25, -np.inf, 0.0],
    [0.5, 4.0, np.inf, np.inf],
    ["uniform", "log-uniform", "normal", "unknown"],
    [0, 0, 3, 0],
    [1, 1, 2, 1],
)


every_support = pytest.mark.parametrize("name", SUPPORTS)


every_prior = pytest.mark.parametrize("prior", PRIORS)


def rows(prior, count=400):
    """Training rows of one parameter, (N, 1)."""
    rng = np.random.default_rng(1)
    if prior == "unknown above":
        return 1e-9 * np.exp(0.3 * rng.normal(size=(count, 1)))  # as small as A_s
    if prior == "unknown below":
        return -0.3 - np.exp(0.3 * rng.normal(size=(count, 1)))
    if prior == "unbounded":
        return rng.normal(5.0, 2.0, size=(count, 1))
    if prior == "unknown in a box":
        return rng.triangular(-1.0, 2.0, 3.0, size=(count, 1))
    return PRIORS[prior].quantile(rng.uniform(size=(count, 1)))


@every_support
@every_prior
def test_a_support_goes_forth_and_back(name, prior):
    theta = rows(prior)
    support = fit_support(name, PRIORS[prior], theta)
    z, log_slope = support.forward(theta)
    assert (z.shape, log_slope.shape) == ((400, 1), (400,))
    assert abs(z).max() < 10
    np.testing.assert_allclose(support.inverse(z), theta, rtol=1e-8)


@every_support
@every_prior
def test_the_log_determinant_is_the_slope(name, prior):
    theta = rows(prior)
    support = fit_support(name, PRIORS[prior], theta)
    parameters = PRIORS[prior]
    room = np.minimum(np.abs(theta - parameters.low), np.abs(parameters.high - theta))
    step = 1e-5 * np.minimum(room, np.abs(theta))
    slope = (support.forward(theta + step)[0] - support.forward(theta - step)[0]) / (2 * step)
    assert (slope > 0).all()
    np.testing.assert_allclose(support.forward(theta)[1], np.log(slope)[:, 0], atol=2e-5)


@every_support
def test_the_log_determinant_of_many_is_the_sum(name):
    theta = np.stack(
        [RNG.uniform(0.1, 0.5, 50), RNG.uniform(0.25, 4, 50), RNG.normal(3, 2, 50), RNG.exponential(1, 50)]
    )
    support = fit_support(name, TOGETHER, theta.T)
    z, log_slope = support.forward(theta.T.reshape(5, 10, 4))
    columns = [
        Support(name, TOGETHER.select([parameter]), support.shift[[column]], support.scale[[column]]).forward(
            theta[column, :, None]
        )
        for column, parameter in enumerate(TOGETHER.names)
    ]
    np.testing.assert_allclose(z.reshape(50, 4), np.concatenate([parameter for parameter, _ in columns], axis=1))
    np.testing.assert_allclose(log_slope.ravel(), sum(slope for _, slope in columns))


@pytest.mark.parametrize("name", ["probit", "soft"])
@every_prior
def test_no_draw_leaves_the_box(name, prior):
    parameters = PRIORS[prior]
    support = fit_support(name, parameters, rows(prior))
    z = np.concatenate([10 * RNG.normal(size=10_000), [-300.0, -40.0, 0.0, 40.0, 300.0]])[:, None]
    theta = support.inverse(z)
    assert ((theta >= parameters.low) & (theta <= parameters.high)).all()
    assert np.isfinite(theta).all()
    assert support.maps_inside


def test_truncate_is_exact_only_without_a_box():
    assert not fit_support("truncate", PRIORS["uniform"], rows("uniform")).maps_inside
    assert not fit_support("truncate", PRIORS["unknown above"], rows("unknown above")).maps_inside
    assert fit_support("truncate", PRIORS["normal"], rows("normal")).maps_inside


@every_support
@pytest.mark.parametrize("prior", ["uniform", "log-uniform", "normal in a box", "unknown in a box"])
def test_a_parameter_on_its_edge_stays_finite(name, prior):
    parameters = PRIORS[prior]
    support = fit_support(name, parameters, rows(prior))
    z, log_slope = support.forward(np.stack([parameters.low, parameters.high]))
    assert np.isfinite(z).all()
    assert np.isfinite(log_slope).all()
    assert abs(z).max() < 10
    np.testing.assert_allclose(support.inverse(z)[:, 0], [parameters.low[0], parameters.high[0]], rtol=1e-5)


@pytest.mark.parametrize("prior", ["uniform", "log-uniform", "normal in a box"])
def test_the_probit_of_a_prior_is_standard_normal(prior):
    support = fit_support("probit", PRIORS[prior], rows(prior))
    assert (support.shift, support.scale) == (0, 1)
    theta = rows(prior, 20_000)
    z, log_slope = support.forward(theta)
    assert stats.kstest(z[:, 0], "norm").pvalue > 1e-3
    np.testing.assert_allclose(
        stats.norm.logpdf(z[:, 0]) + log_slope, PRIORS[prior].log_product(theta)[:, 0], atol=1e-9
    )


def test_where_nothing_is_bounded_there_is_no_support_to_speak_of():
    theta = np.random.default_rng(0).normal(size=(50, 2))
    bounded, unbounded = Parameters.from_names(("a", "b"), [-9, -np.inf]), Parameters.from_names(("a", "b"))
    assert [fit_support("soft", parameters, theta).label for parameters in (bounded, unbounded)] == ["soft", "none"]


def test_rows_that_do_not_fill_the_box_are_standardised():
    theta = RNG.normal(0.3, 0.01, size=(400, 1))
    z, _ = fit_support("probit", PRIORS["uniform"], theta).forward(theta)
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


@pytest.mark.parametrize("name", ["soft", "truncate"])
@every_prior
def test_other_supports_are_standardised(name, prior):
    theta = rows(prior)
    z, _ = fit_support(name, PRIORS[prior], theta).forward(theta)
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


def test_truncate_is_linear_and_logarithmic_in_a_log_uniform_parameter():
    theta = rows("uniform")
    z, _ = fit_support("truncate", PRIORS["uniform"], theta).forward(theta)
    np.testing.assert_allclose(z, (theta - theta.mean()) / theta.std())
    theta = np.log(rows("log-uniform"))
    z, _ = fit_support("truncate", PRIORS["log-uniform"], np.exp(theta)).forward(np.exp(theta))
    np.testing.assert_allclose(z, (theta - theta.mean()) / theta.std(), atol=1e-9)


def test_soft_is_linear_in_the_core_continuous_and_once_differentiable():
    support = Support("soft", Parameters.from_names(["u"], [0.0], [1.0]), np.zeros(1), np.ones(1))
    core = np.linspace(0.1, 0.9, 50)[:, None]
    z, log_slope = support.forward(core)
    np.testing.assert_allclose(z, np.sqrt(12) * (core - 0.5), atol=1e-12)
    np.testing.assert_allclose(log_slope, np.log(np.sqrt(12)))
    for edge in (0.1, 0.9):
        (below, above), (slope_below, slope_above) = support.forward(np.array([[edge - 1e-9], [edge + 1e-9]]))
        assert above - below == pytest.approx(np.sqrt(12) * 2e-9, rel=1e-4)
        assert slope_above == pytest.approx(slope_below, abs=1e-6)
    z, log_slope = support.forward(np.array([[1e-3], [1 - 1e-3]]))
    assert z[0] == pytest.approx(-z[1])
    assert log_slope[0] == pytest.approx(log_slope[1])
    assert log_slope[0] > np.log(np.sqrt(12)) + 1  # bent outwards, towards infinity


@pytest.mark.parametrize("prior", ["uniform", "log-uniform"])
@every_support
def test_a_density_learned_on_the_line_integrates_to_one_in_the_box(name, prior):
    parameters = PRIORS[prior]
    support = fit_support(name, parameters, rows(prior))
    theta = parameters.quantile(np.linspace(0, 1, 400_001)[1:-1, None])
    z, log_slope = support.forward(theta)
    density = np.exp(stats.norm.logpdf(z[:, 0], 0.5, 0.3) + log_slope)  # narrow: little beyond the box for truncate
    inside = (
        1.0 if support.maps_inside else np.diff(stats.norm.cdf(support.forward(theta[[0, -1]])[0][:, 0], 0.5, 0.3))[0]
    )
    assert np.trapezoid(density, theta[:, 0]) == pytest.approx(inside, abs=1e-3)
