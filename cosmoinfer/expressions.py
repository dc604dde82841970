"""Arithmetic over named numbers, as a user writes it: ``sigma_8*(Omega_m/0.3)**0.5``.

Parsed here by hand into a few array operations; no text is ever executed as code.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cosmoinfer.errors import UserError

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sqrt": np.sqrt,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "abs": np.abs,
}
MAX_CHARACTERS, MAX_DEPTH = 1000, 50  # characters; brackets, signs and powers within one another
_BINARY: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*|\{[^{}]+\})|(?P<sign>\*\*|[-+*/()]))"
)


@dataclass(frozen=True)
class Expression:
    """text: as written. names: what it wants values of. steps: it, in postfix order."""

    text: str
    names: tuple[str, ...]
    steps: tuple[tuple[str, str | float], ...]

    def __call__(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Element by element, arrays broadcast; NaN or inf where it has no value."""
        stack: list[np.ndarray] = []
        with np.errstate(all="ignore"):
            for what, operand in self.steps:
                if what == "number":
                    stack.append(np.float64(operand))  # type: ignore[arg-type]
                elif what == "name":
                    stack.append(np.asarray(values[str(operand)], np.float64))
                elif what == "minus":
                    stack.append(-stack.pop())
                elif what == "function":
                    stack.append(FUNCTIONS[str(operand)](stack.pop()))
                else:
                    right, left = stack.pop(), stack.pop()
                    stack.append(_BINARY[str(operand)](left, right))
        return stack[0]


def parse(text: str, known: tuple[str, ...]) -> Expression:
    """Numbers, the ``known`` names, + - * / ** with Python's precedence, brackets, and FUNCTIONS.

    A name that is no identifier stands in braces: ``{Omega b}``. Raises UserError that says where it went wrong.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"the expression has {len(text)} characters; expected {MAX_CHARACTERS} at most")
    reader = _Reader(text, known)
    reader.sum(0)
    if reader.at < len(text.rstrip()):
        raise reader.wrong("an operator or the end")
    names = dict.fromkeys(str(operand) for what, operand in reader.steps if what == "name")
    if not names:
        raise UserError(f"{text!r} names no parameter; there are {', '.join(known)}")
    return Expression(text, tuple(names), tuple(reader.steps))


class _Reader:
    """By recursive descent, a method a rule; each leaves its value's steps behind in postfix order.

    sum = product {(+ | -) product}; product = factor {(* | /) factor}; factor = (+ | -) factor | power;
    power = atom [** factor]; atom = number | name | function(sum) | (sum).
    """

    def __init__(self, text: str, known: tuple[str, ...]) -> None:
        self.text, self.known = text, known
        self.at = 0
        self.steps: list[tuple[str, str | float]] = []

    @property
    def sign(self) -> str:
        """The operator or bracket that comes next, or nothing."""
        match = _TOKEN.match(self.text, self.at)
        return (match["sign"] or "") if match else ""

    def sum(self, depth: int) -> None:
        self._chain(("+", "-"), self.product, depth)

    def product(self, depth: int) -> None:
        self._chain(("*", "/"), self.factor, depth)

    def factor(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UserError(f"{self.text!r}: is nested more than {MAX_DEPTH} deep")
        if self.sign in ("+", "-"):
            minus = self._take() == "-"
            self.factor(depth + 1)
            self.steps += [("minus", "")] * minus
        else:
            self.power(depth)

    def power(self, depth: int) -> None:
        self.atom(depth)
        if self.sign == "**":
            self._take()
            self.factor(depth + 1)
            self.steps.append(("binary", "**"))

    def atom(self, depth: int) -> None:
        match = _TOKEN.match(self.text, self.at)
        if match and match["number"]:
            self._take()
            self.steps.append(("number", float(match["number"])))
        elif match and match["name"]:
            self._named(match, depth)
        elif self.sign == "(":
            self._bracket(depth)
        else:
            raise self.wrong("a number, a name or (")

    def _named(self, match: re.Match[str], depth: int) -> None:
        name, start = match["name"].strip("{}"), self.at
        self._take()
        if name in FUNCTIONS and self.sign == "(":
            self._bracket(depth)
            self.steps.append(("function", name))
        elif name in self.known:
            self.steps.append(("name", name))
        else:
            self.at = start
            raise self.wrong(f"a parameter ({', '.join(self.known)}) or a function ({', '.join(FUNCTIONS)})")

    def _bracket(self, depth: int) -> None:
        self._take()
        self.sum(depth + 1)
        if self.sign != ")":
            raise self.wrong("an operator or )")
        self._take()

    def _chain(self, signs: tuple[str, ...], operand: Callable[[int], None], depth: int) -> None:
        """Operands from left to right."""
        operand(depth)
        while self.sign in signs:
            taken = self._take()
            operand(depth)
            self.steps.append(("binary", taken))

    def _take(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        assert match
        self.at = match.end()
        return match[0].strip()

    def wrong(self, expected: str) -> UserError:
        rest = self.text[self.at :].strip()
        place = f"character {len(self.text) - len(self.text[self.at :].lstrip()) + 1}" if rest else "its end"
        return UserError(f"{self.text!r}: expected {expected} at {place}" + (f", found {rest[:20]!r}" if rest else ""))
