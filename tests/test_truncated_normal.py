"""The truncated normal against scipy's, in the middle and far out in a tail."""

import numpy as np
import pytest
from scipy import stats

from cosmoinfer import truncated_normal

EDGES = [(-1.0, 2.0), (0.5, 0.7), (-3.0, -1.0), (2.0, 5.0), (-np.inf, 0.3), (-0.2, np.inf)]
FAR = [(30.0, 31.0), (-31.0, -30.0), (8.0, np.inf)]


def pair(edges):
    return np.array(edges[0]), np.array(edges[1])


@pytest.mark.parametrize("edges", EDGES)
def test_mass_distribution_and_quantile(edges):
    low, high = pair(edges)
    exact = stats.truncnorm(*edges)
    u = np.linspace(0.01, 0.99, 9)
    z = exact.ppf(u)
    expected = stats.norm.cdf(high) - stats.norm.cdf(low)
    assert truncated_normal.mass(low, high) == pytest.approx(expected, rel=1e-12)
    assert truncated_normal.log_mass(low, high) == pytest.approx(np.log(expected), rel=1e-9)
    np.testing.assert_allclose(truncated_normal.cdf(z, low, high), u, rtol=1e-9)
    np.testing.assert_allclose(truncated_normal.quantile(u, low, high), z, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("edges", EDGES + FAR)
def test_draws_follow_the_law_however_far_away(edges):
    low, high = np.full(4000, edges[0]), np.full(4000, edges[1])
    drawn = truncated_normal.draw(low, high, np.random.default_rng(0))
    assert ((drawn >= low) & (drawn <= high)).all()
    assert stats.kstest(drawn, stats.truncnorm(*edges).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("edges", "expected"), [((30.0, 31.0), stats.norm.logsf(30)), ((8.0, np.inf), stats.norm.logsf(8))]
)
def test_the_mass_of_a_tail_has_a_logarithm(edges, expected):
    low, high = pair(edges)
    assert truncated_normal.log_mass(low, high) == pytest.approx(expected, rel=1e-12)
    assert truncated_normal.log_mass(-high, -low) == pytest.approx(expected, rel=1e-12)
