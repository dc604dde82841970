"""Numbers with errors, rounded to two significant digits of the error."""

import math


def format_with_error(value: float, error: float) -> str:
    """'0.140 ± 0.027' of 0.1397 and 0.0271: both to two significant digits of the error."""
    if error == 0:
        return f"{value:.3g} ± 0"
    if not 1e-4 < error < 1e4:
        return f"{value:.3g} ± {error:.1e}"
    places = decimal_places(error)
    return f"{value:.{places}f} ± {error:.{places}f}"


def decimal_places(error: float) -> int:
    """Decimal places that give two significant digits of an error."""
    return max(0, 1 - math.floor(math.log10(error)))
