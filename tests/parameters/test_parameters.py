"""Parameters: priors that integrate to one, and boxes that nothing leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters, recognise_priors
from cosmoinfer.priors import PRIORS


class TruncatedLogNormal(stats.rv_continuous):
    """exp of a truncated normal."""

    def __init__(self, low, high, mean, std):
        super().__init__(a=low, b=high)
        edges = (np.log([low, high]) - mean) / std
        self.logarithm = stats.truncnorm(*edges, mean, std)

    def _logpdf(self, value):
        return self.logarithm.logpdf(np.log(value)) - np.log(value)

    def _pdf(self, value):
        return np.exp(self._logpdf(value))

    def _cdf(self, value):
        return self.logarithm.cdf(np.log(value))

    def _ppf(self, u):
        return np.exp(self.logarithm.ppf(u))


@dataclass(frozen=True)
class Example:
    """A prior of the table on a box, and the distribution of scipy that it is."""

    prior: str
    low: float
    high: float
    exact: Any
    mean: float = 0.0
    std: float = 1.0


EXAMPLES = {  # by the name of a parameter
    "Omega_m": Example("uniform", 0.1, 0.5, stats.uniform(0.1, 0.4)),
    "A_SN1": Example("log-uniform", 0.25, 4, stats.loguniform(0.25, 4)),
    "n_s": Example("normal", -np.inf, np.inf, stats.norm(0.96, 0.05), 0.96, 0.05),
    "H_0": Example("normal", 60, 75, stats.truncnorm(-7 / 5, 8 / 5, 67, 5), 67, 5),
    "b_1": Example("normal", 0, np.inf, stats.truncnorm(0.5, np.inf, -1, 2), -1, 2),
    "A_lens": Example("log-normal", 0.5, 2, TruncatedLogNormal(0.5, 2, 0.1, 0.4), 0.1, 0.4),
}


def parameters_of(names: Sequence[str]) -> Parameters:
    """Of EXAMPLES."""
    columns = {
        field: [getattr(EXAMPLES[name], field) for name in names] for field in ("low", "high", "prior", "mean", "std")
    }
    return Parameters.from_names(names, **columns)


EVERY = parameters_of(tuple(EXAMPLES))
RNG = np.random.default_rng(0)
every_prior = pytest.mark.parametrize(
    ("name", "exact"),
    [pytest.param(name, example.exact, id=f"{example.prior}-{name}") for name, example in EXAMPLES.items()],
)


# ------------------------------------------------------------------------------------------------------- the densities
@every_prior
def test_a_prior_integrates_to_one(name, exact):
    parameters = parameters_of([name])
    ends = exact.ppf([1e-12, 1 - 1e-12])
    total, _ = integrate.quad(lambda theta: np.exp(parameters.log_product(np.array([theta]))[0]), *ends, epsabs=1e-10)
    assert total == pytest.approx(1, abs=1e-8)


@every_prior
def test_density_distribution_and_moments_are_those_of_the_law(name, exact):
    parameters, theta = parameters_of([name]), exact.rvs(size=(4, 5, 1), random_state=1)
    np.testing.assert_allclose(parameters.log_product(theta), exact.logpdf(theta), rtol=1e-10)
    np.testing.assert_allclose(parameters.cdf(theta), exact.cdf(theta), rtol=1e-9)
    assert parameters.prior_mean() == pytest.approx(exact.mean(), rel=1e-4)
    assert parameters.prior_std() == pytest.approx(exact.std(), rel=1e-3)


@every_prior
def test_quantile_and_distribution_function_are_inverse(name, exact):
    parameters, u = parameters_of([name]), np.linspace(1e-6, 1 - 1e-6, 101)[:, None]
    np.testing.assert_allclose(parameters.cdf(parameters.quantile(u)), u, rtol=1e-6)
    np.testing.assert_allclose(parameters.quantile(u), exact.ppf(u), rtol=1e-8)


@every_prior
def test_outside_the_box_the_density_is_zero(name, exact):
    parameters, (low, high) = parameters_of([name]), exact.support()
    width = high - low if np.isfinite(high - low) else 1.0
    for edge, inwards in ((low, 1), (high, -1)):
        if np.isfinite(edge):
            theta = edge + inwards * width * np.array([[1e-3], [0], [-1e-3], [-10]])
            np.testing.assert_array_equal(np.isfinite(parameters.log_product(theta))[:, 0], [True, True, False, False])
            assert parameters.log_product(theta)[3, 0] == -np.inf
            np.testing.assert_array_equal(parameters.inside(theta), [True, True, False, False])
            np.testing.assert_allclose(parameters.cdf(theta[2:]), 0 if inwards == 1 else 1)


def test_a_log_normal_without_a_box_is_that_of_scipy():
    alone = Parameters.from_names(["A"], prior=["log-normal"], mean=[0.1], std=[0.4])
    exact = stats.lognorm(0.4, scale=np.exp(0.1))
    theta = exact.rvs((20, 1), random_state=0)
    np.testing.assert_allclose(alone.log_prior(theta), exact.logpdf(theta)[:, 0], rtol=1e-10)
    np.testing.assert_allclose(alone.cdf(theta), exact.cdf(theta), rtol=1e-9)
    np.testing.assert_allclose(alone.quantile(exact.cdf(theta)), theta, rtol=1e-9)
    assert alone.low.tolist() == [0] and alone.log_prior(np.array([[0.0], [-1.0]])).tolist() == [-np.inf] * 2
    assert alone.prior_mean()[0] == pytest.approx(exact.mean(), rel=1e-3)


@pytest.mark.parametrize("u", [0.0, 1.0, -1e-9, 1 + 1e-9])
def test_quantiles_stay_in_the_box(u):
    boxed = EVERY.select(("Omega_m", "A_SN1", "H_0"))
    with np.errstate(invalid="ignore"):
        theta = boxed.quantile(np.full((1, 3), u))[:, :2]
    assert ((theta >= boxed.low[:2]) & (theta <= boxed.high[:2])).all()


def test_the_last_digit_of_a_printed_table_is_no_step_outside():
    rounded = np.float64(np.float32([0.6]))  # above 0.6
    box = Parameters.from_names(["a"], [0.1], [0.6])
    assert rounded[0] > 0.6
    assert box.inside(rounded)
    assert box.log_product(rounded) == pytest.approx(np.log(2))
    assert box.clip(rounded) == 0.6
    assert not box.inside(np.array([0.6001]))


def test_rounding_below_a_tiny_edge_is_no_nan():
    wide = Parameters.from_names(["A"], [1e-9], [1.0], ["log-uniform"])
    np.testing.assert_allclose(
        wide.log_product(np.array([[-1e-8], [1e-9]])), wide.log_product(np.array([[1e-9]]))[0, 0]
    )


def test_nan_stays_nan_in_every_prior():
    gaps = np.full((1, len(EVERY)), np.nan)
    assert np.isnan(EVERY.log_product(gaps)).all()
    assert np.isnan(EVERY.cdf(gaps)).all()
    assert not EVERY.inside(gaps)


def test_an_unknown_prior_has_nan_density():
    free = Parameters.from_names(["a", "b"], low=[0, -np.inf], high=[1, np.inf])
    assert free.prior == ("uniform", "unknown")
    assert free.has_prior.tolist() == [True, False]
    theta = np.full((3, 2), 0.5)
    for answer in (free.log_product(theta), free.cdf(theta), free.quantile(theta)):
        assert answer.shape == (3, 2)
        np.testing.assert_array_equal(np.isnan(answer), [[False, True]] * 3)
    assert np.isnan(free.prior_mean()).tolist() == np.isnan(free.prior_std()).tolist() == [False, True]


# ----------------------------------------------------------------------------------------------------- choosing among
def test_parameters_are_taken_by_name_in_the_order_asked_for():
    two = EVERY.select(("H_0", "Omega_m"))
    assert (two.names, two.prior) == (("H_0", "Omega_m"), ("normal", "uniform"))
    assert two.low.tolist() == [60, 0.1]
    assert (two.mean[0], two.std[0]) == (67, 5)
    theta = EVERY.quantile(RNG.uniform(size=(10, len(EVERY))))
    np.testing.assert_array_equal(
        two.log_product(theta[:, EVERY.columns(two.names)]), EVERY.log_product(theta)[:, EVERY.columns(two.names)]
    )


def test_an_unknown_parameter_name_is_refused():
    with pytest.raises(UserError, match="no parameter is named sigma8; there are Omega_m, A_SN1"):
        EVERY.select(["Omega_m", "sigma8"])


def test_parameters_are_restored_from_attributes():
    again = Parameters.from_attributes(EVERY.attributes())
    assert repr(again) == repr(EVERY)


def test_parameters_without_a_declared_box_are_unbounded():
    parameters = Parameters.from_attributes({"names": ("a", "b")})
    assert parameters.low.tolist() == [-np.inf, -np.inf]
    assert (parameters.prior, parameters.labels) == (("unknown", "unknown"), ("a", "b"))


def test_a_single_parameter_needs_no_arrays():
    parameters = Parameters.from_attributes(
        {"names": "Omega_m", "low": np.float64(0.1), "high": 0.5, "prior": "uniform"}
    )
    assert (parameters.names, parameters.low.tolist(), parameters.prior) == (("Omega_m",), [0.1], ("uniform",))


# ------------------------------------------------------------------------------------------------------------ nonsense
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"low": [0.5], "high": [0.1]}, r"a: the box 0.5..0.1 is empty"),
        ({"low": [0.5], "high": [0.5]}, "is empty"),
        ({"low": [np.nan], "high": [0.5]}, "is empty"),
        ({"low": [0.1, 0.2], "high": [0.5]}, "low: expected 1 values, one a parameter, found 2"),
        ({"low": [0.0], "high": [1.0], "prior": ["log-uniform"]}, "needs positive bounds"),
        ({"low": [-1.0], "high": [1.0], "prior": ["log-uniform"]}, "needs positive bounds"),
        ({"low": [0.1], "prior": ["uniform"]}, "a uniform prior needs two finite bounds, found 0.1..inf"),
        ({"prior": ["flat"]}, "prior 'flat' is not known; there are uniform, log-uniform"),
        ({"prior": ["normal"], "mean": [0.0], "std": [0.0]}, "needs a prior_mean and a positive prior_std"),
        ({"prior": ["normal"], "mean": [np.nan], "std": [1.0]}, "needs a prior_mean"),
        ({"prior": ["normal"], "mean": [0.0], "std": [np.inf]}, "needs a prior_mean"),
        ({"labels": ["a", "b"]}, "labels: expected 1 values"),
    ],
)
def test_nonsense_is_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        Parameters.from_names(["a"], **settings)


@pytest.mark.parametrize("attributes", [{}, {"prior_mean": (0.0,)}, {"prior_std": (1.0,)}])
def test_the_normal_prior_of_a_file_is_not_guessed(attributes):
    with pytest.raises(UserError, match="needs the attributes prior_mean and prior_std"):
        Parameters.from_attributes({"names": ("a",), "prior": ("normal",), **attributes})


def test_names_must_differ():
    with pytest.raises(UserError, match="names must differ"):
        Parameters.from_names(["a", "b", "a"])


# --------------------------------------------------------------------------------------------- recognising log-uniform
def recognised(low, high, theta):
    return recognise_priors(Parameters.from_names(["a"], [low], [high]), theta[:, None]).prior[0]


@pytest.mark.parametrize(("low", "high"), [(0.25, 4.0), (0.5, 2.0), (1e-3, 1.0)])
def test_log_uniform_rows_are_recognised(low, high):
    for seed in range(20):
        theta = stats.loguniform(low, high).rvs(700, random_state=seed)
        assert recognised(low, high, theta) == "log-uniform"


@pytest.mark.parametrize(("low", "high"), [(0.25, 4.0), (0.1, 0.5), (1.0, 3.0), (0.01, 1.0)])
@pytest.mark.parametrize("rows", [20, 700])
def test_uniform_rows_stay_uniform(low, high, rows):
    theta = np.random.default_rng(1).uniform(low, high, size=(500, rows))
    assert sum(recognised(low, high, row) != "uniform" for row in theta) <= 2  # by Wald, exp(-5) at most


def test_a_narrow_unbounded_or_negative_box_is_never_log_uniform():
    theta = stats.loguniform(1.0, 2.9).rvs(100_000, random_state=0)
    assert recognised(1.0, 2.9, theta) == "uniform"
    assert recognised(-1.0, 2.9, theta) == "uniform"
    assert recognised(1.0, np.inf, theta) == "unknown"


def test_each_parameter_is_judged_by_its_own_column():
    box = Parameters.from_names(["a", "b", "c"], [0.25] * 3, [4.0] * 3, ["uniform", "uniform", "unknown"])
    log = stats.loguniform(0.25, 4).rvs(1000, random_state=0)
    flat = stats.uniform(0.25, 3.75).rvs(1000, random_state=0)
    assert recognise_priors(box, np.stack([flat, log, log], axis=1)).prior == ("uniform", "log-uniform", "unknown")


def test_every_prior_of_the_table_is_tested():
    assert {*EVERY.prior, "unknown"} == set(PRIORS)
