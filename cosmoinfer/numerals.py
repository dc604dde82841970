"""Numbers as options hold them within a text: whole and finite ones, in time that grows with the length of the text."""

import math

MAX_DIGITS = 1000  # of a whole number: Python refuses to convert more than some thousand, and no limit is that large


def whole_number(text: str) -> int | None:
    """``0``, ``25``, without sign, spaces around it allowed; None for any other text."""
    digits = text.strip()
    return int(digits) if digits.isdecimal() and len(digits) <= MAX_DIGITS else None


def finite_number(text: str) -> float | None:
    """``0.3``, ``-1e-3``; None for any other text, and for NaN and infinities."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
