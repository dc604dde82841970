"""Expressions: Python's arithmetic without Python, arrays, and errors that show the place."""

import math

import numpy as np
import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.expressions import MAX_CHARACTERS, MAX_DEPTH, parse, parse_condition, rename, spell

VALUES = {"a": 2.5, "b": -0.75, "Omega_m": 0.3, "A_SN1": 1.7, "log": 3.0}
NAMES = (*VALUES, "Omega b", "Ω_m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a+b*Omega_m", 2.5 + -0.75 * 0.3),
        ("a-b-A_SN1", 2.5 + 0.75 - 1.7),
        ("a/b/A_SN1", 2.5 / -0.75 / 1.7),
        ("a-b*A_SN1**2/Omega_m", 2.5 + 0.75 * 1.7**2 / 0.3),
        ("-a**2", -(2.5**2)),
        ("(-a)**2", 2.5**2),
        ("2**-a", 2**-2.5),
        ("a**Omega_m**2", 2.5 ** (0.3**2)),
        ("(a**Omega_m)**2", (2.5**0.3) ** 2),
        ("--a+-+-b", 2.5 - 0.75),
        ("a*-b", 2.5 * 0.75),
        ("2*-a**2", -2 * 2.5**2),
        ("1e-3*a + .5 - 2.E1", 0.0025 + 0.5 - 20),
        ("  a *( b+\tA_SN1 )  ", 2.5 * (-0.75 + 1.7)),
        (
            "sqrt(a)+log(a)*log10(a)-exp(b)/abs(b)",
            math.sqrt(2.5) + math.log(2.5) * math.log10(2.5) - math.exp(-0.75) / 0.75,
        ),
        ("log(log)", math.log(3)),
        ("abs(-(a-4))**2", 1.5**2),
    ],
)
def test_arithmetic_is_that_of_python(text, expected):
    assert parse(text, NAMES)(VALUES) == pytest.approx(expected, rel=1e-14)


def test_random_expressions_have_the_value_of_the_tree_that_they_were_written_from():
    """Built as trees whose value is computed beside them, then written with and without needless brackets."""
    random = np.random.default_rng(0)

    def grown(depth):  # text, value, precedence of its outermost operator
        if depth == 0 or random.random() < 0.2:
            name = random.choice(["a", "b", "Omega_m", "A_SN1"])
            return str(name), VALUES[str(name)], 4
        sign = str(random.choice(["+", "-", "*", "/", "minus"]))
        left, x, left_precedence = grown(depth - 1)
        if sign == "minus":
            return f"-{left if left_precedence >= 3 else f'({left})'}", -x, 3
        right, y, right_precedence = grown(depth - 1)
        level = 1 if sign in "+-" else 2
        left = left if left_precedence >= level and random.random() < 0.7 else f"({left})"
        right = right if right_precedence > level and random.random() < 0.7 else f"({right})"
        return f"{left} {sign} {right}", {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else np.inf}[sign], level

    for _ in range(200):
        text, expected, _ = grown(4)
        if any(name in text for name in NAMES) and np.isfinite(value := parse(text, NAMES)(VALUES)):
            assert value == pytest.approx(expected, rel=1e-9), text


def test_arrays_broadcast():
    a, b = np.arange(1.0, 7.0).reshape(3, 2), np.array([[2.0], [3.0], [4.0]])
    values = parse("a**2/b - sqrt(a)", ("a", "b"))({"a": a, "b": b})
    np.testing.assert_allclose(values, a**2 / b - np.sqrt(a), rtol=1e-15)


def test_names_are_told_in_the_order_in_which_they_appear():
    assert parse("A_SN1*(a+A_SN1)/{Omega b}*Ω_m", NAMES).names == ("A_SN1", "a", "Omega b", "Ω_m")


def test_what_has_no_value_is_not_finite():
    values = {"a": np.array([-1.0, 0.0, 1.0])}
    assert np.isnan(parse("sqrt(a)", ("a",))(values)[0])
    assert parse("log(a)", ("a",))(values)[1] == -np.inf
    assert np.isnan(parse("a**0.5", ("a",))(values)[0])
    assert parse("9**9**9**9*a", ("a",))(values)[2] == np.inf


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "at its end"),
        ("a+", "at its end"),
        ("a*(b+2", "expected an operator or ) at its end"),
        ("a b", "at character 3, found 'b'"),
        ("a^2", "at character 2, found '^2'"),
        ("2a", "at character 2, found 'a'"),
        ("a + Omega_n", "no parameter is named Omega_n, at character 5; did you mean Omega_m"),
        ("a + nothing", "at character 5, found 'nothing'"),
        ("a)", "at character 2, found ')'"),
        ("sin(a)", "at character 1"),
        ("sqrt a", "at character 1"),
        ("a.real", "at character 2, found '.real'"),
        ("a//b", "at character 3, found '/b'"),
        ("a if b else a", "at character 3"),
        ("a,b", "at character 2"),
        ("a[0]", "at character 2"),
        ("__import__('os')", "at character 1"),
        ("(lambda: a)()", "at character 2"),
        ("a=1", "at character 2"),
        ("1+2", "names no parameter"),
        ("{Omega", "at character 1"),
        ("()", "at character 2, found ')'"),
    ],
)
def test_an_error_shows_the_place(text, place):
    with pytest.raises(UserError) as raised:
        parse(text, NAMES)
    assert place in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["-" * 900 + "a", "(" * 400 + "a" + ")" * 400, "2**" * 300 + "a", "sqrt(" * 100 + "a" + ")" * 100]
)
def test_what_is_nested_too_deep_is_refused(text):
    with pytest.raises(UserError, match=f"more than {MAX_DEPTH} deep"):
        parse(text, NAMES)


def test_what_is_too_long_is_refused_and_what_is_long_is_not():
    with pytest.raises(UserError, match=f"{MAX_CHARACTERS} at most"):
        parse("a" + "+a" * MAX_CHARACTERS, NAMES)
    assert parse("a" + "+a" * 400, NAMES)(VALUES) == pytest.approx(401 * 2.5)


def test_names_that_python_keeps_for_itself_are_names():
    names = ("lambda", "None", "µ", "is", "_0")
    values = {name: float(number) for number, name in enumerate(names, start=2)}
    assert parse("lambda*None - µ**is/_0", names)(values) == pytest.approx(2 * 3 - 4**5 / 6)


@pytest.mark.parametrize("text", ["9**9**9*a", "a**" + "9" * 300, "9" * 900 + "*a"])
def test_large_numbers_are_infinite_at_once(text):
    assert parse(text, NAMES)(VALUES) == np.inf


def test_the_longest_text_that_is_allowed_is_parsed():
    assert parse("-a" * (MAX_CHARACTERS // 2), NAMES)(VALUES) == pytest.approx(-2.5 * MAX_CHARACTERS / 2)


@pytest.mark.parametrize(
    "text", ["0x10*a", "1_0*a", "1j*a", "a@b", "a<b", "a and b", "not a", "~a", "a if 1", "'a'", "a;b", "a:=1"]
)
def test_the_rest_of_python_is_refused(text):
    with pytest.raises(UserError, match="expected"):
        parse(text, NAMES)


@pytest.mark.parametrize(
    "text", ["sqrt()", "sqrt(a, b)", "sqrt(*a)", "sqrt(x=a)", "a(b)", "(a)(b)", "sqrt(a)(b)", "2(a)"]
)
def test_a_function_has_one_argument_and_only_functions_are_called(text):
    with pytest.raises(UserError, match="expected"):
        parse(text, NAMES)


# -------------------------------------------------------------------------------------------------------- conditions
def holds(text, **values):
    return parse_condition(text, NAMES).holds(VALUES | values).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a>2", True),
        ("a+b<1.75", False),
        ("a+b<=1.75", True),
        ("-1 < b < 0", True),
        ("-1 < b < -0.75", False),
        ("a > 2 and b > 0", False),
        ("(a > 2) and ((b < 0) and A_SN1 >= 1.7)", True),
        ("((a > 2 and b < 0))", True),
        ("sqrt(a) > abs(b)*2", True),
        ("{Omega_m}*2 < log", True),
        ("1 < a", True),
    ],
)
def test_comparisons_are_those_of_python(text, expected):
    assert holds(text) == expected


def test_a_comparison_without_a_value_does_not_hold():
    assert holds("sqrt(b) < 1") is False and holds("a < 3", a=np.nan) is False
    assert holds("a < 3", a=np.array([1.0, np.nan, 4.0])) == [True, False, False]


def test_a_condition_names_what_it_compares_and_nothing_else():
    assert parse_condition("-1 < b < 0 and b < a", NAMES).names == ("b", "a")
    assert parse_condition("and < a and a < and", ("a", "and")).names == ("and", "a")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a+b", "'a.b': expected comparisons by < <= > or >=, joined by 'and'"),
        ("a==b", "'a==b': expected comparisons"),
        ("a=b", "'a=b': expected comparisons"),
        ("1<2", "'1 < 2' names no parameter"),
        ("0<1<a", "'0 < 1' names no parameter"),
        ("a<", "at its end"),
        ("a<1 or b<1", "expected an operator or the end at character 3, found 'or b'"),
        ("not a<1", "expected a parameter"),
        ("sqrt(a<1)", "expected comparisons"),
        ("(a<1)+1 < 2", "expected an operator or . at character 3"),
        ("a<1 and", "expected comparisons"),
        ("c<1", "expected a parameter"),
        ("a<1" + " and a<1" * 200, "1000 at most"),
    ],
)
def test_what_is_no_condition_is_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_condition(text, NAMES)


def test_rounding_is_a_step_of_each_value():
    condition, steps = parse_condition("a*b < 1 and a > 0", NAMES), {"a": 1e-6, "b": 1e-6}
    near = {"a": np.array([2.0, 2.0, -1e-7, 2.0]), "b": np.array([0.5 + 1e-7, 0.5 + 1e-4, 0.1, np.nan])}
    assert condition.holds(near).tolist() == [False] * 4
    assert condition.holds_within(near, steps).tolist() == [True, False, True, False]


def test_names_are_exchanged_wherever_they_stand_for_a_value():
    renamed = rename("sqrt(sqrt) < {Omega b} and  a>1e-3*and", {"sqrt": "x", "Omega b": "y z", "and": "b", "a": "c"})
    assert renamed == "sqrt(x) < {y z} and  c>1e-3*b"
    assert rename("sqrt(a)<{Omega b}", {"a": "Ω_m", "Omega b": "c"}) == "sqrt(Ω_m)<c"


def test_texts_of_the_same_tokens_are_spelled_alike():
    for text in ("w0+wa<0 and {Omega b}>1", " w0 + {wa}<0  and {Omega b} >1"):
        assert spell(text) == "w0+wa<0 and {Omega b}>1"
    assert spell("2 * sqrt( a )") == "2*sqrt(a)"
