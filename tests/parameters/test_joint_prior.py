"""Priors that are no box: regions and correlated normals, against closed forms."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import integrate, stats

from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters, recognise_priors, with_bounds

TRIANGLE = Parameters.from_names(("w0", "wa"), [-3, -3], [1, 2], where=["w0+wa<0"])  # 20 less a corner of 4.5
AREA = 15.5
MEANS, WIDTHS, RHO = np.array([-1.0, 0.2]), np.array([0.4, 0.7]), -0.7
COVARIANCE = np.outer(WIDTHS, WIDTHS) * np.array([[1, RHO], [RHO, 1]])


def normals(low=-np.inf, high=np.inf, prior="normal", **ties) -> Parameters:
    return Parameters.from_names(
        ("a", "b"),
        *(np.full(2, edge, dtype=float) for edge in (low, high)),
        [prior] * 2,
        MEANS,
        WIDTHS,
        correlation=ties.pop("correlation", [[1, RHO], [RHO, 1]]),
        **ties,
    )


def draws(parameters: Parameters, count: int, seed: int = 0) -> np.ndarray:
    return parameters.quantile(parameters.joint_prior.draw_units(count, np.random.default_rng(seed)))


def integral(parameters: Parameters, low, high, steps: int = 800) -> float:
    """Of the density, over a grid of midpoints."""
    axes = [np.linspace(*edges, steps + 1) for edges in zip(low, high, strict=True)]
    middles = np.stack(np.meshgrid(*(axis[1:] / 2 + axis[:-1] / 2 for axis in axes), indexing="ij"), axis=-1)
    return float(np.exp(parameters.log_prior(middles)).sum() * np.prod([axis[1] - axis[0] for axis in axes]))


# ------------------------------------------------------------------------------------------------------ the density
def test_the_density_of_a_triangle_is_one_over_its_area():
    mass = TRIANGLE.joint_prior.mass
    assert mass.log == pytest.approx(np.log(AREA / 20), abs=5 * mass.error) and mass.error < 3e-4
    theta = np.array([[-1, 0.5], [-3, -3], [0.6, 0.6], [1.1, -2], [-1, np.nan]])
    log_prior = TRIANGLE.log_prior(theta)
    np.testing.assert_allclose(log_prior[:2], -np.log(AREA), atol=5 * mass.error)
    assert log_prior[2:4].tolist() == [-np.inf] * 2 and np.isnan(log_prior[4])
    assert integral(TRIANGLE, (-3, -3), (1, 2)) == pytest.approx(1, abs=3e-3)
    assert TRIANGLE.log_prior(theta.reshape(5, 1, 2)).shape == (5, 1)


@pytest.mark.parametrize(
    ("where", "share"),
    [
        (["a**2 + b**2 < 1"], np.pi / 4),
        (["a<b"], 1 / 2),
        (["a<b", "b<c"], 1 / 6),
        (["a<b<c"], 1 / 6),
        (["a<b and b<c"], 1 / 6),
        (["(a <= 0.5) and b >= 0.25"], 3 / 8),
        (["a+b+c>1"], 5 / 6),
        (["abs(a-b) < 0.1"], 0.19),
        (["{c}<0.001"], 1e-3),
    ],
)
def test_the_share_of_a_region_is_known(where, share):
    cube = Parameters.from_names(("a", "b", "c"), [0] * 3, [1] * 3, where=where)
    mass = cube.joint_prior.mass
    assert mass.error < 2e-3
    assert mass.log == pytest.approx(np.log(share), abs=5 * mass.error)
    assert cube.joint_prior.describe().endswith(" % of the prior without it")


def test_a_region_of_priors_of_every_kind():
    """Which of two independent numbers of one law is the larger, is a toss."""
    for prior, low, high in (("log-uniform", 0.1, 5), ("normal", -np.inf, 2), ("log-normal", 0, np.inf)):
        pair = Parameters.from_names(
            ("a", "b"), [low] * 2, [high] * 2, [prior] * 2, [0.3] * 2, [0.8] * 2, where=["a>b"]
        )
        assert pair.joint_prior.mass.log == pytest.approx(np.log(0.5), abs=1e-3)
        theta = pair.quantile(np.array([[0.7, 0.2]]))
        assert pair.log_prior(theta) == pytest.approx(pair.log_product(theta).sum() + np.log(2), abs=1e-3)


def test_correlated_normals_are_those_of_scipy():
    exact = stats.multivariate_normal(MEANS, COVARIANCE)
    theta = exact.rvs(50, random_state=0)
    np.testing.assert_allclose(normals().log_prior(theta), exact.logpdf(theta), rtol=1e-10)
    low, high = np.array([-1.5, -0.5]), np.array([-0.8, 1.0])
    cut = normals(low, high)
    inside = ((theta > low) & (theta < high)).all(axis=1)
    truncated = exact.logpdf(theta) - np.log(exact.cdf(high, lower_limit=low))
    np.testing.assert_allclose(cut.log_prior(theta)[inside], truncated[inside], atol=1e-3)
    assert (cut.log_prior(theta)[~inside] == -np.inf).all()
    assert integral(cut, low, high) == pytest.approx(1, abs=2e-3)
    assert integral(normals(low, high, where=["a+b<0.1"]), low, high) == pytest.approx(1, abs=5e-3)


def test_correlated_log_normals_are_correlated_in_their_logarithms():
    theta = np.exp(stats.multivariate_normal(MEANS, COVARIANCE).rvs(50, random_state=0))
    exact = stats.multivariate_normal(MEANS, COVARIANCE).logpdf(np.log(theta)) - np.log(theta).sum(axis=1)
    pair = normals(0, np.inf, prior="log-normal")
    np.testing.assert_allclose(pair.log_prior(theta), exact, rtol=1e-10)
    assert pair.log_prior(np.array([[0.0, 1.0], [-1.0, 1.0]])).tolist() == [-np.inf] * 2


def test_a_third_parameter_multiplies_the_density_of_the_pair():
    three = normals().concatenated(Parameters.from_names(["c"], [0.5], [2], ["log-uniform"]))
    theta = draws(three, 20)
    pair = stats.multivariate_normal(MEANS, COVARIANCE).logpdf(theta[:, :2])
    np.testing.assert_allclose(three.log_prior(theta), pair + stats.loguniform(0.5, 2).logpdf(theta[:, 2]), rtol=1e-9)


# --------------------------------------------------------------------------------------------- draws, and marginals
def test_draws_of_a_triangle_fill_it():
    theta = draws(TRIANGLE, 20_000)
    assert (theta.sum(axis=1) < 0).all() and TRIANGLE.inside(theta).all()
    u = TRIANGLE.joint_prior.marginal_cdf(theta)
    for column in range(2):
        assert stats.kstest(u[:, column], "uniform").pvalue > 1e-3
    np.testing.assert_allclose(theta.mean(axis=0), TRIANGLE.prior_mean(), atol=0.03)
    np.testing.assert_allclose(theta.std(axis=0), TRIANGLE.prior_std(), rtol=0.02)
    np.testing.assert_array_equal(theta, draws(TRIANGLE, 20_000))
    plain = TRIANGLE.untied.joint_prior.draw_units(5, np.random.default_rng(0))
    np.testing.assert_array_equal(plain, np.random.default_rng(0).random((5, 2)))


def test_draws_of_correlated_normals_are_correlated():
    theta = draws(normals(), 20_000)
    np.testing.assert_allclose(np.cov(theta.T), COVARIANCE, rtol=0.05)
    cut = draws(normals(-1.0, 1.0), 5000)
    assert (np.abs(cut) <= 1).all()


def test_the_marginal_of_a_triangle_is_a_trapezium():
    values = np.linspace(-2.99, 0.99, 300)
    exact = np.minimum(5, 3 - values) / AREA
    density = TRIANGLE.joint_prior.marginal_density(0, values)
    np.testing.assert_allclose(density, exact, rtol=5e-3)
    mean = integrate.quad(lambda w: w * min(5, 3 - w) / AREA, -3, 1, points=[-2])[0]
    square = integrate.quad(lambda w: w**2 * min(5, 3 - w) / AREA, -3, 1, points=[-2])[0]
    assert TRIANGLE.prior_mean()[0] == pytest.approx(mean, abs=2e-3)
    assert TRIANGLE.prior_std()[0] == pytest.approx(np.sqrt(square - mean**2), abs=2e-3)
    alone = TRIANGLE.untied.joint_prior
    np.testing.assert_array_equal(alone.marginal_density(1, np.array([0.0, 3.0])), [0.2, 0])
    np.testing.assert_array_equal(alone.marginal_cdf(np.array([[0.0, 2.0]])), [[0.75, 1]])


def test_the_marginals_of_correlated_normals_are_normal():
    values, width = np.array([-1.7, -1.0, -0.4]), WIDTHS[0]
    np.testing.assert_allclose(
        normals().joint_prior.marginal_density(0, values), stats.norm(-1, width).pdf(values), rtol=0.02
    )
    np.testing.assert_allclose(normals().prior_mean(), MEANS, atol=2e-3)
    np.testing.assert_allclose(normals().prior_std(), WIDTHS, rtol=3e-3)


# ---------------------------------------------------------------------------------------------------------- rounding
def test_rows_in_single_precision_lie_in_their_region_and_draws_lie_in_it_exactly():
    theta = draws(TRIANGLE, 200_000)
    edge = np.stack([theta[:, 0], -theta[:, 0]], axis=1)  # exactly on the edge
    edge = edge[TRIANGLE.in_box(edge)]
    assert not TRIANGLE.accepts(edge).any() and TRIANGLE.inside(edge).all()
    near = np.stack([edge[:, 0], np.nextafter(edge[:, 1], -4)], axis=1)
    rounded = near.astype(np.float32).astype(np.float64)
    assert TRIANGLE.inside(rounded).all() and np.isfinite(TRIANGLE.log_prior(rounded)).all()
    assert not TRIANGLE.inside(edge + np.array([0, 1e-4])).any()
    assert TRIANGLE.inside(np.array([0.0, -0.1])) and not TRIANGLE.inside(np.array([0.0, 0.1]))


def test_a_draw_that_is_clipped_onto_its_box_is_judged_where_it_then_lies():
    square = Parameters.from_names(("a", "b"), [0, 0], [1, 1], where=["a<1"])
    over = np.array([[1 + 1e-7, 0.5], [1 - 1e-7, 0.5]])
    assert square.accepts(over).tolist() == [False, True]


def test_rounding_without_a_box_is_that_of_the_value():
    free = Parameters.from_names(("a", "b"), where=["a<b"])
    assert free.inside(np.array([[1e9 + 1, 1e9], [1.1, 1], [np.nan, 1]])).tolist() == [True, False, False]


# ------------------------------------------------------------------------------------------------- what ties parameters
def test_some_of_the_parameters_keep_a_region_of_their_own():
    names = ("a", "b", "c", "d")
    cube = Parameters.from_names(names, [0] * 4, [1] * 4, where=["a<b", "c<0.5"])
    assert (cube.select(["b", "a"]).where, cube.select(["b", "a"]).prior) == (("a<b",), ("uniform",) * 2)
    assert (cube.select(["a", "d"]).where, cube.select(["a", "d"]).prior) == ((), ("unknown", "uniform"))
    assert cube.select(["c"]).where == ("c<0.5",)
    assert cube.select(["d"]).log_prior(np.array([[0.5]])) == 0
    assert cube.joint_prior.components == (frozenset({0, 1}), frozenset({2}))


def test_the_marginal_of_correlated_normals_is_theirs_until_a_box_cuts_the_other():
    assert normals().select(["a"]).prior == ("normal",)
    np.testing.assert_allclose(
        normals().select(["b", "a"]).log_prior(MEANS[None, ::-1]), normals().log_prior(MEANS[None])
    )
    assert normals([-np.inf, -1], [np.inf, 1]).select(["a"]).prior == ("unknown",)
    assert normals([-2, -np.inf], [0, np.inf]).select(["a"]).prior == ("normal",)
    assert normals(where=["b<1"]).select(["a"]).prior == ("unknown",)
    third = Parameters.from_names(("c",), [0], [1])
    both = normals().concatenated(third)
    assert both.select(["a", "c"]).correlation is None and both.select(["c", "a"]).prior == ("uniform", "normal")


def test_what_is_tied_to_an_unknown_prior_has_none():
    parameters = Parameters.from_names(("a", "b", "c"), [0, -np.inf, 0], [1, np.inf, 1], where=["a<b"])
    assert parameters.has_prior.tolist() == [False, False, True]
    theta = np.array([[0.2, 0.4, 0.5]])
    assert np.isnan(parameters.log_prior(theta)).all()
    assert np.isnan(parameters.prior_std()).tolist() == [True, True, False]
    assert np.isnan(parameters.joint_prior.marginal_cdf(theta)).tolist() == [[True, True, False]]
    assert np.isnan(parameters.joint_prior.draw_units(2, np.random.default_rng(0)))[0].tolist() == [True, True, False]
    assert parameters.inside(theta).all() and not parameters.inside(theta[:, [1, 0, 2]]).any()
    parameters.joint_prior.check_mass()
    assert parameters.joint_prior.describe() == "a<b"


def test_region_and_correlation_are_kept_by_attributes():
    for parameters in (TRIANGLE, normals(where=["a<b", "a>-2"])):
        again = Parameters.from_attributes(parameters.attributes())
        assert repr(again) == repr(parameters)
    assert Parameters.from_attributes({"names": "a", "low": 0.0, "high": 1.0, "where": "a<0.5"}).where == ("a<0.5",)
    assert {"where", "prior_correlation"} & TRIANGLE.untied.attributes().keys() == set()


def test_a_condition_is_added_once():
    assert TRIANGLE.with_where(["w0+wa<0", "w0<0"]).where == ("w0+wa<0", "w0<0")


# ---------------------------------------------------------------------------------------------------------- nonsense
@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("w0+w1<0", "^where: .*'w1<0'|^where: .*expected a parameter"),
        ("w0+wa", "^where: 'w0.wa': expected comparisons"),
        ("w0=0", "^where: 'w0=0': expected comparisons"),
        ("1<2", "names no parameter"),
    ],
)
def test_a_condition_that_is_not_understood_is_refused(where, complaint):
    with pytest.raises(UserError, match=complaint):
        Parameters.from_names(("w0", "wa"), [-3, -3], [1, 2], where=[where])


@pytest.mark.parametrize(
    ("correlation", "complaint"),
    [
        (np.eye(3), "expected shape"),
        ([[1, 0.5], [0.4, 1]], "symmetric"),
        ([[2, 0.5], [0.5, 1]], "ones on its diagonal"),
        ([[1, 1.0], [1.0, 1]], "not positive definite"),
        ([[1, np.nan], [np.nan, 1]], "symmetric"),
    ],
)
def test_a_correlation_that_cannot_be_is_refused(correlation, complaint):
    with pytest.raises(UserError, match=complaint):
        normals(correlation=correlation)


def test_a_region_is_checked_under_optimisation_too():
    """``python -O`` leaves asserts out."""
    program = "from cosmoinfer.parameters import Parameters\nParameters.from_names(['a'], [0], [1], where=['b > 2'])"
    process = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True)
    assert process.returncode == 1 and "UserError" in process.stderr


def test_only_normals_are_correlated():
    with pytest.raises(UserError, match="b: only a normal or log-normal prior can be correlated, found uniform"):
        with_bounds(Parameters.from_names(("a", "b"), [0, 0], [1, 1]), "a=0:1:normal:0.5:0.1,a~b=0.5")


@pytest.mark.parametrize(("where", "share"), [("w0+wa>3", "nothing"), ("w0+wa>2.99", "%")])
def test_a_region_without_mass_is_refused(where, share):
    with pytest.raises(UserError, match=f"{share}.*too little to normalise over"):
        TRIANGLE.untied.with_where([where]).joint_prior.check_mass()


# -------------------------------------------------------------------------------------------------------- recognising
@pytest.mark.parametrize("prior", ["uniform", "log-uniform"])
def test_rows_of_a_region_are_recognised_as_what_they_are(prior):
    """Below a falling edge uniform rows pile up near zero, as log-uniform ones would."""
    low, high = [0.1, 0.1], [1.0, 1.0]
    parameters = Parameters.from_names(("a", "b"), low, high, [prior] * 2, where=["a+b<0.6"])
    theta = draws(parameters, 700)
    undeclared = Parameters.from_names(("a", "b"), low, high, where=["a+b<0.6"])
    assert recognise_priors(undeclared, theta).prior == (prior, prior)
