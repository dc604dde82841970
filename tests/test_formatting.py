"""Numbers and their errors."""

import numpy as np
import pytest
from scipy import stats

from cosmoinfer.formatting import Constraint, constraint, format_p_value, format_with_error
from cosmoinfer.metrics.estimate import OF_P_VALUE, Estimate


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (6.2, 0.0183, "6.200 ± 0.018"),
        (0.1397, 0.0271, "0.140 ± 0.027"),
        (-1234.5, 87.6, "-1234 ± 88"),
        (5.0, 1.04, "5.0 ± 1.0"),
        (2.5, 0.0, "2.5"),
        (1.0, 1.1e-16, "1"),
        (0.123456, 1.23e-5, "0.123456 ± 1.2e-05"),
        (3.2e-9, 4.1e-10, "3.20e-09 ± 4.1e-10"),
        (1.0, 9e-5, "1.000000 ± 9.0e-05"),  # zeros that the error does not hide are digits
        (3.21e9, 4.1e8, "3.21e+09 ± 4.1e+08"),
        (2.1e-9, 3e-11, "2.100e-09 ± 3.0e-11"),
        (0.0, 1e-12, "0 ± 1.0e-12"),
        (0.3, float("nan"), "0.3"),
        (0.3, float("inf"), "0.3 ± inf"),
        (float("inf"), float("nan"), "inf"),
        (float("nan"), 1.0, "nan"),
    ],
)
def test_a_number_has_the_digits_that_its_error_leaves(value: float, error: float, expected: str):
    assert format_with_error(value, error) == expected


@pytest.mark.parametrize(
    ("p", "expected"), [(0.01234, "0.0123"), (2.3e-243, "< 1e-06"), (0.0, "< 1e-06"), (1e-5, "1e-05")]
)
def test_a_p_value_is_no_smaller_than_a_test_can_tell(p: float, expected: str) -> None:
    assert format_p_value(p) == str(Estimate(p, reason=OF_P_VALUE)) == expected


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Estimate(1.234, 1.2, 1.3), "1.23 +- 0.05"),
        (Estimate(0.9876, 0.9871, 0.9881), "0.98760 +- 0.00050"),
        (Estimate(0.5, 0.5, 0.5), "0.5"),
        (Estimate(0.5), "0.5"),
    ],
)
def test_an_error_in_a_sentence_is_never_zero(estimate: Estimate, expected: str) -> None:
    assert estimate.format() == expected


U = (np.arange(4000) + 0.5) / 4000


@pytest.mark.parametrize(
    ("draws", "box", "text", "latex"),
    [
        (stats.norm(0.31234, 0.0193).ppf(U), (0.1, 0.5), "0.312 ± 0.019", r"0.312 \pm 0.019"),
        (stats.norm(1.0, 9e-5).ppf(U), (0, 2), "1.000000 ± 0.000090", r"1.000000 \pm 0.000090"),
        (stats.norm(2.1e-9, 3e-11).ppf(U), (0, 1), "(2.100 ± 0.030)e-09", r"(2.100 \pm 0.030)\times 10^{-9}"),
        (stats.norm(3e7, 4e5).ppf(U), (0, 1e9), "(3.000 ± 0.040)e+07", r"(3.000 \pm 0.040)\times 10^{7}"),
        (stats.gamma(2, scale=0.1).ppf(U), (0, 9), "0.168 +0.162 -0.097", "0.168^{+0.162}_{-0.097}"),
        (stats.expon(0, 0.1).ppf(U), (0, 2), "< 0.30 (95 %)", r"< 0.30\;(95\,\%)"),
        (stats.expon(0.1, 0.011).ppf(U), (0.1, 2), "< 0.133 (95 %)", r"< 0.133\;(95\,\%)"),
        (1 - stats.expon(0, 0.011).ppf(U), (0, 1), "> 0.967 (95 %)", r"> 0.967\;(95\,\%)"),
        (stats.expon(0, 1e-9).ppf(U), (0, 1), "< 3.0e-09 (95 %)", r"< 3.0\times 10^{-9}\;(95\,\%)"),
        (U, (0, 1), "no limit", r"\mathrm{no\ limit}"),
        (U, (-1, 2), "0.50 ± 0.34", r"0.50 \pm 0.34"),
        (stats.truncnorm(-2, 9, 0.2, 0.1).ppf(U), (0, 1), "0.203 ± 0.097", r"0.203 \pm 0.097"),
        (np.full(9, 0.25), (0, 1), "0.25", "0.25"),
        (np.full(1, 0.25), (0, 1), "0.25", "0.25"),
    ],
)
def test_draws_are_summarised_as_in_a_paper(draws: np.ndarray, box: tuple[float, float], text: str, latex: str) -> None:
    result = constraint(draws, low=box[0], high=box[1])
    assert (result.text, result.latex) == (text, latex)
    assert result == constraint(draws[::-1], np.full(len(draws), 7.0), *box)


def test_an_edge_in_the_logarithm_is_that_of_its_prior() -> None:
    """Of a log-uniform parameter without information, most draws lie near the lower edge, and at the upper one none."""
    draws = 0.1 * 100**U
    assert constraint(draws, low=0.1, high=10.0, logarithmic=True).kind == "none"
    assert constraint(draws, low=0.1, high=10.0).kind == "upper"


@pytest.mark.parametrize(("count", "fewest"), [(50, 0.9), (1000, 0.97)])
def test_noise_of_draws_is_neither_asymmetry_nor_a_limit(count: int, fewest: float) -> None:
    stream = np.random.default_rng(0)
    results = [constraint(stream.normal(size=count), low=-2.5, high=9.0) for _ in range(200)]
    assert np.mean([result.kind == "interval" for result in results]) >= fewest
    assert np.mean([result.symmetric for result in results]) >= fewest
    uniform = [constraint(stream.random(count), low=0.0, high=1.0).kind == "none" for _ in range(200)]
    assert np.mean(uniform) >= 0.9 if count == 1000 else 0.5


def test_weighted_draws_are_those_of_their_density() -> None:
    x = np.linspace(-5, 5, 4001)
    result = constraint(x, stats.norm.pdf(x, 0.3, 0.1), -5.0, 5.0)
    assert result == Constraint(pytest.approx(0.3), pytest.approx(0.2, abs=1e-4), pytest.approx(0.4, abs=1e-4))


def test_a_limit_no_tighter_than_that_of_the_prior_is_none() -> None:
    """Draws on the upper edge with a tail to the lower one: 95 % of them exclude nothing that the prior does not."""
    for tail, kind in ((80, "none"), (20, "lower")):
        draws = np.concatenate([np.linspace(0, 0.05, tail), np.linspace(0.8, 1, 1000 - tail)])
        assert constraint(draws, low=0.0, high=1.0).kind == kind
        assert constraint(10 ** (draws - 1), low=0.1, high=1.0, logarithmic=True).kind == kind
