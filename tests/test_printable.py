"""Is what a file holds one bounded line that does nothing, wherever it is shown from Python?"""

import copy
import warnings

import numpy as np
import pytest

from cosmoinfer import catalog_from_arrays
from cosmoinfer.errors import CosmoinferWarning, GateFailed, UserError, warn
from cosmoinfer.metrics import evaluate
from cosmoinfer.metrics.tables import Table
from cosmoinfer.parameters import Parameters
from cosmoinfer.printable import MAX_LINE, html, one_line
from tests.command_line import linear
from tests.posteriors import make

WORD, SHOWN = "\x1b[31m<a>\n\u202e", r"\x1b[31m<a>\n\u202e"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ω_m [h/Mpc] \\alpha", "Ω_m [h/Mpc] \\alpha"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\nb\r\tc\x00\x7f\x85", r"a\nb\r\tc\x00\x7f\x85"),
        ("a\u2028b\u2029c\xa0d", r"a\u2028b\u2029c\xa0d"),
        ("\u202eevil\u2066\u200b\ufeff", r"\u202eevil\u2066\u200b\ufeff"),
        ("\udcff\U000e0041", r"\udcff\U000e0041"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, line: str) -> None:
    assert one_line(text) == line
    assert one_line(line) == line


@pytest.mark.parametrize("letter", ["x", "\x1b", "\U000e0041"])
@pytest.mark.parametrize("limit", [20, 21, MAX_LINE])
def test_a_long_text_keeps_its_two_ends(letter: str, limit: int) -> None:
    line = one_line(f"begin{letter * 10**6}end", limit)
    assert len(line) == limit and line.startswith("begin") and line.endswith("end") and "..." in line
    assert one_line(line, limit) == line


def test_html_has_neither_tags_nor_controls() -> None:
    assert html(WORD) == r"\x1b[31m&lt;a&gt;\n\u202e"


@pytest.mark.parametrize(
    "error",
    [UserError(f"{WORD}: is empty", "bounds", WORD), GateFailed(f"r2[{WORD}] is 0.1", f"chi2[{WORD}] is 7")],
    ids=["error", "gates"],
)
def test_an_error_is_one_line_also_behind_a_pool(error: UserError) -> None:
    for raised in (error, copy.copy(error)):  # as multiprocessing rebuilds it
        assert str(raised).isprintable() and SHOWN in str(raised)
        assert raised.messages == error.messages and all(line.isprintable() for line in raised.messages)


def test_every_gate_that_failed_has_a_line() -> None:
    assert GateFailed("r2 is 0.1", "chi2 is 7").messages == ("r2 is 0.1", "chi2 is 7")


def test_a_warning_is_one_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CosmoinferWarning)
        warn(f"{WORD}: unlike the training data")
    assert [str(warning.message) for warning in caught] == [f"{SHOWN}: unlike the training data"]


def test_what_python_and_notebooks_show_has_no_controls() -> None:
    theta, x = linear(80, 1)
    parameters = Parameters.from_names([WORD, "sigma_8"], [0.1, 0.6], [0.5, 1.0])
    index = np.arange(len(theta))
    posterior = make(parameters, index, index.astype(str), np.full(len(theta), 2), theta, mean=theta + 0.01)
    evaluation = evaluate(posterior)
    table = Table(WORD, (WORD, "b"), ((WORD, WORD),))
    catalog = catalog_from_arrays(theta, x, names=[WORD, "sigma_8"])
    texts = [repr(posterior), repr(evaluation), str(evaluation), table.to_text(), repr(catalog)]
    texts += [thing._repr_html_() for thing in (posterior, evaluation, catalog)] + [table.to_html()]
    for text in texts:
        assert text.replace("\n", "").isprintable() and (SHOWN in text or html(WORD) in text)
        assert all("<a>" not in line for line in text.split("\n") if "<t" in line)
