"""The report: one page that needs nothing else, whatever its strings hold, and its data beside it."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cosmoinfer.metrics import Evaluation, GateResult, GateResults, Verdict
from cosmoinfer.metrics.tables import Table
from cosmoinfer.plots import PLOTS
from cosmoinfer.report import Explanation, Figure, Report, Section, render, tone_of_verdict
from cosmoinfer.tasks.report_content import ReportSources, build_report
from tests.command_line import call, done, linear, refused, write

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m\u202e{{ 7 * 7 }}&amp;'\""
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
TRAINING = ("--flow", "maf", "--epochs", "3", "--ensemble", "1", "--threads", "1", "--support", "probit")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Elements with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self.open[-1:]:
            self.text[tag] = self.text.get(tag, "") + data

    def of(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def report_of(word: str) -> Report:
    """With the same word everywhere."""
    table = Table(word, (word, "r2", word), ((word, "0.5", word), ("r2", "-", "1 ± 2")))
    gates = GateResults((GateResult(word, 0.2, 0.5, False, word), GateResult("r2<0", None, 0.0, None, word)))
    sections = (
        Section("First", (word,), (table,), (table,), (Figure("corner", SVG, word),), listing=(word,)),
        Section("Empty"),
        Section("What it means", glossary=(Explanation(("r2",), word, word),)),
    )
    return Report(word, word, (word,), (word,), gates, (word,), sections, {"cosmoinfer": word})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write(folder / "sims.h5", *linear(200, 1))
    command = ("run", folder / "sims.h5", "-o", folder / "results", *TRAINING, "--draws", "60")
    assert call(*command, "--fail-if", "r2[Omega_m]<2")[0] == 3
    return folder / "results"


@pytest.fixture(scope="module")
def page(results: Path) -> Page:
    return Page((results / "report.html").read_text())


def test_a_page_needs_nothing_else(page: Page) -> None:
    """No address but those within it; the policy allows its own style and script alone, by their digests."""
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("src", "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
    (policy,) = (meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.text[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}


def test_the_page_of_a_run_holds_what_was_found(results: Path, page: Page) -> None:
    data = json.loads((results / "report_data.json").read_text())
    assert data["kind"] == "report" and data["tone"] == "bad" and data["evaluation"]["rows"] > 5
    assert [(gate["name"], gate["passed"]) for gate in data["gates"]] == [("r2[Omega_m]<2", False)]
    titles = [section["title"] for section in data["sections"]]
    assert titles[:4] == ["Question", "Catalog", "Training", "Accuracy and calibration"]
    figures = {figure["name"] for section in data["sections"] for figure in section["figures"]}
    assert {"losses", "truth_prediction", "corner", "coverage", "sbc"} <= figures
    assert all(figure["caption"] for section in data["sections"] for figure in section["figures"])
    text = (results / "report.html").read_text()
    assert data["verdict"] in text and "1 of 1 failed" in text and "r2[Omega_m]&lt;2" in text
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {attributes["href"].removeprefix("#") for attributes in page.of("a")}
    assert (
        targets <= set(identifiers)
        and {"explain-log_prob_gain", "explain-r2", "explain-coverage_68", "training"} <= targets
    )


def test_the_report_of_a_folder_is_that_of_its_run(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what no file holds: the catalog and the gates."""
    for name in PLOTS.keys() - {"sbc"}:  # one figure is enough here
        monkeypatch.delitem(PLOTS, name)
    first, second = tmp_path / "first.html", tmp_path / "second.html"
    for output in (first, second):
        assert f"{output}: report, " in done("report", results, "-o", output)
    assert first.read_bytes() == second.read_bytes()
    done("report", results / "metrics.h5", results / "posterior.h5", "-o", tmp_path / "files.html")
    (tmp_path / "sky.h5").write_bytes((results / "posterior.h5").read_bytes())
    assert f"{tmp_path / 'sky.report.html'}: report, " in done("report", tmp_path / "sky.h5")
    data = json.loads((tmp_path / "first_data.json").read_text())
    of_run = json.loads((results / "report_data.json").read_text())
    assert data["evaluation"] == of_run["evaluation"] and data["gates"] is None
    with_catalog = tmp_path / "catalog.html"
    done("report", results, results.parent / "sims.h5", "-o", with_catalog)
    assert "200 rows of 200 simulations" in with_catalog.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{folder}",), "holds no model, posterior or metrics"),
        (("{results}", "{results}/flow.h5"), "flow.h5: is a model, as"),
        (("{folder}/sims.h5",), "holds no model, posterior or metrics"),
        (("{folder}/none.h5",), "none.h5: "),
        (("{results}/metrics.h5", "{folder}/sims.h5"), "is a catalog, and goes with the model"),
        (("{results}", "-o", "{folder}/notes.html"), "notes.html: is no report of this tool"),
        (("{results}", "-o", "{folder}/other.html"), "other_data.json: is no report of this tool"),
        (("{results}", "-o", "{folder}"), "is a folder; name a file"),
    ],
)
def test_what_is_no_report_is_refused(results: Path, arguments: tuple[str, ...], message: str) -> None:
    folder = results.parent
    (folder / "notes.html").write_text("<p>mine</p>")
    (folder / "other_data.json").write_text("{}")
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    places = {"folder": folder if len(arguments) > 1 or "/" in arguments[0] else empty, "results": results}
    assert message in refused("report", *(argument.format(**places) for argument in arguments))
    assert (folder / "notes.html").read_text() == "<p>mine</p>"


def test_a_run_does_not_end_at_a_page_of_another_tool(results: Path, tmp_path: Path) -> None:
    """It is told before anything is trained."""
    (tmp_path / "report.html").write_text("<p>mine</p>")
    assert "report.html: is no report of this tool" in refused("run", results.parent / "sims.h5", "-o", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_words_of_files_do_not_act() -> None:
    """No element, no script, no control character and no template comes of any of them."""
    harmless, hostile = (Page(render(report_of(word))) for word in ("word", HOSTILE))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    text = render(report_of(HOSTILE))
    assert "\x1b" not in text and "\u202e" not in text and "{{ 7 * 7 }}" in text and ">49<" not in text
    assert hostile.text["script"] == harmless.text["script"]


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        ("calibrated within errors", ["sample your observation"]),
        ("conservative", ["conservative: usable"]),
        ("too few simulations to assess calibration (5 of 10 needed)", []),
    ],
)
def test_what_to_do_now_is_what_the_verdict_asks_for(words: str, steps: list[str]) -> None:
    """A verdict that no test could give asks for nothing, and recommends nothing."""
    evaluation = Evaluation(5, 5, {}, {}, Verdict(words, {}))
    report = build_report(ReportSources(evaluation=evaluation), "title")
    assert [step[: len(start)] for step, start in zip(report.next_steps, steps, strict=True)] == steps


def test_a_failed_gate_is_told_beside_a_verdict_that_keeps_its_colour() -> None:
    evaluation = Evaluation(5, 5, {}, {}, Verdict("calibrated within errors", {}))
    gates = GateResults((GateResult("r2<0.9", 0.5, 0.9, False, "r2 is 0.5"),))
    report = build_report(ReportSources(evaluation=evaluation), "title", gates)
    assert report.next_steps == ("a gate failed: do not use this posterior before you know why (r2<0.9)",)
    assert (report.tone, report.verdict_tone) == ("bad", "good")
    assert 'class="verdict good"><span>Joint posterior' in render(report)


def test_names_of_settings_and_files_stand_as_code() -> None:
    evaluation = Evaluation(5, 5, {}, {}, Verdict("miscalibrated in shape", {}))
    text = render(build_report(ReportSources(evaluation=evaluation), "title"))
    assert "look at <code>figures/sbc.png</code>:" in text and "`" not in text.partition("<script>")[0]


@pytest.mark.parametrize(
    ("words", "tone"),
    [
        ("calibrated within errors", "good"),
        ("conservative", "fair"),
        ("not constrained by the data, calibrated within errors", "fair"),
        ("over-confident (a)", "bad"),
        ("worse than the prior, biased", "bad"),
        ("too few simulations to assess calibration (5 of 10 needed)", "none"),
        ("", "none"),
    ],
)
def test_the_tone_of_a_verdict(words: str, tone: str) -> None:
    assert tone_of_verdict(words) == tone


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_the_page_without_a_complaint(results: Path, tmp_path: Path) -> None:
    """Its script runs under its policy: a console message would be a violation or an error."""
    text = (results / "report.html").read_text()
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*command, "--enable-logging=stderr", "--dump-dom", (results / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.stdout.count("<tr") == text.count("<tr") and not re.search("CONSOLE", shown.stderr)
