"""Numbers and their errors."""

import pytest

from cosmoinfer.formatting import format_p_value, format_with_error
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
        (3.2e-9, 4.1e-10, "3.2e-09 ± 4.1e-10"),
        (3.21e9, 4.1e8, "3.21e+09 ± 4.1e+08"),
        (2.1e-9, 3e-11, "2.1e-09 ± 3.0e-11"),
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
