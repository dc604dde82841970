"""Labels of parameters, typeset: LaTeX of a file where it is harmless, names that the field uses, else plain text."""

from matplotlib.mathtext import MathTextParser

from cosmoinfer.latex import WITH_UNIT, harmless_latex, name_symbol, unit_latex
from cosmoinfer.parameters import Parameters
from cosmoinfer.printable import one_line

MAX_NAME = 24  # characters of a name in a figure; longer ones leave no room for the panels


def parameter_label(parameters: Parameters, name: str) -> str:
    """The LaTeX label of a parameter, and its unit in brackets; its name, typeset if common, where it has none.

    Nor is a label shown that cannot be typeset.
    """
    label = parameters.labels[parameters.names.index(name)].strip(" ")
    return (typeset(label) if label != name else None) or typeset_name(name) or plain_text(name)


def typeset(label: str) -> str | None:
    """LaTeX of a file or a user as the text of a figure: ``\\sum m_\\nu [eV]``; None where it is not harmless."""
    if match := WITH_UNIT.fullmatch(label):
        symbol = typeset(match[1])
        return symbol and f"{symbol} {_unit(match[2])}"
    latex = harmless_latex(label)
    return f"${latex}$" if latex and _is_mathtext(latex) else None


def typeset_name(name: str) -> str | None:
    """A name as papers write it: ``Omega_m``, ``sigma8``, ``w_0``, ``A_SN1``, ``log10_M``; None of any other."""
    if match := WITH_UNIT.fullmatch(name):
        symbol = typeset_name(match[1])
        return symbol and f"{symbol} {_unit(match[2])}"
    if len(name) > MAX_NAME:
        return None
    symbol = name_symbol(name)
    return symbol and f"${symbol}$"


def plain_text(name: str, limit: int = MAX_NAME) -> str:
    """A name from a file as the text of a figure: one short line, in which no dollar sign begins mathematics."""
    return one_line(name, limit).replace("$", r"\$")


def _unit(text: str) -> str:
    """``[$\\mathrm{km\\ s^{-1}}$]`` of ``km s^-1``."""
    unit = unit_latex(text)
    return f"[${unit}$]" if _is_mathtext(unit) else f"[{text}]"


def _is_mathtext(latex: str) -> bool:
    """Whether matplotlib can set it."""
    try:
        MathTextParser("path").parse(f"${latex}$")
    except ValueError:
        return False
    return True
