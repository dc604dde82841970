"""What is written is what there is: commands and options of the README and of every help, names in the tables."""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.markup import render

from cosmoinfer.catalog.reading import AXES_OF_KIND, MISSING_MODES
from cosmoinfer.cli import COMMANDS, app
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.networks import BASELINES, NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cnn import PADDINGS, POOLINGS
from cosmoinfer.networks.embedding import EMBEDDINGS
from cosmoinfer.preprocessing.compression import COMPRESSIONS
from cosmoinfer.preprocessing.standardizer import TRANSFORMS
from cosmoinfer.simulators import SIMULATORS
from cosmoinfer.supports import SUPPORTS
from cosmoinfer.tasks.simulate import simulate_record, with_settings
from cosmoinfer.training.augmentation import NAMES
from cosmoinfer.training.learning_rate import SCHEDULES
from cosmoinfer.training.settings import OPTIMIZERS
from tests.command_line import done, linear, write

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
USAGE: Any = typer.BadParameter.__base__  # wrong usage of any sort, as the parser calls it
PARSERS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

COURSE = (  # what the course names, as it stands in the table of systems
    "supervised learning",
    "regression",
    "classification",
    "component analysis",
    "autoencoder",
    "linear model",
    "decision trees",
    "dense feed-forward network",
    "mean squared",
    "logistic",
    "cross entropy",
    "cosine distance",
    "maximum margin",
    "activations",
    "gradient descent",
    "single sample, mini-batch, full batch",
    "training, validation and test sets",
    "test",
    "bias and variance",
    "regularisation",
    "convolutional network, 1-D",
    "convolutional network, 2-D",
    "convolutional network, 3-D",
    "CAMELS Multifield benchmark network",
    "normalizing flow",
    "RealNVP",
    "MAF",
    "IAF",
    "Glow",
    "neural spline flow, coupling",
    "neural spline flow, autoregressive",
    "density estimation, vectors",
    "density estimation, maps",
    "posterior sampling",
    "generation",
    "anomaly detection",
)


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.S | re.M)
    assert found, f"README has no section {title!r}"
    return found[1]


def fenced(text: str) -> str:
    """What stands in blocks of code, lines that go on joined."""
    return "\n".join(re.findall(r"^```\n(.*?)^```", text, re.S | re.M)).replace("\\\n", " ")


def commands(text: str) -> Iterator[str]:
    """Every command of ours that a text shows, in a block or in a line."""
    blocks = [part for line in fenced(text).splitlines() for part in line.split("&&")]
    for one in (*blocks, *re.findall(r"`(cosmoinfer [^`]+)`", text)):
        if one.strip().startswith("cosmoinfer "):
            yield one.strip()


def parsed(line: str) -> None:
    """By the command's own parser, nothing run: an unknown command, option or value is an error."""
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS, line
    PARSERS[name].make_context(name, arguments)


def systems() -> dict[str, str]:
    """The table of systems: system -> command."""
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \|$", section("The systems"), re.M)
    return dict(rows)


def options(name: str) -> dict[str, Any]:
    return {flag: one for one in PARSERS[name].params for flag in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("line", sorted(set(commands(README))))
def test_a_command_of_the_readme_is_understood(line: str) -> None:
    parsed(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_help_is_understood_and_its_catalog_exists(name: str) -> None:
    (example,) = re.findall(r"Example: (cosmoinfer .+)", COMMANDS[name].__doc__ or "")
    assert example.split()[1] == name
    parsed(example)
    for file in re.findall(r"sample_data/\S+", example):
        assert (ROOT / file).exists()


@pytest.mark.parametrize(
    "line", ["split sims.h5 --flow maf", "split sims.h5 --split-seed x", "split", "split a.h5 b.h5"]
)
def test_a_wrong_command_is_not_understood(line: str) -> None:
    with pytest.raises(USAGE):
        parsed(f"cosmoinfer {line}")


def test_every_option_of_the_readme_exists() -> None:
    known = {flag for name in COMMANDS for flag in options(name)}
    known |= {"--help", "--version"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README))
    assert named <= known
    assert len(named) > 30


def test_every_command_stands_in_the_readme() -> None:
    told = re.findall(r"^\| `cosmoinfer ([a-z-]+) ", section("The commands"), re.M)
    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.parametrize("part", COURSE)
def test_a_system_of_the_course_has_a_command(part: str) -> None:
    rows = [command for system, command in systems().items() if re.split(r"[:,(]", system)[0] == part or part in system]
    assert rows
    for command in rows:
        parsed(command)


def test_the_table_shows_every_network_loss_and_flow() -> None:
    shown = " ".join(systems().values())
    for option, names in (
        ("--flow", (*FLOWS, *MAP_FLOWS)),
        ("--network", (*NETWORKS, *BASELINES)),
        ("--loss", (*LOSSES, *CLASSIFICATION_LOSSES)),
        ("--compress", (f"{name}:" for name in COMPRESSIONS)),
    ):
        for name in names:
            assert re.search(rf"{option} {re.escape(name)}(?![a-z-])", shown), f"{option} {name}"
    told = " ".join(systems())
    for names in (ACTIVATIONS, SCHEDULES, OPTIMIZERS):
        for name in names:
            assert re.search(rf"(?<![a-z-]){name}(?![a-z-])", told), name


def test_every_problem_is_named_where_it_is_asked_for() -> None:
    told = re.findall(
        r"[a-z]+-?[a-z-]*", (COMMANDS["simulate"].__doc__ or "").split("Problems:")[1].split("Example")[0]
    )
    assert told == list(SIMULATORS)


def test_other_catalogs_of_the_table_can_be_made() -> None:
    """Each that is not shipped is made by a line above it, of a problem and with settings that exist."""
    lines = [line for line in fenced(section("The systems")).splitlines() if " simulate " in line]
    made = {"suites.h5"}
    for line in lines:
        words = shlex.split(line)
        problem, settings = words[2], re.findall(r"--set (\S+)", line)
        assert len(simulate_record(with_settings(problem, settings), problem, 2, 1, 0).arrays["data"]) == 2
        made.add(words[words.index("-o") + 1])
    for command in systems().values():
        for word in shlex.split(command):
            if word.endswith(".h5") and re.fullmatch(r"[a-z]+\.h5", word):
                assert word in made, command


def test_the_suites_of_the_readme_can_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that joins two catalogs makes one of two classes."""
    (code,) = re.findall(r"<!-- classes -->\n```python\n(.*?)```", README, re.S)
    monkeypatch.chdir(tmp_path)
    for name in ("low", "high"):
        write(tmp_path / f"{name}.h5", *linear(60, 1 + len(name)))
    (tmp_path / "join.py").write_text(code)
    specification = importlib.util.spec_from_file_location("join", tmp_path / "join.py")
    assert specification and specification.loader
    specification.loader.exec_module(importlib.util.module_from_spec(specification))
    command = systems()["classification"].split()[1:]
    told = json.loads(done(*command, "--epochs", "1", "--ensemble", "1", "--threads", "1", "--json"))
    assert told["rows"] > 0 and (tmp_path / "suites.regressor.h5").exists()


FILLER = {  # words of a help that name nothing
    ("train-flow", "--flow"): "or and mixed maps",
    ("train-flow", "--embedding"): "or auto",
    ("train-flow", "--support"): "or auto for maps and grids",
    ("train-flow", "--augment"): "maps grids auto none or some of",
    ("train-flow", "--compress"): "vectors in fewer numbers or",
    ("train-regressor", "--network"): "or baseline maps",
    ("train-regressor", "--loss"): "with target",
    ("train-regressor", "--missing"): "nan in vector is gap told to the network",
    ("train-regressor", "--kind"): "or told by the axes",
    ("train-regressor", "--transform"): "data or auto",
    ("train-density", "--flow"): "vectors any flow maps or multi-scale",
}
CHOICES = {
    ("train-flow", "--flow"): (*FLOWS, "auto"),
    ("train-flow", "--embedding"): EMBEDDINGS,
    ("train-flow", "--support"): (*SUPPORTS, "auto"),
    ("train-flow", "--augment"): NAMES,
    ("train-flow", "--compress"): COMPRESSIONS,
    ("train-regressor", "--network"): (*NETWORKS, *BASELINES),
    ("train-regressor", "--loss"): (*LOSSES, *CLASSIFICATION_LOSSES),
    ("train-regressor", "--activation"): tuple(ACTIVATIONS),
    ("train-regressor", "--optimizer"): OPTIMIZERS,
    ("train-regressor", "--schedule"): tuple(SCHEDULES),
    ("train-regressor", "--padding"): PADDINGS,
    ("train-regressor", "--pooling"): tuple(POOLINGS),
    ("train-regressor", "--missing"): MISSING_MODES,
    ("train-regressor", "--kind"): tuple(AXES_OF_KIND),
    ("train-regressor", "--transform"): TRANSFORMS,
    ("train-density", "--flow"): (*MAP_FLOWS, "maf"),
}


@pytest.mark.parametrize("place", CHOICES, ids=" ".join)
def test_a_help_names_what_there_is_and_nothing_else(place: tuple[str, str]) -> None:
    command, option = place
    text = options(command)[option].help.lower()
    named = set(re.findall(r"[a-z][a-z-]*[a-z](?:10)?", text)) - set(FILLER.get(place, "or").split())
    assert named | {"auto"} == {*CHOICES[place], "auto"}  # the default stands in brackets, auto or not


def test_every_option_has_a_help_and_no_two_the_same() -> None:
    for name in COMMANDS:
        texts = [one.help for one in PARSERS[name].params if getattr(one, "help", None) is not None]
        assert all(texts) and len(set(texts)) == len(texts), name


@pytest.mark.parametrize("name", COMMANDS)
def test_no_default_in_brackets_is_taken_for_markup(name: str) -> None:
    for one in PARSERS[name].params:
        text = getattr(one, "help", None) or ""
        assert render(text).plain == text.replace("\\[", "["), one.name
