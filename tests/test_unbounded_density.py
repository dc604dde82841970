"""Discrete parameters and functions of others are recognised; independent parameters are not."""

import numpy as np
import pytest

from cosmoinfer.unbounded_density import reasons_without_bound

NAMES = ("Omega_m", "h", "sigma_8")


def theta(count: int = 400, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([0.1, 0.6, 0.6], [0.5, 0.8, 1.0], (count, 3))


DERIVED = {
    "Omega_m h^2": (lambda t: t[:, 0] * t[:, 1] ** 2, "a power-law function of Omega_m, h"),
    "S_8": (lambda t: t[:, 2] * np.sqrt(t[:, 0] / 0.3), "a power-law function of Omega_m, sigma_8"),
    "in single precision": (lambda t: (t[:, 0] * t[:, 1]).astype("f4"), "a power-law function of Omega_m, h"),
    "sum": (lambda t: t[:, 0] + t[:, 2], "an exact linear function of Omega_m, sigma_8"),
    "polynomial": (lambda t: (t[:, 0] - 0.3) * (t[:, 2] - 0.8) + t[:, 1], "a smooth function of Omega_m, h, sigma_8"),
    "logarithm": (lambda t: np.log(t[:, 1]), "a monotone function of h"),
    "rounded": (lambda t: (t[:, 2] * np.sqrt(t[:, 0] / 0.3)).round(3), "a power-law function of Omega_m, sigma_8"),
    "falling": (lambda t: np.exp(-5 * t[:, 1]), "a monotone function of h"),
}


@pytest.mark.parametrize("name", DERIVED)
def test_a_function_of_other_parameters_is_recognised(name):
    function, words = DERIVED[name]
    values = theta()
    reasons = reasons_without_bound((*NAMES, "last"), np.column_stack([values, function(values)]))
    assert reasons == {"last": f"last is {words}"}


def test_the_smooth_relation_of_the_amplitude_of_fluctuations_is_recognised():
    """A transfer function: neither a power law nor a polynomial, but smooth over the box."""
    values = theta(1000)
    amplitude = values[:, 2] / np.log(1 + 2.34 * 4 * values[:, 0] * values[:, 1]) * (values[:, 0] ** 0.55 + 0.1)
    assert reasons_without_bound((*NAMES, "A"), np.column_stack([values, amplitude])).keys() == {"A"}


@pytest.mark.parametrize("count", [2, 4, 10, 16, 41])
def test_a_discrete_parameter_is_recognised(count):
    values = theta(300)
    values[:, 1] = np.random.default_rng(1).permutation(np.arange(300) % count)
    assert reasons_without_bound(NAMES, values) == {"h": f"h takes {count} values only"}


def test_a_value_that_many_simulations_share_is_recognised():
    """Massless neutrinos in a third of the simulations, or a fiducial model among the others."""
    values = theta(300)
    values[:100, 1] = 0
    assert reasons_without_bound(NAMES, values) == {"h": "h is 0 in 100 of 300 simulations"}
    assert reasons_without_bound(NAMES, np.concatenate([values[100:], values[:9]])) == {}


@pytest.mark.parametrize("count", [20, 100, 1000])
@pytest.mark.parametrize("size", [1, 3, 10])
def test_independent_parameters_are_left_alone(count, size):
    for seed in range(5):
        values = np.random.default_rng([seed, count, size]).random((count, size))
        assert reasons_without_bound([f"p{column}" for column in range(size)], values) == {}


def test_a_narrow_degeneracy_and_a_rounded_table_are_left_alone():
    values = theta(1000)
    narrow = values[:, 0] * values[:, 1] ** 2 * (1 + 1e-3 * np.random.default_rng(0).standard_normal(1000))
    assert reasons_without_bound((*NAMES, "omega_m"), np.column_stack([values, narrow])) == {}
    assert reasons_without_bound(NAMES, values.round(3)) == {}
    assert reasons_without_bound(NAMES, values.round(2)).keys() == {*NAMES}  # some 20 to 40 spikes, which a flow learns


@pytest.mark.parametrize("extreme", [1e300, 1.7e308, 5e-324])
@pytest.mark.parametrize("column", [0, 2])
@pytest.mark.filterwarnings("error")
def test_numbers_that_cannot_be_squared_are_no_function(extreme, column):
    values = theta()
    values[:3, column] = extreme
    assert reasons_without_bound(NAMES, values) == {}


@pytest.mark.filterwarnings("error")
def test_numbers_whose_scatter_is_no_number_are_no_function():
    assert reasons_without_bound(NAMES, theta() * 1e-300) == {}
