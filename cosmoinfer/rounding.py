"""A number and its error, written to the digits that the error leaves."""

import math


def rounded(value: float, error: float) -> str:
    """To two digits of the error: 0.1397 and 0.0271 are '0.140 ± 0.027'."""
    if error == 0:
        return f"{value:.3g} ± 0"
    if not 1e-4 < error < 1e4:
        return f"{value:.3g} ± {error:.1e}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
