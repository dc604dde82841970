"""``cosmoinfer likelihood`` and its twin in Python: outputs, rows, refusals, warnings, and the exact likelihood."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import CosmoinferWarning
from tests.command_line import call, done, linear, refused, write

ONE = ("--epochs", 1, "--ensemble", 1, "--threads", 1, "--quiet")
POINTS = np.array([[0.3, 0.8], [0.2, 0.9], [0.45, 0.62]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog, models of each kind, and three observations of one universe."""
    folder = tmp_path_factory.mktemp("likelihood")
    theta, x = linear(200, 1)
    sims = write(folder / "sims.h5", theta, x, **{"classes/kind": (theta[:, 0] > 0.3).astype(int)})
    done("train-density", sims, "-o", folder / "sims.density.h5", "--flow", "maf", "--epochs", 10, *ONE[2:])
    done("train-density", sims, "--unconditional", "-o", folder / "plain.h5", "--flow", "maf", *ONE)
    done("train-flow", sims, "-o", folder / "flow.h5", "--flow", "maf", "--support", "truncate", *ONE)
    done("train-regressor", sims, "-o", folder / "regressor.h5", *ONE)
    done("train-regressor", sims, "--target", "kind", "-o", folder / "classifier.h5", *ONE)
    sets = write(folder / "sets.h5", theta.repeat(2, axis=0), x.repeat(2, axis=0) + 0.1, simulation=np.arange(400) // 2)
    done("train-flow", sets, "--observation", "simulation", "-o", folder / "sets.flow.h5", "--flow", "maf", *ONE)
    with h5py.File(folder / "free.h5", "w") as file:
        file.create_dataset("parameters", data=theta).attrs["names"] = ["Omega_m", "sigma_8"]
        file["data"] = x
    done("train-flow", folder / "free.h5", "-o", folder / "free.flow.h5", "--flow", "maf", *ONE)
    write(folder / "observed.h5", None, linear(3, 2)[1])
    return folder


def test_the_command_and_python_bind_the_same(folder: Path) -> None:
    output = folder / "density.likelihood.h5"
    printed = done("likelihood", folder / "sims.density.h5", folder / "observed.h5", "-o", output, "--threads", 1)
    assert printed == f"{output}: 3 observations (row 0, 1, 2), density: p(x | theta), which holds no prior\n"
    likelihood = cosmoinfer.load(output)
    model = cosmoinfer.load(folder / "sims.density.h5")
    x = linear(3, 2)[1]
    expected = sum(model.log_prob(np.repeat(row[None], 3, axis=0), POINTS) for row in x)
    np.testing.assert_allclose(likelihood(POINTS), expected, rtol=1e-5)
    again = cosmoinfer.likelihood(
        folder / "sims.density.h5", folder / "observed.h5", output=folder / "python.h5", threads=1
    )
    assert (folder / "python.h5").read_bytes() == output.read_bytes()
    for source in (cosmoinfer.likelihood(model, x), cosmoinfer.likelihood(model, cosmoinfer.catalog_from_arrays(x=x))):
        np.testing.assert_array_equal(source(POINTS), again(POINTS))


def test_a_likelihood_that_stands_is_complete_and_others_are_no_catalogs(folder: Path) -> None:
    command = ("likelihood", folder / "flow.h5", folder / "observed.h5", "--rows", 1, "--threads", 1)
    document = json.loads(done(*command, "--json"))
    output = folder / "flow.observed.likelihood.h5"
    assert document["output"] == str(output) and document["kind"] == "flow over prior" and document["rows"] == [1]
    assert document["parameters"] == ["Omega_m", "sigma_8"] and 0 <= document["ood_percentile"][0] <= 100
    before = output.read_bytes()
    status, _, messages = call(*command)
    assert status == 0 and "complete already" in messages and output.read_bytes() == before
    assert "exists already" in refused(*command, "--seed", 1)
    done(*command, "--seed", 1, "--force", "--quiet")
    assert output.read_bytes() != before
    told = done("inspect", output)
    assert "holds no prior" in told and "Omega_m, sigma_8" in told
    assert "expected a catalog, found a likelihood file" in refused("sample", folder / "flow.h5", output)


@pytest.mark.parametrize(
    ("model", "arguments", "complaint"),
    [
        ("regressor.h5", (), "is a regressor; expected a density (train-density) or a flow"),
        ("classifier.h5", (), "is a classifier; expected a density"),
        ("plain.h5", (), "is p(x), without parameters"),
        ("sets.flow.h5", (), "takes all rows of a simulation at once (--observation simulation)"),
        ("free.flow.h5", (), "its prior, which is unknown for Omega_m, sigma_8"),
        ("flow.h5", ("--rows", "7"), "has no row 7"),
        ("observed.h5", (), "found a catalog"),
    ],
)
def test_what_has_no_likelihood_is_one_line(
    folder: Path, model: str, arguments: tuple[str, ...], complaint: str
) -> None:
    output = folder / "never.h5"
    message = refused("likelihood", folder / model, folder / "observed.h5", "-o", output, "--threads", 1, *arguments)
    assert complaint in message and not output.exists()


def test_rows_of_several_universes_are_refused_and_training_rows_told(folder: Path) -> None:
    model, sims = folder / "sims.density.h5", folder / "sims.h5"
    assert "different parameters; expected observations of one universe" in refused("likelihood", model, sims)
    status, _, messages = call("likelihood", model, sims, "--rows", 3, "-o", folder / "third.h5", "--threads", 1)
    assert status == 0 and ("the model was trained on or chosen by 1" in messages) == bool(
        cosmoinfer.load(model).training_record.partition_of(cosmoinfer.read_catalog(sims), np.array([3]))[0] < 2
    )
    with pytest.raises(ValueError, match="expected a model or its path"):
        cosmoinfer.likelihood(3, "x.h5")
    with pytest.raises(ValueError, match="draws"):
        cosmoinfer.likelihood(model, sims, draws=3)


@pytest.mark.parametrize("model", ["sims.density.h5", "flow.h5"])
def test_an_observation_unlike_the_training_data_is_told(folder: Path, model: str) -> None:
    x = linear(1, 2)[1]
    with pytest.warns(CosmoinferWarning, match="unlike the training data"):
        unlike = cosmoinfer.likelihood(folder / model, x + 40 * (-1) ** np.arange(8))
    like = cosmoinfer.likelihood(folder / model, x)
    assert like.observed.ood_percentile[0] < 99 < unlike.observed.ood_percentile[0]


def test_the_likelihood_of_a_linear_gaussian_is_near_the_exact_one(tmp_path: Path) -> None:
    """Up to a constant, in nats, over points where it is not negligible."""
    sims = tmp_path / "sims.h5"
    theta, x = linear(3000, 3)
    write(sims, theta, x)
    settings: dict[str, Any] = {"flow": "maf", "ensemble": 1, "epochs": 30, "threads": 1}
    model = cosmoinfer.train_density(sims, **settings)
    truth, observed = np.array([0.3, 0.8]), linear(1, 9)[1]
    mixing = np.random.default_rng(7).normal(size=(2, 8))
    points = np.random.default_rng(0).uniform([0.1, 0.6], [0.5, 1.0], (400, 2))
    exact = -0.5 * ((observed - (points - truth) @ mixing * 5) ** 2).sum(axis=1)
    learned = cosmoinfer.likelihood(model, observed)(points)
    near = exact > exact.max() - 6
    difference = (learned - exact)[near]
    assert near.sum() > 20 and np.std(difference) < 0.5
