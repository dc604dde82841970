"""LaTeX of parameters: the symbols of names that the field uses, units, and whether LaTeX of a file is harmless."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from cosmoinfer.errors import UserError, join_first
from cosmoinfer.printable import one_line

MAX_LABEL, MAX_LABEL_DEPTH, MAX_LABEL_COMMANDS = 120, 6, 20  # characters, nested braces and backslashes of LaTeX
OF_ANY_SIZE = re.compile(r"\\(hspace|genfrac)")  # take a length: of 1e6, more than memory holds
WITH_UNIT = re.compile(r"(.*?\S)\s*\[([A-Za-z0-9 /^*.()+-]{1,30})\]")  # H_0 [km/s/Mpc]
ESCAPED = {character: rf"\{character}" for character in "_{}$%&"} | {" ": r"\ "}  # in text within mathematics
NOT_ESCAPED = re.compile(r"[\\^~#!]")  # what no reader of labels takes in text

GREEK_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
GREEK = GREEK_LETTERS.split()
COMMON = {  # names that no rule explains, without their underscores
    **{f"omega{index}": rf"\Omega_\mathrm{{{index}}}" for index in "mbc"},
    **{f"omega{index}h2": rf"\Omega_\mathrm{{{index}}}h^2" for index in "mbc"},
    "omegak": r"\Omega_k",
    "omegal": r"\Omega_\Lambda",
    "Om": r"\Omega_\mathrm{m}",
    "Ob": r"\Omega_\mathrm{b}",
    "ns": r"n_\mathrm{s}",
    "As": r"A_\mathrm{s}",
    "wa": "w_a",
    "mnu": r"\sum m_\nu",
    "Mnu": r"M_\nu",
    "summnu": r"\sum m_\nu",
    "Neff": r"N_\mathrm{eff}",
    "Nnu": r"N_\nu",
    "fNL": r"f_\mathrm{NL}",
    "zre": r"z_\mathrm{re}",
    "chi2": r"\chi^2",
    "fsigma8": r"f\sigma_8",
    "logA": r"\ln(10^{10}A_\mathrm{s})",
    "ln10As": r"\ln(10^{10}A_\mathrm{s})",
    "ln1010As": r"\ln(10^{10}A_\mathrm{s})",
    "100thetas": r"100\,\theta_\mathrm{s}",
    "100thetaMC": r"100\,\theta_\mathrm{MC}",
    "thetaMC100": r"100\,\theta_\mathrm{MC}",
}
SYMBOL = "|".join(sorted(GREEK, key=len, reverse=True))
NAME = re.compile(
    rf"(?:(?P<function>log10|log|ln)_?)?(?P<base>{SYMBOL}|[A-Za-z])"
    rf"(?:_(?P<index>[A-Za-z0-9]{{1,10}}?(?:_[A-Za-z0-9]{{1,4}}?)??)|(?P<number>[0-9]{{1,2}})"
    rf"|(?<=[aA])(?P<attached>m|b|c|k|K|r|nu|de|DE|cdm|cb|Lambda|lambda))?(?P<h>_?h\^?2)?"
)
FUNCTIONS = {"log10": r"\log_{10} ", "log": r"\log ", "ln": r"\ln ", None: ""}
ITALIC = set("aijklnxyz")  # of an index that counts, or is a variable; others are short for words


def latex_label(name: str, label: str) -> str:
    """LaTeX of a parameter as it stands between dollar signs, and its unit in brackets, ``H_0\\ [\\mathrm{km}]``.

    label: that of a catalog, which wins where it is harmless and not the name alone; else the symbol of the name, or
    the name as text.
    """
    for text, symbol in ((label.strip(" ") if label != name else "", harmless_latex), (name, name_symbol)):
        unit = WITH_UNIT.fullmatch(text)
        if latex := symbol(unit[1] if unit else text):
            return rf"{latex}\ [{unit_latex(unit[2])}]" if unit else latex
    text = NOT_ESCAPED.sub(" ", one_line(name, MAX_LABEL))
    return rf"\mathrm{{{''.join(ESCAPED.get(letter, letter) for letter in text)}}}"


def harmless_latex(label: str) -> str | None:
    """LaTeX of a file or a user, without the dollar signs around it; None where it is not harmless."""
    label = label.strip("$")
    return label if _is_harmless(label) else None


def name_symbol(name: str) -> str | None:
    """A name as papers write it, without its unit: ``Omega_m``, ``sigma8``, ``w_0``, ``log10_M``; None of any other."""
    name = _spelled_out(name)
    compact = name if name.startswith("omega") else name.replace("_", "")  # omega_m is not Omega_m
    if symbol := COMMON.get(compact):
        return symbol
    match = NAME.fullmatch(name)
    if match is None:
        return None
    base = rf"\{match['base']}" if match["base"] in GREEK else match["base"]
    index = match["index"] or match["number"] or match["attached"]
    index = "" if index is None else f"_{{{','.join(map(_index, index.split('_')))}}}"
    return f"{FUNCTIONS[match['function']]}{base}{index}{'h^2' if match['h'] else ''}"


def match_spellings(names: Sequence[str], preferred: Sequence[str]) -> dict[str, str]:
    """For names that others spell in another way, ``sigma8`` of a chain, the preferred one, ``sigma_8``.

    Raises UserError where several of one symbol leave it open which are the same.
    """
    spellings: dict[str, str] = {}
    for name in (name for name in preferred if name not in names):
        alike = [entry for entry in names if _symbol_key(entry) == _symbol_key(name) and entry not in preferred]
        rivals = [entry for entry in preferred if _symbol_key(entry) == _symbol_key(name) and entry not in names]
        if alike and len(alike) + len(rivals) > 2:
            raise UserError(
                f"{join_first(alike)} may be {join_first(rivals)} of the posterior, by their symbol; the same name on "
                "both sides would decide"
            )
        spellings |= dict.fromkeys(alike, name)
    return spellings


def _symbol_key(name: str) -> str:
    """The same of all spellings of a name, ``sigma8`` and ``sigma_8``, ``omegam`` and ``Omega_m``.

    The name itself where it is no symbol.
    """
    symbol = name_symbol(name)
    return name if symbol is None else re.sub("[{}]", "", symbol)


def unit_latex(text: str) -> str:
    """``\\mathrm{km\\ s^{-1}}`` of ``km s^-1``."""
    powers = re.sub(r"\^\(?([+-]?\d+)\)?", r"^{\1}", text.strip()).replace("*", r"\,").replace(" ", r"\ ")
    return rf"\mathrm{{{powers}}}"


def _spelled_out(name: str) -> str:
    """In ASCII: Greek letters by their names, ``sigma_8`` of ``\u03c3\u2088``."""
    letters = []
    for letter in unicodedata.normalize("NFKC", name):
        kind, _, title = unicodedata.name(letter, "").partition(" LETTER ")
        greek = {"GREEK SMALL": title.lower(), "GREEK CAPITAL": title.capitalize()}.get(kind, "")
        letters.append((greek + "_") if greek in GREEK else letter)
    return re.sub("_+", "_", "".join(letters)).rstrip("_")


def _index(word: str) -> str:
    if word in GREEK:
        return rf"\{word}"
    return word if word in ITALIC or word.isdigit() else rf"\mathrm{{{word}}}"


def _is_harmless(label: str) -> bool:
    """Whether matplotlib can set it in little time and space, or say that it cannot: its parser is recursive."""
    braces = re.sub(r"\\.|[^{}]", "", label)
    depths = [0, *accumulate({"{": 1, "}": -1}[brace] for brace in braces)]
    balanced = min(depths) == 0 == depths[-1]
    short = len(label) <= MAX_LABEL and max(depths) <= MAX_LABEL_DEPTH and label.count("\\") <= MAX_LABEL_COMMANDS
    harmless = label.isprintable() and "$" not in label and not OF_ANY_SIZE.search(label)
    return bool(label) and balanced and short and harmless
