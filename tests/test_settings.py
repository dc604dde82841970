"""Fields of recipes as settings: their types and limits."""

from dataclasses import dataclass

import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.settings import check_settings, from_data, setting, settings_of


@dataclass(frozen=True)
class Recipe:
    depth: int = setting(3, minimum=1, maximum=12)
    rate: float = setting(0.1, above=0, below=1)
    shape: str = setting("round", choices={"round": 0, "square": 1})
    wide: bool = False
    offset: float | None = None
    sizes: tuple[int, ...] = ()
    cells: int = from_data(0)

    def __post_init__(self) -> None:
        check_settings(self)


def test_settings_are_the_fields_that_the_data_do_not_decide():
    assert settings_of(Recipe) == settings_of(Recipe()) == ("depth", "rate", "shape", "wide", "offset", "sizes")
    assert settings_of(Recipe, Recipe) == settings_of(Recipe)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("depth", 0, "depth: expected 1 to 12, found 0"),
        ("depth", 13, "depth: expected 1 to 12, found 13"),
        ("depth", True, "depth: expected a whole number, found True"),
        ("depth", 2.5, "depth: expected a whole number, found 2.5"),
        ("depth", None, "depth: expected a whole number, found None"),
        ("rate", 0.0, "rate: expected more than 0, less than 1, found 0.0"),
        ("rate", float("nan"), "rate: expected more than 0, less than 1, found nan"),
        ("rate", "fast", "rate: expected a number, found 'fast'"),
        ("shape", "oval", "shape: 'oval' is not known; there are round, square"),
        ("shape", 3, "shape: expected a name, found 3"),
        ("wide", 1, "wide: expected true or false, found 1"),
        ("offset", "far", "offset: expected a number, found 'far'"),
    ],
)
def test_a_value_of_another_type_or_outside_the_limits_is_refused(name, value, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        Recipe(**{name: value})
    with pytest.raises(UserError, match=f"^{message}$"):
        check_settings(Recipe(), {name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("depth", 12), ("rate", 0.5), ("offset", 1), ("offset", None), ("sizes", (3, 4)), ("cells", 7)]
)
def test_a_value_within_the_limits_is_taken(name, value):
    assert getattr(Recipe(**{name: value}), name) == value
