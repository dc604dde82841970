"""Numbers within texts of options."""

import pytest

from cosmoinfer.numerals import finite_number, whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), (" 25 ", 25), (f"{10**30}", 10**30), ("9" * 5000, None), ("-1", None), ("1.0", None), ("", None)],
)
def test_whole_number(text: str, number: int | None) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.3", 0.3), (" -1e-3", -1e-3), ("nan", None), ("1e999", None), ("9" * 5000, None), ("", None)],
)
def test_finite_number(text: str, number: float | None) -> None:
    assert finite_number(text) == number
