"""Numbers with errors, rounded to two significant digits of the error."""

import math

ROUNDING_FRACTION = 1e-12  # of a value: an error below it is none
MIN_PRINTED_P_VALUE = 1e-6  # below, a test's distribution is not known well enough to tell


def format_with_error(value: float, error: float) -> str:
    """'0.140 ± 0.027' of 0.1397 and 0.0271: both to two significant digits of the error.

    The value alone where the error is not known (NaN, as of a single draw), or zero but for rounding.
    """
    if math.isnan(error) or not math.isfinite(value) or error <= ROUNDING_FRACTION * abs(value):
        return f"{value:.3g}"
    if math.isinf(error):
        return f"{value:.3g} ± inf"
    if not 1e-4 < error < 1e4:
        digits = 2 + math.floor(math.log10(abs(value) or error)) - math.floor(math.log10(error))
        return f"{value:.{max(3, digits)}g} ± {error:.1e}"
    places = decimal_places(error)
    return f"{value:.{places}f} ± {error:.{places}f}"


def decimal_places(error: float) -> int:
    """Decimal places that give two significant digits of an error."""
    return max(0, 1 - math.floor(math.log10(error)))


def format_p_value(p: float) -> str:
    """'0.0123', or '< 1e-06' of anything less."""
    return f"{p:.3g}" if p >= MIN_PRINTED_P_VALUE else f"< {MIN_PRINTED_P_VALUE:.0e}"
