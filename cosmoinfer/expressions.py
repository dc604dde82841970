"""Arithmetic over named numbers, as a user writes it, ``sigma_8*(Omega_m/0.3)**0.5``; comparisons, ``w0 + wa < 0``.

Python's parser sees placeholders and operators only, and gives their precedence; no text is ever executed as code.
Every number is a float64, so that a tower of powers such as ``9**9**9`` is inf at once: no large integer is computed.
"""

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError, suggest
from cosmoinfer.quoting import QUOTED, quote, unquote

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sqrt": np.sqrt,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "abs": np.abs,
}
COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
MAX_CHARACTERS, MAX_DEPTH = 1000, 50  # depth: brackets, signs and powers within one another
_BINARY: dict[type[ast.operator], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_UNARY: dict[type[ast.unaryop], Callable[[np.ndarray], np.ndarray]] = {ast.UAdd: np.positive, ast.USub: np.negative}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*|" + QUOTED + r")|"
    r"(?P<sign>\*\*|[-+*/()])|(?P<comparison>[<>]=?)|\S)"
)


@dataclass(frozen=True)
class Expression:
    """text: as written. names: of the values that it takes, in the order in which they appear.

    tree: of operators over the placeholders ``_0``, ``_1``, ...
    operands: the number, or the name of a value or of a function, that each placeholder stands for.
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr
    operands: Mapping[str, float | str]

    def __call__(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Element by element in float64, arrays (...) broadcast; NaN or inf where it has no value."""
        with np.errstate(all="ignore"):
            return self._evaluate(self.tree, values)

    def _evaluate(self, node: ast.expr, values: Mapping[str, np.ndarray]) -> np.ndarray:
        match node:
            case ast.BinOp(left, operator, right):
                return _BINARY[type(operator)](self._evaluate(left, values), self._evaluate(right, values))
            case ast.UnaryOp(sign, operand):
                return _UNARY[type(sign)](self._evaluate(operand, values))
            case ast.Call(ast.Name(function), [argument]):
                return FUNCTIONS[str(self.operands[function])](self._evaluate(argument, values))
            case ast.Name(placeholder):
                name_or_number = self.operands[placeholder]
                value = values[name_or_number] if isinstance(name_or_number, str) else name_or_number
                return np.asarray(value, np.float64)[()]
        raise AssertionError(f"{ast.dump(node)} is none of what the tokens can make")


@dataclass(frozen=True)
class Comparison:
    """Two expressions and a key of COMPARISONS."""

    left: Expression
    operator: str
    right: Expression

    def holds(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Element by element, arrays (...) broadcast; not where a side has no value."""
        with np.errstate(invalid="ignore"):
            return COMPARISONS[self.operator](self.left(values), self.right(values))

    def holds_within(self, values: Mapping[str, np.ndarray], steps: Mapping[str, np.ndarray]) -> np.ndarray:
        """The same up to the difference that a step of each value makes, to first order: values may be rounded.

        values, steps: (n,) or (), by name.
        """
        difference = self._difference(values)
        moved = {**values}
        tolerance = np.zeros(np.shape(difference))
        for name, step in steps.items():
            moved[name] = values[name] + step
            tolerance = tolerance + np.abs(self._difference(moved) - difference)
            moved[name] = values[name]
        with np.errstate(invalid="ignore"):
            return self.holds(values) | (np.abs(difference) <= tolerance)

    def _difference(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return self.left(values) - self.right(values)


@dataclass(frozen=True)
class Condition:
    """Comparisons that must all hold. text: as written. names: of the values that they compare."""

    text: str
    names: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    def holds(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether all comparisons hold, element by element, arrays (...) broadcast."""
        return np.logical_and.reduce([comparison.holds(values) for comparison in self.comparisons])

    def holds_within(self, values: Mapping[str, np.ndarray], steps: Mapping[str, np.ndarray]) -> np.ndarray:
        """The same up to the difference that a step of each value makes; values, steps: (n,) or (), by name."""
        return np.logical_and.reduce([comparison.holds_within(values, steps) for comparison in self.comparisons])


def parse_condition(text: str, names: tuple[str, ...]) -> Condition:
    """Expressions of ``names`` between < <= > >=, as in ``-3 < w0 + wa < 0``; several joined by ``and``.

    Raises UserError that says where it went wrong, and where the text names nothing or is too long.
    """
    _check_length(text)
    comparisons = tuple(_parse_comparisons(text, names))
    used = [name for comparison in comparisons for name in (*comparison.left.names, *comparison.right.names)]
    return Condition(text, tuple(dict.fromkeys(used)), comparisons)


def rename(text: str, new_names: Mapping[str, str]) -> str:
    """The text of an expression or a condition with other names for its values; what is not renamed stays.

    Raises UserError where the text is too long.
    """
    _check_length(text)
    tokens, written = list(_TOKEN.finditer(text)), []
    is_operand = [_ends_operand(token) for token in tokens]
    for place, token in enumerate(tokens):
        name, following = unquote(token["name"] or ""), tokens[place + 1] if place + 1 < len(tokens) else None
        is_function = name in FUNCTIONS and following is not None and following["sign"] == "("
        is_joint = token["name"] == "and" and place > 0 and is_operand[place - 1]
        if name in new_names and not is_function and not is_joint:
            new = new_names[name]
            space = token[0][: len(token[0]) - len(token[0].lstrip())]
            written.append(space + _write_name(new))
        else:
            written.append(token[0])
    return "".join(written)


def spell(text: str) -> str:
    """An expression or a condition in the spelling that it shares with others of the same tokens: ``w0+wa<0``.

    Raises UserError where the text is too long.
    """
    _check_length(text)
    tokens = _TOKEN.finditer(text)
    words = [_write_name(unquote(token["name"])) if token["name"] else token[0].strip() for token in tokens]
    return "".join(" and " if word == "and" else word for word in words)


def _parse_comparisons(text: str, names: tuple[str, ...]) -> Iterator[Comparison]:
    tokens = list(_TOKEN.finditer(text))
    depth = np.cumsum([(token["sign"] == "(") - (token["sign"] == ")") for token in tokens])
    is_operand = [_ends_operand(token) for token in tokens]
    joints = [
        place
        for place, token in enumerate(tokens)
        if token["name"] == "and" and depth[place] == 0 and place and is_operand[place - 1]
    ]
    if joints:
        for first, last in itertools.pairwise([-1, *joints, len(tokens)]):
            yield from _parse_comparisons("".join(token[0] for token in tokens[first + 1 : last]).strip(), names)
        return
    signs = [place for place, token in enumerate(tokens) if token["comparison"] and depth[place] == 0]
    if not signs:
        in_brackets = len(tokens) > 2 and tokens[0]["sign"] == "(" and (depth[:-1] > 0).all() and depth[-1] == 0
        if not in_brackets or not any(token["comparison"] for token in tokens):
            raise UserError(f"{text!r}: expected comparisons by < <= > or >=, joined by 'and', as in 'w0 + wa < 0'")
        yield from _parse_comparisons("".join(token[0] for token in tokens[1:-1]).strip(), names)
        return
    sides = [
        parse("".join(token[0] for token in tokens[first + 1 : last]).strip(), names, may_be_constant=True)
        for first, last in itertools.pairwise([-1, *signs, len(tokens)])
    ]
    for sign, (left, right) in zip(signs, itertools.pairwise(sides), strict=True):
        if not left.names and not right.names:
            raise _names_nothing(f"{left.text} {tokens[sign]['comparison']} {right.text}", names)
        yield Comparison(left, tokens[sign]["comparison"], right)


def parse(text: str, names: tuple[str, ...], may_be_constant: bool = False) -> Expression:
    """Numbers, ``names``, + - * / ** with Python's precedence, brackets, and FUNCTIONS.

    A name that is no identifier stands in braces: ``{Omega b}`` (``quoting``). Raises UserError that says where it
    went wrong, and where the text is longer than MAX_CHARACTERS, nested deeper than MAX_DEPTH, or constant where it may
    not be.
    """
    _check_length(text)
    tokens = list(_TOKEN.finditer(text))
    _check(text, tokens, names)
    operands: dict[str, float | str] = {}
    written = []
    for token in tokens:
        if token["sign"]:
            written.append(token["sign"])
        else:
            written.append(f"_{len(operands)}")
            operands[written[-1]] = float(token["number"]) if token["number"] else unquote(token["name"])
    tree = ast.parse(" ".join(written), mode="eval").body
    functions = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    used = [operand for key, operand in operands.items() if isinstance(operand, str) and key not in functions]
    if not used and not may_be_constant:
        raise _names_nothing(text, names)
    return Expression(text, tuple(dict.fromkeys(used)), tree, operands)


def _write_name(name: str) -> str:
    return name if name.isidentifier() else quote(name)


def _ends_operand(token: re.Match[str]) -> bool:
    return bool(token["number"] or token["name"]) or token["sign"] == ")"


def _check_length(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"the expression has {len(text)} characters; expected {MAX_CHARACTERS} at most")


def _check(text: str, tokens: list[re.Match[str]], names: tuple[str, ...]) -> None:
    """Operands and operators take turns, and brackets close.

    A bracket, a sign and the exponent of a power are each one deeper than what they stand in.
    """
    nesting, operand_is_next = [0], True  # per open bracket: signs and powers since the last + - * /
    for token, following in itertools.zip_longest(tokens, tokens[1:]):
        name, sign = unquote(token["name"] or ""), token["sign"] or ""
        if operand_is_next and name in FUNCTIONS and following and following["sign"] == "(":
            continue
        if operand_is_next and name and name not in names:
            raise _unknown_name(text, token, name, names)
        if operand_is_next and (name or token["number"]):
            operand_is_next = False
        elif operand_is_next and sign == "(":
            nesting.append(0)
        elif operand_is_next and sign in ("+", "-"):
            nesting[-1] += 1
        elif operand_is_next:
            raise _wrong(text, token, "a number, a name or (")
        elif sign == ")" and len(nesting) > 1:
            nesting.pop()
        elif sign and sign not in "()":
            nesting[-1] = nesting[-1] + 1 if sign == "**" else 0
            operand_is_next = True
        else:
            raise _wrong(text, token, "an operator or )" if len(nesting) > 1 else "an operator or the end")
        if len(nesting) - 1 + sum(nesting) > MAX_DEPTH:
            raise UserError(f"{text!r}: is nested more than {MAX_DEPTH} deep")
    if operand_is_next:
        raise _wrong(text, None, "a number, a name or (")
    if len(nesting) > 1:
        raise _wrong(text, None, "an operator or )")


def _names_nothing(text: str, names: tuple[str, ...]) -> UserError:
    return UserError(f"{text!r} names no parameter; there are {', '.join(map(_write_name, names))}")


def _unknown_name(text: str, token: re.Match[str], name: str, names: tuple[str, ...]) -> UserError:
    if question := suggest(name, () if name in FUNCTIONS else (*map(_write_name, names), *FUNCTIONS)):
        start = token.end() - len(token[0].lstrip())
        return UserError(f"{text!r}: no parameter is named {name}, at character {start + 1}; {question}")
    return _wrong(
        text, token, f"a parameter ({', '.join(map(_write_name, names))}) or a function ({', '.join(FUNCTIONS)})"
    )


def _wrong(text: str, token: re.Match[str] | None, expected: str) -> UserError:
    """token: the first that does not fit; None where the text ends too early."""
    if token is None:
        return UserError(f"{text!r}: expected {expected} at its end")
    start = token.end() - len(token[0].lstrip())
    return UserError(f"{text!r}: expected {expected} at character {start + 1}, found {text[start:].rstrip()[:20]!r}")
