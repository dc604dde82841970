"""The workflow that ships with the package: written by a command, its own commands exist, its parts fit together."""

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command_line import done, refused
from tests.test_docs import PARSERS, commands, parsed

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "cosmoinfer" / "workflow"
FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*") if path.is_file())
SNAKEFILE = (FOLDER / "workflow" / "Snakefile").read_text()
CONFIG = (FOLDER / "config" / "config.yaml").read_text()
SCHEMA = (FOLDER / "workflow" / "schemas" / "config.schema.yaml").read_text()
SBATCH = {path.stem: path.read_text() for path in sorted((FOLDER / "slurm").glob("*.sbatch"))}
COMMAND_OF = {"split": "split", "train": "train-flow", "sample": "sample"}  # whose options a key of the config holds

PLACEHOLDERS = {  # of a rule or a batch file, in order: pattern -> what stands there when it runs
    r"\$\(\(.*?\)\)": "1438",
    r"\{params\.gates:q\}": "--gate --fail-if 'r2[all]<0.5'",
    r"\{params\.\w+\}": "",
    r"\{(threads|wildcards\.\w+)\}": "4",
    r"\{[\w.:]+\}": "sims.h5",
    r"\"\$SLURM_ARRAY_TASK_ID/\$shards\"": "3/16",
    r"\"\$SLURM_CPUS_PER_TASK\"": "4",
    r"\"\$(catalog|flow)\"": "sims.h5",
}


def shell_commands() -> dict[str, str]:
    """The command of each rule, without redirections."""
    commands_of_rules = {}
    for rule in re.split(r"^rule ", SNAKEFILE, flags=re.M)[1:]:
        name, _, command = rule.partition(":\n")
        literals = re.findall(r'^ {8}(".*")$', command.partition("    shell:\n")[2], re.M)
        commands_of_rules[name] = "".join(map(ast.literal_eval, literals)).split(" > ")[0]
    del commands_of_rules["all"]
    return commands_of_rules


def batch_commands(text: str) -> list[str]:
    """The commands of a batch file, also those of its comments."""
    return re.findall(r"\bcosmoinfer [a-z-]+ [^'\n]+", text.replace("\\\n", ""))


def filled(command: str) -> str:
    for pattern, value in PLACEHOLDERS.items():
        command = re.sub(pattern, value, command)
    return command


def keys(text: str) -> set[str]:
    """At the top of a YAML file, or of the properties of a schema."""
    _, _, properties = text.partition("\nproperties:\n")
    return set(re.findall(r"^  (\w+):$", properties, re.M) if properties else re.findall(r"^(\w+):", text, re.M))


@pytest.mark.parametrize("name", ["split", "train", "ensemble", "sample", "merge", "evaluate", "gate"])
def test_the_command_of_a_rule_is_understood(name: str) -> None:
    parsed(filled(shell_commands()[name]))


@pytest.mark.parametrize("name", SBATCH)
def test_a_command_of_a_batch_file_is_understood(name: str) -> None:
    assert batch_commands(SBATCH[name])
    for command in batch_commands(SBATCH[name]):
        parsed(filled(command))


def test_a_command_of_the_readme_is_understood() -> None:
    lines = list(commands((FOLDER / "README.md").read_text()))
    assert len(lines) >= 2
    for line in lines:
        parsed(line)


@pytest.mark.parametrize("key", COMMAND_OF)
def test_options_that_the_config_shows_exist(key: str) -> None:
    (line,) = re.findall(rf"^{key}: .*", CONFIG, re.M)
    texts = [text for text in re.findall(r'"(.*?)"', line) if text]
    assert texts
    parser = PARSERS[COMMAND_OF[key]]
    for text in texts:
        parser.make_context(parser.name, [*["sims.h5"] * (1 + (key == "sample")), *text.split()])


def test_every_rule_takes_how_the_catalog_is_read_and_its_threads() -> None:
    for name, command in shell_commands().items():
        assert ("{input.catalog:q}" in command) == ("{params.reading}" in command), name
        assert ("--threads {threads}" in command) == (name in {"train", "ensemble", "sample", "evaluate"}), name


def test_checkpoints_are_no_outputs() -> None:
    """Snakemake removes outputs before a retry."""
    assert "checkpoint" not in re.sub(r'""".*?"""', "", SNAKEFILE, flags=re.S)


def test_profiles_set_retries_and_no_rule_but_the_gate_does() -> None:
    """Snakemake hands those of a rule to the job of SLURM too, which would make them within its own time."""
    assert re.findall(r"^    retries: (.*)", SNAKEFILE, re.M) == ["0"]
    profiles = [path.read_text() for path in (FOLDER / "profiles").rglob("config.yaml")]
    assert len(profiles) == 2 and all(re.search(r"^retries: [1-9]", text, re.M) for text in profiles)


def test_config_schema_and_rules_have_the_same_keys() -> None:
    assert keys(CONFIG) == keys(SCHEMA) == set(re.findall(r'config\["(\w+)"\]', SNAKEFILE))


def test_the_config_fits_its_schema() -> None:
    yaml, jsonschema = pytest.importorskip("yaml"), pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(CONFIG), yaml.safe_load(SCHEMA))


def test_all_files_are_in_a_wheel() -> None:
    (line,) = re.findall(
        r"^\[tool\.setuptools\.package-data\]\ncosmoinfer = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.M
    )
    packaged = {path for pattern in ast.literal_eval(line) for path in (ROOT / "cosmoinfer").glob(pattern)}
    assert {FOLDER / name for name in FILES} <= packaged


def test_a_training_that_was_stopped_is_queued_again(tmp_path: Path) -> None:
    for name, text in {"srun": "exit $RC", "scontrol": "echo scontrol $*"}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    command = [shutil.which("bash") or "bash", FOLDER / "slurm" / "train.sbatch"]
    for status, expected in ((0, ""), (1, ""), (75, "scontrol requeue 7\n")):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "RC": str(status)}
        job = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert (job.returncode, job.stdout) == (status, expected)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("train", {"signal": "USR1@120", "requeue": "", "open-mode": "append"}),
        ("shards", {"array": "1-16", "requeue": "", "open-mode": "append"}),
    ],
)
def test_a_batch_file_asks_for_what_a_restart_needs(name: str, settings: dict[str, str]) -> None:
    declared = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", SBATCH[name], re.M))
    assert settings.items() <= declared.items()


def test_init_writes_the_files_and_replaces_none_that_was_edited(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pipeline"
    assert f"wrote {len(FILES)} of {len(FILES)} files" in done("workflow", "init", folder)
    assert sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) == FILES
    assert all((folder / name).read_bytes() == (FOLDER / name).read_bytes() for name in FILES)
    assert "wrote 0 of" in done("workflow", "init", folder)
    edited = folder / "config" / "config.yaml"
    edited.write_text("catalog: mine.h5\n")
    (folder / "README.md").unlink()
    message = refused("workflow", "init", folder)
    assert "1 of 12 files exist with other contents (config/config.yaml); --force replaces them" in message
    assert edited.read_text() == "catalog: mine.h5\n" and not (folder / "README.md").exists()
    written = json.loads(done("workflow", "init", folder, "--force", "--json"))["written"]
    assert written == [str(folder / "README.md"), str(edited)]
    assert edited.read_text() == CONFIG


@pytest.mark.parametrize("in_the_way", ["config", "config/config.yaml"])
def test_init_refuses_what_is_no_file_or_folder(in_the_way: str, tmp_path: Path) -> None:
    if in_the_way == "config":
        (tmp_path / in_the_way).write_text("")
    else:
        (tmp_path / in_the_way).mkdir(parents=True)
    assert str(tmp_path / in_the_way) in refused("workflow", "init", tmp_path, "--force")


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused("workflow", "init", "") == "cosmoinfer: expected the name of a folder, found an empty one"
    assert not list(tmp_path.iterdir())
