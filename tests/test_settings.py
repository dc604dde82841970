"""Fields of recipes as settings: their types and limits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.settings import Limits, check_settings, convert_settings, from_data, is_given, setting, settings_of


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
        ("sizes", (3, 4.5), r"sizes: expected whole numbers, found \(3, 4.5\)"),
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


@dataclass(frozen=True)
class Task:
    seed: int = 0
    names: tuple[str, ...] = ()
    rows: str | tuple[int, ...] | None = None
    output: Path | None = None
    fractions: tuple[float, float] | None = None


@pytest.mark.parametrize(
    ("name", "value", "converted"),
    [
        ("seed", np.int64(3), 3),
        ("seed", np.array(3), 3),
        ("names", "a", ("a",)),
        ("names", np.array(["a", "b"]), ("a", "b")),
        ("rows", 5, (5,)),
        ("rows", np.arange(2), (0, 1)),
        ("rows", "3:5", "3:5"),
        ("output", "a.h5", Path("a.h5")),
        ("fractions", [np.float32(0.5), 1], (0.5, 1)),
    ],
)
def test_numbers_and_arrays_of_numpy_and_single_items_are_converted(name, value, converted):
    assert convert_settings(Task, {name: value, "other": 1, "output": None} | {name: value}) == {name: converted}
    assert not any(isinstance(item, np.generic) for item in np.atleast_1d(np.array(converted, object)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", "x", "seed: expected a whole number, found 'x'"),
        ("names", 5, "names: expected texts, found 5"),
        ("rows", 1.5, "rows: expected a name or whole numbers, found 1.5"),
        ("output", 5, "output: expected a path, found 5"),
        ("fractions", 0.5, "fractions: expected 2 numbers, found 0.5"),
    ],
)
def test_what_cannot_be_converted_is_refused(name, value, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        convert_settings(Task, {name: value})


def test_what_is_given_is_neither_none_nor_false_nor_empty():
    assert not any(map(is_given, (None, False, "", [], (), np.array([]))))
    assert all(map(is_given, ("a", 0, True, np.array([0]), np.array(["a", "b"]), [0])))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "expected a finite number, found nan"),
        ((0.5, float("inf")), "expected a finite number, found inf"),
        (2**63, "expected at most 9223372036854775807 in magnitude, found 9223372036854775808"),
        (-(10**40), "in magnitude, found a number of 133 bits"),
    ],
)
def test_every_number_is_finite_and_fits_into_64_bits(value, message):
    with pytest.raises(UserError, match=message):
        Limits().check("size", value)
