"""Progress: a bar on a terminal, plain lines in a log file."""

import io
import re
import sys
from contextlib import redirect_stderr

import pytest

from cosmoinfer.cli import main, one_line_errors, terminal
from cosmoinfer.cli.terminal import Terminal
from cosmoinfer.errors import UserError

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class FakeTerminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """A terminal of 100 columns."""
    stream = FakeTerminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


def rendered_lines(text: str) -> list[str]:
    """Without control sequences; of a line that is written over, its last state."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return [line.rsplit("\r", 1)[-1].rstrip() for line in plain.split("\n")]


def test_a_log_has_plain_progress_lines_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # of which rich would make a terminal
    seconds = 100.0
    monkeypatch.setattr(terminal.time, "monotonic", lambda: seconds)
    log = Terminal()
    for epoch in range(1, 11):
        log.progress("epoch", epoch, 10, "train 1.0")
        seconds += 1
    seconds += 100
    log.progress("epoch", 2, 10, "train 1.0")  # of the next training
    log.progress("row", 70, 70)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: seconds + 3800)
    log.progress("row", 1, 2)
    *epochs, following, rows, again = capsys.readouterr().err.splitlines()
    assert [line.partition("  [")[0] for line in epochs] == [f"epoch {epoch}/10 train 1.0" for epoch in (1, 4, 7, 10)]
    times = [re.fullmatch(r".*  \[\d\d:\d\d:\d\d(.*)\]", line) for line in (*epochs, following, rows, again)]
    assert [match and match[1] for match in times] == [
        "",
        ", 0:03 elapsed, 0:06 left",
        ", 0:06 elapsed, 0:03 left",
        ", 0:09 elapsed, 0:00 left",
        "",  # another training
        "",  # another task
        "",  # which begins anew
    ]


def test_sentences_on_a_terminal_end_between_words(screen: FakeTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    sentence = "The 68 % intervals contain 65 to 68 % of the true values."
    with redirect_stderr(screen):
        Terminal().info(sentence)
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2 and " ".join(lines) == sentence and max(map(len, lines)) <= 30


def test_a_terminal_has_one_bar_which_the_next_task_takes_over(screen: FakeTerminal) -> None:
    output = Terminal()
    with redirect_stderr(screen):
        for epoch in (1, 2, 3):
            output.progress("epoch", epoch, 3, f"train {epoch}.0")
        output.progress("row", 1, 20)
        output.info("written")
    text = screen.getvalue()
    assert HIDE_CURSOR in text and text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    *_, bar, line, end = rendered_lines(text)
    assert re.fullmatch(r"row ━[━╸╺ ]+ +1/20 +.*", bar)
    assert (line, end) == ("written", "")


def test_a_bar_starts_anew_when_the_same_task_does(screen: FakeTerminal) -> None:
    output = Terminal()
    with redirect_stderr(screen):
        for done in (5, 10, 1):
            output.progress("epoch", done, 10)
        output.info("stopped")
    assert re.fullmatch(r"epoch .* 1/10 .*", rendered_lines(screen.getvalue())[-3])


def test_quiet_shows_no_progress(screen: FakeTerminal) -> None:
    with redirect_stderr(screen):
        Terminal(quiet=True).progress("epoch", 1, 3)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("expected 1", setting="draws"), "cosmoinfer: --draws: expected 1"),
        (
            KeyboardInterrupt(),
            "cosmoinfer: interrupted; no unfinished file is left; a training can be resumed",
        ),
    ],
    ids=["error", "interrupt"],
)
def test_an_error_closes_the_bar_and_shows_the_cursor_again(
    screen: FakeTerminal, error: BaseException, message: str
) -> None:
    @one_line_errors
    def command() -> None:
        Terminal().progress("epoch", 1, 3)
        raise error

    with redirect_stderr(screen), pytest.raises(SystemExit):
        command()
    text = screen.getvalue()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert rendered_lines(text)[-2] == message


@pytest.mark.parametrize("arguments", [("train-flow", "sims.h5", "--learningrate", "1"), ("train-flwo",)])
def test_wrong_usage_is_told_under_the_name_of_the_tool(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/lib/__main__.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Usage: cosmoinfer ")


def test_the_tool_has_a_help_with_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cosmoinfer", "--help-all"])
    main()
    assert "train-flow  " in capsys.readouterr().out


def test_a_terminal_of_one_column_has_a_help_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    monkeypatch.setattr(sys, "argv", ["cosmoinfer", "--help"])
    main()
    assert "train-flow  " in capsys.readouterr().out
