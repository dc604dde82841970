"""Every option that takes a number or a text, with odd values: a usable one, or one line that says what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

import cosmoinfer
from cosmoinfer import models
from cosmoinfer.cli import COMMANDS
from cosmoinfer.errors import UserError
from tests.command_line import COMMAND, call, done, linear, refused, write

HUGE, LONG = f"{10**30}", "9" * 5000  # Python converts no text of more than 4,300 digits to a number
NUMBERS = ("nan", "inf", "0", "-1", "1e300", HUGE, LONG)
TEXTS = ("", " " * 10_000, "x" * 10_000, f"0:{10**12}", "{" * 10_000)
FORMS: dict[str, tuple[str, ...]] = {  # where numbers stand in the texts of these options
    "--rows": ("0:{}", "{}:"),
    "--shard": ("{}/16", "1/{}"),
    "--bounds": ("Omega_m={}:1", "Omega_m=0:{}", "Omega_m=0:1:normal:0:{}", "Omega_m~sigma_8={}"),
    "--where": ("Omega_m<{}",),
    "--fail-if": ("r2<{}", "r2<0 by {}"),
    "--set": ("radius={}",),
    "--sizes": ("20,30,{}",),
    "--columns": ("parameters={}", "data={}:", "parameters=0:{},data=2"),
    "--scale-cut": ("0:{}", "{}:", "k<{}"),
    "--compress": ("pca:{}", "autoencoder:{}"),
    "--memory": ("{}TB",),
    "--prior": ("Omega_m=normal:0.3:{}", "Omega_m=uniform:0:{}"),
    "--derive": ("y=Omega_m*{}",),
    "--truth": ("Omega_m={}",),
    "--labels": ("Omega_m={}",),
    "--at": ("Omega_m=0.3,sigma_8={}",),
    "--flow": ("nsf:bins={}", "maf:hidden={},layers=1"),
    "--embedding": ("mlp:hidden={}", "mlp:dropout={}"),
    "--network": ("mlp:hidden={}", "trees:trees={}"),
    "--optimizer": ("sgd:momentum={}",),
}
ARGUMENTS: dict[str, tuple[str, ...]] = {  # the output is there already, so that nothing is trained or drawn
    "simulate": ("two-moons", "-n", "20", "-o", "taken.h5"),
    "split": ("sims.h5", "-o", "taken.h5"),
    "train-regressor": ("sims.h5", "-o", "taken.h5"),
    "train-flow": ("sims.h5", "-o", "taken.h5"),
    "train-density": ("sims.h5", "-o", "taken.h5"),
    "ensemble": ("flow.h5", "another.h5", "sims.h5", "-o", "taken.h5"),
    "tune": ("sims.h5", "-o", "taken.h5"),
    "sample": ("flow.h5", "sims.h5", "-o", "taken.h5"),
    "merge": ("posterior.h5", "-o", "taken.h5"),
    "evaluate": ("posterior.h5", "-o", "taken.h5"),
    "reweight": ("posterior.h5", "-o", "taken.h5", "--prior", "sigma_8=uniform:0.7:0.9"),
    "plot": ("posterior.h5", "-o", "taken.pdf"),
    "export": ("posterior.h5", "--to", "csv", "-o", "taken.h5"),
    "run": ("sims.h5", "-o", "taken.h5"),
    "report": ("posterior.h5", "-o", "taken.h5"),
    "cross-suite": ("sims.h5", "sims.h5", "-o", "taken.h5"),
    "learning-curve": ("sims.h5", "-o", "taken.h5"),
    "likelihood": ("density.h5", "sims.h5", "-o", "taken.h5"),
    "generate": ("density.h5", "-o", "taken.h5"),
    "score": ("density.h5", "sims.h5", "-o", "taken.h5"),
    "import": ("sims.csv", "--names", "Omega_m,sigma_8", "-o", "taken.h5"),
    "repack": ("sims.h5", "-o", "taken.h5"),
    "inspect": ("sims.h5",),
    "guide": (),
}
QUICK = ("--epochs", 1, "--ensemble", 1, "--threads", 1, "--quiet")
SMALL = ("--flow", "maf:hidden=4,layers=1", *QUICK)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of 60 rows, four models, a posterior, and a file of another tool in the place of every output."""
    folder = tmp_path_factory.mktemp("odd")
    catalog = write(folder / "sims.h5", *linear(60, 1, features=3))
    done("train-flow", catalog, "-o", folder / "flow.h5", "--support", "probit", *SMALL)
    done("train-flow", catalog, "-o", folder / "another.h5", "--support", "probit", "--seed", 1, *SMALL)
    done("train-density", catalog, "-o", folder / "density.h5", *SMALL)
    done("train-regressor", catalog, "-o", folder / "regressor.h5", "--network", "mlp:hidden=4", *QUICK)
    done("sample", folder / "flow.h5", catalog, "-o", folder / "posterior.h5", "--rows", "0:4", "--draws", 20)
    for name in ("taken.h5", "taken.pdf"):
        (folder / name).write_text("of another tool")
    (folder / "sims.csv").write_text("Omega_m,sigma_8,a\n0.3,0.8,1\n0.2,0.9,2\n")
    return folder


@pytest.fixture(autouse=True)
def here(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In their folder, with 1 GB of memory, whatever the machine has."""
    monkeypatch.chdir(inputs)
    monkeypatch.setattr("cosmoinfer.memory.available_bytes", lambda: 10**9)
    return inputs


def distinct_options() -> dict[str, list[Any]]:
    """Of each command the options with a value that no command before it has: they are declared once."""
    declared, by_command = set(), {}
    for name in COMMANDS:
        options = [entry for entry in COMMAND.commands[name].params if getattr(entry, "help", None) is not None]
        options = [entry for entry in options if entry.opts[0].startswith("-") and not entry.is_flag]
        by_command[name] = [entry for entry in options if (entry.opts[-1], entry.help) not in declared]
        declared |= {(entry.opts[-1], entry.help) for entry in options}
    return by_command


def odd_values(option: str) -> Iterator[str]:
    if option == "--output":  # where any other value is the name of a file
        yield from ("", "x" * 10_000)
        return
    for form in ("{}", *FORMS.get(option, ())):
        yield from (form.format(number) for number in NUMBERS)
    yield from TEXTS


@pytest.mark.parametrize("command", COMMANDS)
def test_an_odd_value_is_used_or_refused_in_one_line(command: str) -> None:
    for option in distinct_options()[command]:
        for value in odd_values(option.opts[-1]):
            status, _, err = call(command, *ARGUMENTS[command], option.opts[-1], *[value] * option.nargs)
            lines = [line for line in err.splitlines() if line.startswith("cosmoinfer: ")]
            assert status in (0, 1, 2) and len(lines) == (status == 1), (option.opts, value[:50], err[-500:])


def test_all_options_are_tried() -> None:
    options = {option.opts[-1] for of_command in distinct_options().values() for option in of_command}
    assert {"--rows", "--epochs", "--fractions", "--threads", "--split-file", "--at", "--weight-decay"} <= options
    assert set(FORMS) <= options


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("simulate", "two-moons", "-n", 10**10), "-n/--rows: 10000000000 rows of two-moons would take"),
        (("simulate", "two-moons", "-n", 10**20), "-n/--rows: expected at most 9223372036854775807 in mag"),
        (("simulate", "gaussian-grids", "--set", "pixels=1000"), "--set: a row of gaussian-grids with pixels=1000"),
        (("simulate", "power-spectrum", "--set", "bins=1000"), "--set: a row of power-spectrum with bins=1000"),
        (("generate", "density.h5", "--at", "Omega_m=0.3,sigma_8=0.8", "--draws", 10**10), "--draws: 10000000000"),
        (("sample", "flow.h5", "sims.h5", "--threads", 100_000), "--threads: expected 1 to 1024, found 100000"),
        (("train-regressor", "sims.h5", "--network", "trees:trees=100000000"), "--network trees:trees=100000000: exp"),
        (("train-regressor", "sims.h5", "--network", "mlp:hidden=1000000"), "--network mlp:hidden=1000000: expected"),
        (("split", "sims.h5", "--memory", "1" + "0" * 308 + "TB"), "--memory: expected at most 100TB"),
    ],
)
def test_work_that_no_machine_can_do_is_refused_before_it_begins(arguments: tuple[object, ...], complaint: str) -> None:
    assert refused(*arguments, "-o", "new.h5").startswith(f"cosmoinfer: {complaint}")
    assert not Path("new.h5").exists()


@pytest.mark.parametrize("rows", [f"0:{10**12}", f"0:{10**30}", f"{10**30}", f"{10**30}:", "3,60"])
def test_rows_that_a_file_lacks_cost_nothing(rows: str) -> None:
    message = refused("sample", "flow.h5", "sims.h5", "--rows", rows, "-o", "new.h5")
    assert "has no row" in message and "(it has 60 rows)" in message


@pytest.mark.parametrize(
    ("problem", "setting"),
    [
        ("gaussian-maps", "pixels=1"),
        ("gaussian-maps", "noise=1e300"),
        ("power-spectrum", "side=1e300"),
        ("power-spectrum", "shot_noise=1e300"),
        ("linear-gaussian", "noise=1e-300"),
        ("two-moons", "radius=1e300"),
    ],
)
def test_settings_without_information_are_refused(problem: str, setting: str) -> None:
    assert "tell nothing of its parameters" in refused("simulate", problem, "--set", setting, "-o", "new.h5")
    assert not Path("new.h5").exists()


def test_an_exact_posterior_that_cannot_be_drawn_is_one_line() -> None:
    arguments = ("simulate", "two-moons", "-n", 40, "--truth", "--draws", 5, "--force", "-o", "moons.h5")
    assert "lies outside the box" in refused(*arguments, "--set", "radius=1e5")


@pytest.mark.filterwarnings("ignore:.*trained on or chosen by")
@pytest.mark.parametrize(
    ("kind", "weight", "complaint"),
    [
        ("regressor", torch.inf, "row 3: the prediction of the regressor is not finite"),
        ("flow", 1e30, "row 3: the draws of the posterior are not finite"),
    ],
)
@pytest.mark.parametrize("skip_failed", [False, True])
def test_a_model_whose_numbers_are_not_finite_writes_nothing(
    kind: str, weight: float, complaint: str, skip_failed: bool
) -> None:
    model = models.read(f"{kind}.h5")
    with torch.no_grad():
        for weights in model.stacks[0].network.parameters():
            weights.fill_(weight)
    with pytest.raises(UserError, match="no observ" if skip_failed else complaint):
        cosmoinfer.sample(model, "sims.h5", rows="3:5", draws=5, skip_failed=skip_failed, output="new.h5")
    assert not Path("new.h5").exists()


def test_an_evaluation_that_fails_leaves_no_folder_for_its_figures() -> None:
    refused("evaluate", "posterior.h5", "-o", "taken.h5", "--figures", "new/figures")
    assert not Path("new").exists()


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_parameters_beyond_the_range_of_their_products_are_refused(scale: float) -> None:
    theta, x = linear(60, 1, features=3)
    with h5py.File("scaled.h5", "w") as file:
        file["parameters"], file["data"] = theta * scale, x
        file["parameters"].attrs["names"] = ["a", "b"]
    message = refused("train-regressor", "scaled.h5", "-o", "new.h5", *QUICK)
    assert "scaled.h5: a: expected values of at most 1e+100 in magnitude" in message


@pytest.mark.parametrize("length", [245, 252])
def test_the_name_of_an_output_may_be_as_long_as_a_file_system_takes(length: int) -> None:
    catalog = write(Path("x" * length), *linear(60, 1, features=3))
    if length + len(".split.h5") > 255:
        assert "cannot be the name of a file" in refused("split", catalog)
    else:
        done("split", catalog)
