"""A prior of a newcomer: a class and one name in the table, and everything that asks for a prior knows it."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import integrate, stats

from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters, declared_priors, with_bounds
from cosmoinfer.priors import PRIORS, Prior
from cosmoinfer.reweighting import PriorChange
from cosmoinfer.supports import SUPPORTS, fit_support


class Squared(Prior):
    """Uniform in value^2, as a width that is uniform over a disc."""

    name = "squared"
    bounds_suffix = "squared"

    def problem(self) -> str:
        return super().problem() or ("" if self.low >= 0 else f"a squared prior needs low >= 0, found {self.low:g}")

    def _log_density(self, value: np.ndarray) -> np.ndarray:
        return np.log(2 * value / (self.high**2 - self.low**2))

    def _cdf(self, value: np.ndarray) -> np.ndarray:
        return (value**2 - self.low**2) / (self.high**2 - self.low**2)

    def _quantile(self, u: np.ndarray) -> np.ndarray:
        return np.sqrt(self.low**2 + u * (self.high**2 - self.low**2))


@pytest.fixture
def parameters() -> Iterator[Parameters]:
    PRIORS[Squared.name] = Squared
    yield Parameters.from_names(["r", "a"], [1.0, 0.0], [3.0, 1.0], ["squared", "uniform"])
    del PRIORS[Squared.name]


def test_its_density_integrates_to_one_and_is_zero_outside_the_box(parameters: Parameters) -> None:
    total, _ = integrate.quad(lambda r: np.exp(parameters.log_product(np.array([r, 0.5]))[0]), 1, 3)
    assert total == pytest.approx(1)
    assert parameters.log_product(np.array([[3.1, 0.5]]))[0, 0] == -np.inf
    assert parameters.prior_mean()[0] == pytest.approx(2 / 3 * (27 - 1) / (9 - 1), rel=1e-6)


def test_files_and_the_syntax_of_boxes_know_it(parameters: Parameters) -> None:
    assert Parameters.from_attributes(parameters.attributes()).prior == ("squared", "uniform")
    assert with_bounds(Parameters.from_names(["r"]), "r=1:2:squared").prior == ("squared",)
    assert declared_priors("r=1:2:squared,a=0:1") == {"r"}
    with pytest.raises(UserError, match=r"optionally followed by :squared or .*:log or :uniform"):
        with_bounds(parameters, "r=1:2:cubed")
    with pytest.raises(UserError, match="r: a squared prior needs low >= 0, found -1"):
        with_bounds(parameters, "r=-1:2:squared")


@pytest.mark.parametrize("name", SUPPORTS)
def test_every_support_maps_it(parameters: Parameters, name: str) -> None:
    theta = parameters.quantile(np.random.default_rng(0).random((4000, 2)))
    support = fit_support(name, parameters, theta)
    z, _ = support.forward(theta)
    np.testing.assert_allclose(support.inverse(z), theta, rtol=1e-8)
    if name == "probit":
        assert stats.kstest(z[:, 0], "norm").pvalue > 1e-3


def test_reweighting_takes_and_describes_it(parameters: Parameters) -> None:
    change = PriorChange.parse("a=squared:0.2:0.8")
    changed = change.apply_to(parameters)
    assert changed.prior == ("squared", "squared")
    assert change.describe(changed) == "a: squared in 0.2..0.8"
    with pytest.raises(UserError, match=r"'cubed' is no prior; .*name=squared:low:high"):
        PriorChange.parse("a=cubed:0:1")


@pytest.mark.parametrize(("low", "recognised"), [(0.1, True), (0.5, False), (5e-324, False), (0.0, False)])
def test_a_log_uniform_prior_is_recognised_on_wide_boxes(low: float, recognised: bool) -> None:
    with np.errstate(all="raise"):
        assert PRIORS["log-uniform"](np.float64(low), np.float64(1.0)).may_be_recognised() == recognised
