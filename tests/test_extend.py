"""The examples of the guide: by their names through the command line, and in the tests of their families."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.metrics import METRICS
from cosmoinfer.metrics.evaluation_data import EvaluationData
from tests.command_line import done, linear, refused, write
from tests.guide_examples import BLOCKS, PAGE, TABLES, add_examples, run_example

ROOT = Path(__file__).parent.parent
MAX_LINES = 30  # of an example: a screen
QUICK = ["--epochs", "4", "--ensemble", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extend")


@pytest.fixture(scope="module")
def sims(folder: Path) -> Path:
    return write(folder / "sims.h5", *linear(120, 1))


@pytest.fixture(scope="module")
def added(folder: Path) -> Iterator[dict[str, str]]:
    """The name that each example puts into its table; afterwards the tables are what they were."""
    before = {kind: dict(table) for kind, table in TABLES.items()}
    try:
        yield add_examples(folder)
    finally:
        for kind, table in TABLES.items():
            table.clear()
            table.update(before[kind])


def drawn(path: Path, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def recipe(model: Path) -> dict[str, Any]:
    return json.loads(done("inspect", model, "--json"))["meta"]["settings"]["recipe"]


def test_there_is_an_example_of_each_and_none_is_longer_than_a_screen() -> None:
    assert len(BLOCKS) == len(TABLES)
    assert max(len([line for line in code.splitlines() if line.strip()]) for code in BLOCKS) <= MAX_LINES


def test_a_new_flow(folder: Path, sims: Path, added: dict[str, str]) -> None:
    model = folder / "flow.h5"
    options = ["--flow", f"{added['flow']}:bins=3", "--hidden", "8", "--support", added["support"], *QUICK]
    output = done("train-flow", sims, "-o", model, *options)
    assert f"2 x {added['flow']}" in output
    done("sample", model, sims, "-o", folder / "flow.posterior.h5", "--draws", "200", "--threads", "1")
    samples = drawn(folder / "flow.posterior.h5", "samples")
    assert ((samples > [0.1, 0.6]) & (samples < [0.5, 1.0])).all()
    done("evaluate", folder / "flow.posterior.h5")
    done("train-density", sims, "-o", folder / "density.h5", "--flow", added["flow"], *QUICK)
    done("score", folder / "density.h5", sims, "-o", folder / "scores.h5", "--threads", "1")
    assert np.isfinite(drawn(folder / "scores.h5", "log_prob")).all()


def test_a_new_network_loss_and_activation(folder: Path, sims: Path, added: dict[str, str]) -> None:
    network, loss, activation = added["network"], added["loss"], added["activation"]
    for name, options in (
        ("point", ["--network", network, "--hidden", "3", "--loss", loss]),
        ("widths", ["--network", network]),
        ("mlp", ["--activation", activation]),
    ):
        model, posterior = folder / f"{name}.h5", folder / f"{name}.posterior.h5"
        done("train-regressor", sims, "-o", model, *options, *QUICK)
        done("sample", model, sims, "-o", posterior, "--draws", "50", "--threads", "1")
        assert np.ptp(drawn(posterior, "mean"), axis=0).min() > 0
        done("evaluate", posterior)
    assert drawn(folder / "widths.posterior.h5", "samples").shape[1:] == (50, 2)
    assert recipe(folder / "point.h5")["loss"] == loss
    assert recipe(folder / "point.h5")["networks"] == [[network, {"hidden": 3}]]
    assert recipe(folder / "mlp.h5")["networks"][0][1]["activation"] == activation


def test_a_setting_that_the_new_architecture_lacks_is_refused(sims: Path, added: dict[str, str]) -> None:
    flow, network = added["flow"], added["network"]
    with pytest.raises(cosmoinfer.UserError, match=f"^linear_start: `flow={flow}` has no such setting; it has"):
        cosmoinfer.train_flow(sims, flow=flow, linear_start=True)
    lacking = refused("train-regressor", sims, "--network", network, "--depth", 4)
    assert f"--depth: --network {network} has no such setting; it has hidden" in lacking


def test_a_setting_of_its_own_has_limits(sims: Path, added: dict[str, str]) -> None:
    flow = added["flow"]
    refusal = refused("train-flow", sims, "--flow", f"{flow}:bins=1")
    assert f"--flow {flow}:bins=1: expected at least 2, found 1" in refusal
    assert f"{flow} has no setting 'bin'; it has layers, bins, hidden" in refused(
        "train-flow", sims, "--flow", f"{flow}:bin=1"
    )


def test_a_new_prior_metric_figure_and_check(folder: Path, sims: Path, added: dict[str, str]) -> None:
    prior, names = added["prior"], ("prior.flow.h5", "prior.posterior.h5", "prior.metrics.h5", "reweighted.h5")
    model, posterior, metrics, reweighted = (folder / name for name in names)
    bounds = f"Omega_m=0.1:0.5:{prior},sigma_8=0.6:1"
    done("train-flow", sims, "--bounds", bounds, "--flow", "maf", "-o", model, *QUICK)
    done("sample", model, sims, "-o", posterior, "--draws", "100", "--threads", "1")
    document = json.loads(done("evaluate", posterior, "-o", metrics, "--figures", folder / "figures", "--json"))
    assert document["metrics"]["parameters"][added["metric"]]["Omega_m"]["value"] > 0
    assert (folder / "figures" / f"{added['figure']}.png").exists()
    done("reweight", posterior, "--prior", f"sigma_8={prior}:0.6:1", "-o", reweighted, "--skip-failed")
    with h5py.File(reweighted) as file:
        assert file["names"].attrs["prior"].astype(str).tolist() == [prior, prior]
    theta, x = linear(120, 1)
    counts = write(folder / "counts.h5", theta, np.round(100 * x))
    assert "/data: whole numbers" in done("inspect", counts, "--audit")
    assert "whole numbers" not in done("inspect", sims, "--audit")


def test_the_examples_pass_the_tests_of_their_families(added: dict[str, str]) -> None:
    """But for those that want an entry of their own: a formula, a value by hand, what a figure needs, a fault."""
    names = " or ".join(added[kind] for kind in ("flow", "network", "loss", "activation", "support"))
    families = ["tests/flows", "tests/networks", "tests/losses", "tests/test_supports.py"]
    families += ["tests/models/test_flow.py", "tests/models/test_nflows.py"]
    command = [sys.executable, "-m", "pytest", "-n0", "-qx", "-p", "tests.guide_examples", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "-k", f"({names}) and not formula", *families], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-3000:]


def test_a_statistic_takes_resampling_weights(folder: Path, added: dict[str, str]) -> None:
    (code,) = re.findall(r"<!-- statistic -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
    run_example(folder / "statistic.py", code)
    data = EvaluationData(cosmoinfer.exact_posterior("two-moons", cosmoinfer.simulate("two-moons", rows=60), draws=50))
    for column, estimate in enumerate(METRICS["error_std"].estimates(data).values()):
        assert estimate.value == pytest.approx(data.error[:, column].std())
        assert estimate.low < estimate.value < estimate.high
