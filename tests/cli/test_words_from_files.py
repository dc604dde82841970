"""Names, labels, ids, suites and classes of a file, whatever they hold, on the terminal, in JSON and in figures."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.command_line import call, done, linear

WORDS = {  # as files have them: as they are shown
    "Omega_m": "Omega_m",
    "\x1b]0;owned\x07\x1b[31mred\x7f": r"\x1b]0;owned\x07\x1b[31mred\x7f",
    "a\nb\u2028c\rcosmoinfer: all is well": r"a\nb\u2028c\rcosmoinfer: all is well",
    "\u202eevil\u2066 [red] [bold]x :warning: [/red] $a": r"\u202eevil\u2066 [red] [bold]x :warning: [/red] $a",
}
NESTED = "x^{" * 100 + "x" + "}" * 100
QUICK = ["--flow", "realnvp", "--hidden", "4", "--epochs", "1", "--ensemble", "1", "--support", "probit"]
ONE = ["--threads", "1"]


def hostile(path: Path, word: str, seed: int = 1) -> Path:
    """A catalog that has the word wherever a name may be; paths without a slash."""
    theta, x = linear(120, seed)
    with h5py.File(path, "w") as file:
        parameters = file.create_dataset("parameters", data=theta)
        parameters.attrs["names"], parameters.attrs["labels"] = [word, "sigma_8"], [word + " ", NESTED]
        parameters.attrs["low"], parameters.attrs["high"] = [0.1, 0.6], [0.5, 1.0]
        file[f"data/{in_path(word)}"] = x
        file["simulation"] = [f"{word} {number}" for number in range(len(theta))]
        file["classes/code"] = np.arange(len(theta)) % 2
        file["classes/code"].attrs["names"] = [word, "accuracy"]
        file.attrs["suite"], file.attrs[word] = in_path(word), word
    return path


def in_path(word: str) -> str:
    return word.replace("/", "|")


@pytest.fixture(params=WORDS, ids=["plain", "controls", "lines", "invisible and markup"])
def word(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def shows(word: str) -> Callable[..., None]:
    """Calls a command: exit status as with plain names, no control is printed, and the word if it ``names`` it."""

    def check(status: int, names: bool, *arguments: object) -> None:
        returned, out, err = call(*arguments)
        text = out + err
        assert returned == status, err
        assert text.replace("\n", "").isprintable()
        assert "Traceback" not in err and "Warning" not in err
        assert names == (WORDS[word] in text or in_path(WORDS[word]) in text)
        assert not any(line.startswith("cosmoinfer: all is well") for line in text.split("\n"))

    return check


def test_a_flow_of_any_words(word: str, shows: Callable[..., None], tmp_path: Path) -> None:
    catalog = hostile(tmp_path / "sims.h5", word)
    flow, posterior, metrics = (tmp_path / f"{name}.h5" for name in ("flow", "posterior", "metrics"))
    shows(0, True, "inspect", catalog)
    shows(0, False, "split", catalog, "-o", tmp_path / "split.h5")
    shows(1, True, "train-flow", catalog, "--infer", "nothing")
    shows(0, True, "train-flow", catalog, "-o", flow, *QUICK, *ONE)
    shows(0, True, "inspect", flow)
    shows(0, False, "sample", flow, catalog, "-o", posterior, "--draws", "60", *ONE)
    shows(0, True, "inspect", posterior)
    figures = tmp_path / "figures"
    shows(3, True, "evaluate", posterior, "-o", metrics, "--figures", figures, "--fail-if", "r2>-99", *ONE)
    assert {path.stem for path in figures.iterdir()} == {"truth_prediction", "corner", "coverage", "sbc", "ood"}
    document = json.loads(done("evaluate", posterior, "-o", metrics, "--json", *ONE))
    assert list(document["verdict"]["parameters"]) == [word, "sigma_8"]


def test_a_classifier_of_any_words(word: str, shows: Callable[..., None], tmp_path: Path) -> None:
    catalog = hostile(tmp_path / "sims.h5", word)
    model, predicted = tmp_path / "model.h5", tmp_path / "predicted.h5"
    quick = ["--hidden", "4", "--epochs", "1", "--ensemble", "1"]
    shows(0, True, "train-regressor", catalog, "--target", "code", "-o", model, *quick, *ONE)
    shows(0, True, "inspect", model)
    shows(0, False, "sample", model, catalog, "-o", predicted, *ONE)
    shows(0, True, "evaluate", predicted, "-o", tmp_path / "metrics.h5", "--figures", tmp_path / "figures", *ONE)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"confusion", "reliability", "ood"}


def test_suites_of_any_name(tmp_path: Path) -> None:
    word = "\x1b[31m$a$ \u202e[red] x" * 2
    catalogs = [hostile(tmp_path / f"{seed}.h5", word + str(seed), seed) for seed in (1, 2)]
    for path in catalogs:
        with h5py.File(path, "a") as file:
            file["parameters"].attrs["names"] = ["[/red]", "trained on"]
            file.move(f"data/{word}{path.stem}", "data/spectra")
    output, figures = tmp_path / "cross.h5", tmp_path / "figures"
    status, out, err = call("cross-suite", *catalogs, "-o", output, "--figures", figures, "--draws", "60", *QUICK, *ONE)
    assert status == 0 and (figures / "cross.png").exists(), err
    assert (out + err).replace("\n", "").isprintable() and r"\x1b[31m$a$ \u202e[red] x" in out and "[/red]" in out
    assert all(path.name.isprintable() and path.name.isascii() for path in tmp_path.rglob("*"))


def test_json_has_names_in_backquotes_as_they_are(tmp_path: Path) -> None:
    catalog = hostile(tmp_path / "sims.h5", "`hidden`")
    document = json.loads(done("inspect", catalog, "--json"))
    assert "`hidden`" in document["contents"] and "/data/`hidden`" in document["contents"]
