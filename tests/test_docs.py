"""README, guide and help say what there is: commands, options and their defaults, metrics, checks, files."""

import ast
import contextlib
import importlib.util
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

import cosmoinfer
from cosmoinfer.audit import CHECKS
from cosmoinfer.cli import COMMANDS, app
from cosmoinfer.cli.help import print_help
from cosmoinfer.cli.options import grouped
from cosmoinfer.cli.source import expand, read_default, read_names
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.metrics import METRICS
from cosmoinfer.metrics.verdict import (
    BIASED,
    CALIBRATED,
    CONSERVATIVE,
    OVER_CONFIDENT,
    SHAPE,
    UNCONSTRAINED,
    WORSE_THAN_PRIOR,
)
from cosmoinfer.models.density.recipe import density_recipe
from cosmoinfer.models.flow import flow_recipe
from cosmoinfer.models.regressor import regressor_recipe
from cosmoinfer.networks import BASELINES, NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.preprocessing.compression import COMPRESSIONS
from cosmoinfer.priors import PRIORS
from cosmoinfer.simulators import SIMULATORS
from cosmoinfer.split import DEFAULT_FRACTIONS
from cosmoinfer.supports import SUPPORTS
from cosmoinfer.tasks.guide import explanations, remedies, topics
from cosmoinfer.tasks.simulate import SimulationSettings, simulate_record, with_settings
from cosmoinfer.training.settings import OPTIMIZERS, SCHEDULES
from tests.command_line import call, done, linear, refused, write
from tests.guide_pages import PAGES as GENERATED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "cosmoinfer" / "guide").glob("*.md"))}
TEXTS = {"README": README, **PAGES}
HANDWRITTEN = [text for name, text in TEXTS.items() if name not in GENERATED]
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


OPTIONS_OF_LAUNCHERS = {"--nproc-per-node", "--workflow-profile", "--report", "--unlock"}  # other programs


def section(title: str) -> str:
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.S | re.M)
    assert match, f"README has no section {title!r}"
    return match[1]


def fenced(text: str) -> str:
    """What stands in blocks of code, lines that go on joined."""
    return "\n".join(re.findall(r"^```\n(.*?)^```", text, re.S | re.M)).replace("\\\n", " ")


def commands(text: str) -> Iterator[str]:
    """Every command of ours that a text shows, in a block or in a line."""
    blocks = [words for line in fenced(text).splitlines() for words in line.split("&&")]
    for command in (*blocks, *re.findall(r"`(cosmoinfer [^`]+)`", text)):
        if command.strip().startswith("cosmoinfer "):
            yield command.strip()


def parsed(line: str) -> None:
    """By the command's own parser, nothing run: an unknown command, option or value is an error."""
    _, name, *arguments = shlex.split(line)
    assert name in COMMANDS, line
    if arguments == ["--help-all"]:
        return
    with contextlib.suppress(typer.Exit):  # of an option that prints something and ends, as --help does
        PARSERS[name].make_context(name, arguments)


def systems() -> dict[str, str]:
    """The table of systems: system -> command."""
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \|$", PAGES["course"], re.M)
    return dict(rows)


def options(name: str) -> dict[str, Any]:
    return {flag: option for option in PARSERS[name].params for flag in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("line", sorted({line for text in HANDWRITTEN for line in commands(text)}))
def test_a_command_of_readme_and_guide_is_understood(line: str) -> None:
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


def test_every_option_of_readme_and_guide_exists() -> None:
    existing = {flag for name in COMMANDS for flag in options(name)}
    existing |= {"--help", "--help-all", "--version", "--install-completion"}
    existing |= OPTIONS_OF_LAUNCHERS
    named = {flag for text in TEXTS.values() for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)}
    assert named - existing == set()
    assert len(named) > 50


def test_every_command_stands_in_the_readme() -> None:
    listed_commands = re.findall(r"^\| `cosmoinfer ([a-z-]+) ", section("Commands"), re.M)
    assert sorted(listed_commands) == sorted(COMMANDS)


@pytest.mark.parametrize("topic", COURSE)
def test_a_system_of_the_course_has_a_command(topic: str) -> None:
    rows = [
        command for system, command in systems().items() if re.split(r"[:,(]", system)[0] == topic or topic in system
    ]
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
    table = " ".join(systems())
    for names in (ACTIVATIONS, SCHEDULES, OPTIMIZERS):
        for name in names:
            assert re.search(rf"(?<![a-z-]){name}(?![a-z-])", table), name


def test_every_problem_is_named_where_it_is_asked_for() -> None:
    parser = PARSERS["simulate"]
    assert f"Problems: {' | '.join(SIMULATORS)}." in " ".join(parser.get_help(typer.Context(parser)).split())


def test_other_catalogs_of_the_table_can_be_made() -> None:
    """Each that is not shipped is made by a line above it, of a problem and with settings that exist."""
    lines = [line for line in fenced(PAGES["course"]).splitlines() if " simulate " in line]
    made = {"suites.h5"}
    for line in lines:
        words = shlex.split(line)
        problem, settings = words[2], re.findall(r"--set (\S+)", line)
        assert (
            len(simulate_record(with_settings(problem, settings), problem, SimulationSettings(rows=2)).arrays["data"])
            == 2
        )
        made.add(words[words.index("-o") + 1])
    for command in systems().values():
        for word in shlex.split(command):
            if word.endswith(".h5") and re.fullmatch(r"[a-z]+\.h5", word):
                assert word in made, command


def test_the_suites_of_the_readme_can_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that joins two catalogs makes one of two classes."""
    (code,) = re.findall(r"<!-- classes -->\n```python\n(.*?)```", PAGES["course"], re.S)
    monkeypatch.chdir(tmp_path)
    for name in ("low", "high"):
        write(tmp_path / f"{name}.h5", *linear(60, 1 + len(name)))
    (tmp_path / "join.py").write_text(code)
    specification = importlib.util.spec_from_file_location("join", tmp_path / "join.py")
    assert specification and specification.loader
    specification.loader.exec_module(importlib.util.module_from_spec(specification))
    command = systems()["classification"].split()[1:]
    document = json.loads(done(*command, "--epochs", "1", "--ensemble", "1", "--threads", "1", "--json"))
    assert document["rows"] > 0 and (tmp_path / "suites.regressor.h5").exists()


LOCAL_CHOICES = {"auto", "none"}  # of an option itself, not of a table


def declared_choices() -> set[str]:
    """Every name and table that an option of any command may be chosen from."""
    calls = [
        node
        for path in (ROOT / "cosmoinfer" / "cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "choices"
    ]
    constants = vars(importlib.import_module("cosmoinfer.cli.options.architecture"))
    choices: set[str] = set()
    for table in calls:
        assert isinstance(table.value, ast.Tuple), ast.unparse(table)
        for entry in table.value.elts:
            choices.add(constants[entry.id] if isinstance(entry, ast.Name) else ast.literal_eval(entry))
    return choices


def test_choices_of_options_come_from_tables() -> None:
    choices = declared_choices()
    assert {choice for choice in choices if ":" not in choice} <= LOCAL_CHOICES
    assert len(choices) > 15


@pytest.mark.parametrize("choice", sorted(choice for choice in declared_choices() if ":" in choice))
def test_a_table_read_from_its_source_is_the_table(choice: str) -> None:
    module, _, name = choice.partition(":")
    table = getattr(importlib.import_module(f"cosmoinfer.{module}"), name)
    names = [field.name for field in fields(table)] if is_dataclass(table) else list(table)
    assert list(read_names(module, name)) == names


@pytest.mark.parametrize(("module", "name"), [("flows", "MAP_FLOWS"), ("priors", "PRIORS"), ("flows", "NOTHING")])
def test_what_is_no_table_of_names_in_its_source_is_an_error(module: str, name: str) -> None:
    with pytest.raises(LookupError):
        read_names(module, name)


@pytest.mark.parametrize(
    ("command", "option", "expected"),
    [
        ("train-flow", "--flow", (*FLOWS, "auto")),
        ("train-flow", "--augment", ("auto", "none", "rotations", "mirrors", "shifts")),
        ("train-regressor", "--loss", (*LOSSES, *CLASSIFICATION_LOSSES)),
        ("train-density", "--flow", FLOWS),
    ],
)
def test_a_shell_completes_the_names_that_a_help_lists(command: str, option: str, expected: Iterable[str]) -> None:
    parameter = options(command)[option]
    names = {item.value for item in parameter.shell_complete(typer.Context(PARSERS[command]), "")}
    assert names == set(expected)
    text = expand(parameter.help)
    assert all(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for name in names)


def test_a_help_names_the_compressions() -> None:
    assert re.findall(r"(\w+):\d", options("train-flow")["--compress"].help) == list(COMPRESSIONS)


def test_defaults_of_a_help_are_those_of_the_code() -> None:
    """Those that no number of rows changes; a help reads them from the source, here they are imported."""
    for rows, shape in itertools.product((100, 1000, 5000), [(40,), (1, 32, 32)]):
        kind = "vector" if len(shape) == 1 else "map"
        recipes = [flow_recipe({}, rows, [shape]).stacks[0], regressor_recipe({}, rows, [shape])]
        for recipe in (*recipes, density_recipe({}, rows, (kind,), True)):
            for field in ("optimizer", "schedule", "weight_decay", "patience", "clip_norm", "warm_up", "momentum"):
                expected = read_default("training.settings", f"TrainingSettings.{field}")
                assert str(getattr(recipe.training, field)) == expected
    assert read_default("flows.nsf", "NSF.bins") == str(FLOWS["nsf"]().bins) == str(FLOWS["nsf-ar"]().bins)
    assert read_default("split", "DEFAULT_FRACTIONS") == " ".join(map(str, DEFAULT_FRACTIONS))
    assert flow_recipe({}, 100, [(40,)]).observation == read_default("models.flow.recipe", "FlowRecipe.observation")
    with pytest.raises(LookupError):
        read_default("flows.nsf", "NSF.knots")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_fits_80_columns_and_has_its_defaults(name: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert print_help("", {key: grouped(command) for key, command in COMMANDS.items()}, [name, "--help-all"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text and "\\" not in text
    assert not re.search(r"<(str|int|float|list|\w+,\w+)\b", text)  # types of Python
    assert not re.search(r"\{[\w.]+:[\w.]+\}|\{choices", text)
    assert all(flag in text for flag in options(name))


def test_train_flow_has_few_options_and_its_help_fewer(capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        option
        for option in PARSERS["train-flow"].params
        if option.param_type_name == "option" and option.name != "help"
    ]
    assert len(flags) <= 58
    print_help("", {"train-flow": grouped(COMMANDS["train-flow"])}, ["train-flow", "--help"])
    assert len(re.findall(r"^  (?:-o, )?--", capsys.readouterr().out, re.M)) <= 25


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cosmoinfer tra", {"train-flow", "train-regressor", "train-density"}),
        ("cosmoinfer train-flow --flow n", {"nsf", "nsf-ar"}),
        ("cosmoinfer train-flow --lea", {"--learning-rate"}),
    ],
)
def test_bash_completes_commands_options_and_choices(line: str, expected: set[str]) -> None:
    environment = {"_COSMOINFER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    program = "import sys; sys.argv = ['cosmoinfer']; from cosmoinfer.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, cwd=ROOT
    )
    assert set(done.stdout.split()) == expected


def test_the_readme_is_short_and_names_every_page() -> None:
    assert len(README.splitlines()) <= 170
    listed = re.findall(r"^\| \[(\w+)\]\(cosmoinfer/guide/\1\.md\) \| (.+) \|$", section("The guide"), re.M)
    assert dict(listed) == topics()


def test_what_is_cited_is_this_version() -> None:
    fields = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.M))
    assert fields["version"] == cosmoinfer.__version__ and fields["license"] == "MIT"
    assert {"cff-version", "message", "title"} <= fields.keys()


def test_a_page_of_the_guide_is_printed_as_it_lies_there() -> None:
    assert done("guide", "evaluating").strip() == PAGES["evaluating"].strip()
    assert all(f"cosmoinfer guide {topic}`" in done("guide") for topic in PAGES)
    assert "evaluating`: `tarp_x_p`: is the joint posterior" in done("guide", "tarp_x_p").splitlines()[2]
    assert "no page 'zebras'; there are" in refused("guide", "zebras")
    assert "no page '../README'" in refused("guide", "../README")


@pytest.mark.parametrize("topic", GENERATED)
def test_a_generated_page_is_fresh(topic: str) -> None:
    """``python -m tests.guide_pages`` writes it anew."""
    assert PAGES[topic] == GENERATED[topic]()


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("training", "`--flow`", FLOWS),
        ("training", "`--network`", (*NETWORKS, *BASELINES)),
        ("training", "`--loss`", LOSSES),
        ("training", "`--support`", (*SUPPORTS, "auto")),
    ],
)
def test_a_table_of_the_guide_has_every_name_and_no_other(page: str, heading: str, names: Iterable[str]) -> None:
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGES[page], re.M)
    listed = [name for row in table.splitlines() for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(names)


def test_the_readme_names_every_flow_network_and_loss() -> None:
    listed = re.findall(r"`([a-z-]+)`", " ".join(re.findall(r"^\|([^|]+)\|", section("Flows, networks, losses"), re.M)))
    expected = {*FLOWS, *MAP_FLOWS, *NETWORKS, *BASELINES, *LOSSES, *CLASSIFICATION_LOSSES}
    assert sorted(listed) == sorted(expected)


def test_priors_are_named_where_they_are_asked_for() -> None:
    for name, prior in PRIORS.items():
        if prior.arguments:
            assert f"`{name}:{':'.join(prior.arguments)}`" in PAGES["reweighting"]


def test_every_metric_is_explained() -> None:
    explained = set(re.findall(r"`([a-z0-9_]+)(?:\[[\w,]+\])?`", PAGES["evaluating"] + PAGES["classification"]))
    assert set(METRICS) - explained == set()


def test_every_metric_and_verdict_is_explained_on_the_command_line() -> None:
    """In the words of the manual, without a file."""
    for name in METRICS:
        assert f"`{name}" in done("evaluate", "--explain", name), name
    words = (CALIBRATED, OVER_CONFIDENT, CONSERVATIVE, BIASED, SHAPE, WORSE_THAN_PRIOR, UNCONSTRAINED)
    assert all(f"**`{word}`**: " in done("evaluate", "--explain", word) for word in words)
    assert done("evaluate", "--explain", "all").count("**: ") == len(explanations())
    assert "*when it misleads*: near zero: the model returns the prior" in done("evaluate", "--explain", "r2")
    status, _, message = call("evaluate", "--explain", "r3")
    assert status == 2 and "there are calibrated within errors, over-confident" in message


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("calibrated within errors", []),
        ("too few simulations to assess calibration (5 of 10 needed)", []),
        ("over-confident (a); biased (b)", ["over-confident", "biased"]),
        ("worse than the prior, biased and over-confident", ["over-confident", "biased", "worse than the prior"]),
        ("not constrained by the data (returns the prior), calibrated within errors", ["not constrained by the data"]),
    ],
)
def test_a_verdict_says_what_to_do(verdict: str, words: list[str]) -> None:
    steps = remedies(verdict)
    assert list(steps) == words and all(len(step) > 10 for step in steps.values())


def test_every_audit_check_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", PAGES["audit"], re.M))
    assert explained == set(CHECKS)


def test_every_option_has_a_help_and_no_two_the_same() -> None:
    for name in COMMANDS:
        texts = [option.help for option in PARSERS[name].params if getattr(option, "help", None) is not None]
        assert all(texts) and len(set(texts)) == len(texts), name
