"""Numbers and their errors."""

import pytest

from cosmoinfer.formatting import format_with_error


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (6.2, 0.0183, "6.200 ± 0.018"),
        (0.1397, 0.0271, "0.140 ± 0.027"),
        (-1234.5, 87.6, "-1234 ± 88"),
        (5.0, 1.04, "5.0 ± 1.0"),
        (2.5, 0.0, "2.5 ± 0"),
        (3.2e-9, 4.1e-10, "3.2e-09 ± 4.1e-10"),
        (3.21e9, 4.1e8, "3.21e+09 ± 4.1e+08"),
    ],
)
def test_a_number_has_the_digits_that_its_error_leaves(value: float, error: float, expected: str):
    assert format_with_error(value, error) == expected
