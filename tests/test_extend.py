"""The examples of the guide of a new flow, network, loss and activation, through the command line by their names."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from tests.command_line import done, linear, refused, write

PAGE = Path(__file__).parent.parent / "cosmoinfer" / "guide" / "extending.md"
BLOCKS = re.findall(r"<!-- extend -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
TABLES: dict[str, dict[str, Any]] = {"flow": FLOWS, "network": NETWORKS, "loss": LOSSES, "activation": ACTIVATIONS}
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
    before = {what: dict(table) for what, table in TABLES.items()}
    try:
        for number, code in enumerate(BLOCKS):
            path = folder / f"example_{number}.py"
            path.write_text(code)
            specification = importlib.util.spec_from_file_location(path.stem, path)
            assert specification and specification.loader
            module = importlib.util.module_from_spec(specification)
            sys.modules[path.stem] = module  # where a dataclass looks for its own module
            specification.loader.exec_module(module)
        new = {what: set(table) - set(before[what]) for what, table in TABLES.items()}
        assert [len(names) for names in new.values()] == [1, 1, 1, 1]
        yield {what: names.pop() for what, names in new.items()}
    finally:
        for what, table in TABLES.items():
            table.clear()
            table.update(before[what])


def drawn(path: Path, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def recipe(model: Path) -> dict[str, Any]:
    return json.loads(done("inspect", model, "--json"))["meta"]["settings"]["recipe"]


def test_there_is_an_example_of_each_and_none_is_longer_than_a_screen() -> None:
    assert len(BLOCKS) == len(TABLES)
    assert max(len([line for line in code.splitlines() if line.strip()]) for code in BLOCKS) <= 18


def test_a_new_flow(folder: Path, sims: Path, added: dict[str, str]) -> None:
    model = folder / "flow.h5"
    options = ["--flow", added["flow"], "--hidden", "8", "--support", "probit", *QUICK]
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
    assert f"--bins: --flow {flow} has no such setting; it has" in refused(
        "train-flow", sims, "--flow", flow, "--bins", 4
    )
    lacking = refused("train-regressor", sims, "--network", network, "--depth", 4)
    assert f"--depth: --network {network} has no such setting; it has hidden" in lacking
