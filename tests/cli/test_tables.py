"""Tables on narrow and wide terminals."""

from typing import Any

import pytest

from cosmoinfer.cli.tables import WrappingTable, metrics_table, render_table, two_column_table
from cosmoinfer.metrics import Evaluation
from cosmoinfer.metrics.tables import Table as StringTable
from tests.command_line import printed

NAMES = ("Omega_m", "sigma_8", "A_SN1", "A_AGN1", "A_SN2", "A_AGN2")
MEASURED = {"value": 0.6721, "low": 0.6301, "high": 0.7141}


def words(lines: list[str]) -> list[str]:
    return [word for line in lines for word in line.replace("│", " ").replace("┃", " ").split()]


def test_columns_that_do_not_fit_stand_below_under_the_same_heads():
    table = WrappingTable(
        "of four", [("row", ["first", "second"])], [(name * 8, [name, name.upper()]) for name in "abcd"]
    )
    narrow, wide = words(printed(table, 34)), words(printed(table, 80))
    assert [narrow.count(word) for word in ("first", "row", "bbbbbbbb", "B", "D")] == [2, 2, 1, 1, 1]
    assert [wide.count(word) for word in ("first", "row", "bbbbbbbb", "B", "D")] == [1, 1, 1, 1, 1]
    assert [len(line) for line in printed(table, 34) if "first" in line] == [32, 32]


def test_long_heads_leave_half_of_the_width_to_the_columns():
    suites = [("trained on", ["CAMELS IllustrisTNG LH"]), ("tested on", ["SIMBA"])]
    lines = printed(WrappingTable("r2", suites, [(name, ["0.604 ± 0.049"]) for name in "abcd"]), 80)
    assert max(map(len, lines)) <= 80 and "".join(lines).count("trained on") == 2
    assert words(lines).count("IllustrisTNG") == 2


def test_a_column_wider_than_the_terminal_is_folded_and_not_cut():
    lines = printed(WrappingTable("broad", [("row", ["first"])], [("n" * 50, ["1"]), ("other", ["2"])]), 30)
    assert max(map(len, lines)) <= 30
    assert "".join(lines).count("n") == 50


@pytest.mark.parametrize("width", [50, 80, 140])
def test_the_metrics_of_many_parameters_are_cut_nowhere(width: int):
    pairs = {f"{a},{b}": MEASURED for a in NAMES for b in NAMES if a < b}
    document: dict[str, Any] = {
        "rows": 131,
        "simulations": 131,
        "verdict": {"joint": "biased", "parameters": dict.fromkeys(NAMES, "calibrated within errors")},
        "metrics": {
            "parameters": {name: dict.fromkeys(NAMES, MEASURED) for name in ("coverage_68", "coverage_95")},
            "joint": {"log_prob": MEASURED, "hpd_p": {"value": 0.42, "low": None, "high": None, "reason": "a p-value"}},
            "pairs": {"fom": pairs},
        },
    }
    lines = printed(metrics_table(Evaluation.from_json(document)), width)
    assert max(map(len, lines)) <= width
    shown = words(lines)
    assert "…" not in "".join(lines)
    assert {"coverage_68", "coverage_95", *NAMES, *(f"fom[{pair}]" for pair in pairs)} <= set(shown)
    assert shown.count("0.672") == 2 * len(NAMES) + 1 + len(pairs)


def test_by_default_a_table_has_what_one_acts_on():
    """The rest is behind a verdict; a metric that is added is shown."""
    parameters = {name: {"a": MEASURED} for name in ("r2", "bias", "corr", "z_std", "added")}
    metrics = {"parameters": parameters, "joint": {"log_prob": MEASURED, "tarp_p": MEASURED}}
    verdict = {"joint": "biased", "parameters": {"a": "biased"}}
    evaluation = Evaluation.from_json({"rows": 9, "simulations": 9, "verdict": verdict, "metrics": metrics})
    shown = words(printed(metrics_table(evaluation, complete=False), 80))
    assert {"r2", "bias", "added", "log_prob", "biased"} <= set(shown) and not {"corr", "z_std", "tarp_p"} & set(shown)
    assert {"corr", "z_std", "tarp_p"} <= set(words(printed(metrics_table(evaluation), 80)))


@pytest.mark.parametrize(
    ("verdict", "style"),
    [
        ("calibrated within errors", "green"),
        ("conservative", "yellow"),
        ("over-confident", "red"),
        ("biased and over-confident", "red"),
        ("not constrained by the data (returns the prior), calibrated within errors", "dim"),
        ("too few simulations to assess calibration (5 of 10 needed)", ""),
        ("fixed at 0.3: bias +0.01 +- 0.02 (0.5 errors)", ""),
    ],
)
def test_a_verdict_has_a_colour(verdict, style):
    table = render_table(StringTable("verdicts", ("parameter", "verdict"), (("a", verdict),), numeric=False))
    (cell,) = table.columns[1].cells
    assert cell.style == style and cell.plain == verdict


def test_what_stands_in_brackets_is_no_markup():
    assert "wavenumber [h/Mpc]" in "".join(printed(two_column_table({"k": "wavenumber [h/Mpc]"}, "units"), 60))
    assert "[bold]" in "".join(printed(WrappingTable("of one", [("row", ["[bold]"])], [("a", ["1"])]), 60))


def test_the_title_of_a_narrow_table_stands_in_one_line():
    title = "sims.metrics.h5: metrics of version 0.1.0, evaluate"
    assert title in printed(two_column_table({"seed": "0"}, title), 80)[0]
    assert title in printed(WrappingTable(title, [("metric", ["r2"])], [("a", ["1"])]), 80)[0]
    assert max(map(len, printed(two_column_table({"seed": "0"}, title), 30))) <= 30


def test_columns_of_one_name_are_each_shown():
    table = StringTable(
        "rows", ("true class", "accuracy", "accuracy"), (("a", "7", "50 %"), ("true class", "1", "9 %"))
    )
    shown = words(printed(render_table(table), 80))
    assert [shown.count(word) for word in ("accuracy", "true", "7", "50", "1", "9")] == [2, 2, 1, 1, 1, 1]


def test_cells_are_neither_markup_nor_emoji_and_bounded():
    cells = {"[/red]": "[bold]x :warning:", "\x1b[31m": "y" * 10_000}
    lines = printed(two_column_table(cells, "[/red] \x1b]0;owned"), 120)
    text = "".join(lines)
    assert r"[/red] \x1b]0;owned" in text and "[bold]x :warning:" in text and r"\x1b[31m" in text
    assert text.count("y") < 400
