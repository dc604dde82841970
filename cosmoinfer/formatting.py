"""A number and its error, written to the digits that the error leaves."""

import math


def format_with_error(value: float, error: float) -> str:
    """To two digits of the error: 0.1397 and 0.0271 are '0.140 ± 0.027'."""
    if error == 0:
        return f"{value:.3g} ± 0"
    if not 1e-4 < error < 1e4:
        return f"{value:.3g} ± {error:.1e}"
    places = decimal_places(error)
    return f"{value:.{places}f} ± {error:.{places}f}"


def decimal_places(error: float) -> int:
    """Behind the point, of what has this error: two digits of it."""
    return max(0, 1 - math.floor(math.log10(error)))
