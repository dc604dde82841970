"""Every system of the course, by its name, through the command line: trained, written, read and sampled; and refused.

One test runs over every member of a table, so that a new member is tested by its name alone. The trainings are far too
short to be any good: what they learn is the business of other tests.
"""

import json
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer.cli.terminal import error_lines
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.networks import BASELINES, NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cnn import PADDINGS, POOLINGS
from cosmoinfer.preprocessing.compression import COMPRESSIONS
from cosmoinfer.training.settings import OPTIMIZERS, SCHEDULES
from tests.command_line import call, done, linear, refused, write

ROWS = 90
ONE = ["--threads", "1"]
QUICK = ["--epochs", "2", "--ensemble", "2", *ONE]
FLOW = ["train-flow", *QUICK, "--support", "probit"]
MAF = [*FLOW, "--flow", "maf"]  # where no race is needed
REGRESSOR = ["train-regressor", *QUICK]
DENSITY = ["train-density", *QUICK]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="module")
def vectors(folder: Path) -> Path:
    """With two categorical targets, /classes/suite of two names and /classes/code of three numbers."""
    theta, x = linear(ROWS, 1)
    suite, code = np.arange(ROWS) % 2, np.arange(ROWS) % 3
    path = write(folder / "vectors.h5", theta, x + suite[:, None], **{"classes/suite": suite, "classes/code": code})
    with h5py.File(path, "r+") as file:
        file["classes/suite"].attrs["names"] = ["TNG", "SIMBA"]
    return path


def fields(path: Path, shape: tuple[int, ...]) -> Path:
    """White noise whose amplitude is sigma_8."""
    theta, _ = linear(ROWS, 1)
    noise = np.random.default_rng(2).normal(size=(ROWS, *shape))
    return write(path, theta, theta[:, 1].reshape(-1, *[1] * len(shape)) * noise)


@pytest.fixture(scope="module")
def maps(folder: Path) -> Path:
    return fields(folder / "maps.h5", (8, 8))


@pytest.fixture(scope="module")
def gaps(folder: Path) -> Path:
    theta, x = linear(ROWS, 1)
    x[np.random.default_rng(3).random(x.shape) < 0.2] = np.nan
    return write(folder / "gaps.h5", theta, x)


@pytest.fixture(scope="module")
def trained(folder: Path, vectors: Path) -> Path:
    """A flow of the vectors."""
    path = folder / "trained.h5"
    done(*MAF, vectors, "-o", path)
    return path


@pytest.fixture(scope="module")
def densities(folder: Path, vectors: Path) -> dict[str, Path]:
    """p(x | theta) and p(x) of the vectors."""
    paths = {name: folder / f"{name}.density.h5" for name in ("conditional", "plain")}
    done(*DENSITY, vectors, "-o", paths["conditional"])
    done(*DENSITY, vectors, "-o", paths["plain"], "--unconditional")
    return paths


@lru_cache  # a model that is written stays as it is
def recipe(model: Path) -> dict:
    """How a model says that it was trained."""
    return json.loads(done("inspect", model, "--json"))["meta"]["settings"]["recipe"]


def sampled(model: Path, catalog: Path, parameters: int = 2) -> np.ndarray:
    """Draws (n, 20, P) of the model's test rows, inside the box and with a finite density; then evaluated."""
    drawn = model.with_name(f"{model.stem}.posterior.h5")
    done("sample", model, catalog, "-o", drawn, "--draws", "20", *ONE)
    with h5py.File(drawn) as file:
        samples = file["samples"][()]
        assert samples.shape[1:] == (20, parameters)
        assert ((samples >= [0.1, 0.6][:parameters]) & (samples <= [0.5, 1.0][:parameters])).all()
        assert np.isfinite(file["log_prob"][()]).all() and np.isfinite(file["log_prob_truth"][()]).all()
        assert len(np.unique(samples)) == samples.size  # nothing is drawn twice, nor heaped on an edge
    evaluated(drawn)
    return samples


def evaluated(posterior: Path) -> dict:
    document = json.loads(done("evaluate", posterior, "-o", posterior.with_suffix(".metrics.h5"), "--json"))
    assert document["rows"] > 5
    return document["metrics"]


def regressed(model: Path, catalog: Path) -> np.ndarray:
    """Means (n, P) of the model's test rows, drawn from too where there are widths; then evaluated."""
    if LOSSES[recipe(model)["loss"]].output_head != "point":
        sampled(model, catalog)
    else:
        drawn = model.with_name(f"{model.stem}.posterior.h5")
        assert "a point and no draws" in done("sample", model, catalog, "-o", drawn, *ONE)
        metrics = evaluated(drawn)
        assert np.isfinite(metrics["parameters"]["rmse"]["Omega_m"]["value"])
    with h5py.File(model.with_name(f"{model.stem}.posterior.h5")) as file:
        return file["mean"][()]


# ----------------------------------------------------------------------------------------------------------- flows
@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_trained_written_read_and_sampled(folder: Path, vectors: Path, name: str) -> None:
    model = folder / f"{name}.flow.h5"
    assert f"2 x {name}" in done(*FLOW, vectors, "-o", model, "--flow", name)
    assert [stack["flow"] for stack in recipe(model)["stacks"]] == [name]
    sampled(model, vectors)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_of_one_parameter(folder: Path, vectors: Path, name: str) -> None:
    model = folder / f"{name}.one.h5"
    done(*FLOW, vectors, "-o", model, "--flow", name, "--infer", "Omega_m")
    sampled(model, vectors, parameters=1)


def test_a_flow_of_many_parameters_reports_its_network_passes(folder: Path) -> None:
    theta = np.random.default_rng(0).normal(size=(60, 31))
    for count in (11, 31):
        with h5py.File(folder / f"{count}.h5", "w") as file:
            file["parameters"], file["data"] = theta[:, :count], theta[:, :count]
    short = ["--flow", "iaf", "--epochs", "1", "--ensemble", "1", "--layers", "1", "--hidden", "8", *ONE]
    status, _, err = call("train-flow", folder / "11.h5", "-o", folder / "11.flow.h5", *short)
    assert status == 0 and "11 network passes" in err
    command = ["train-flow", folder / "31.h5", "-o", folder / "31.flow.h5", *short]
    assert "31 network passes" in refused(*command)
    done(*command, "--force")
    assert "31 network passes" in refused("train-density", folder / "31.h5", "-o", folder / "31.density.h5", *short)


# ---------------------------------------------------------------------------------------------- networks and losses
@pytest.mark.parametrize("name", [*NETWORKS, *BASELINES])
def test_a_network_is_trained_written_read_and_sampled(folder: Path, vectors: Path, maps: Path, name: str) -> None:
    """On vectors, or on maps if it wants axes."""
    model, catalog = folder / f"{name}.regressor.h5", vectors
    options = ONE if name in BASELINES else QUICK
    if call("train-regressor", vectors, "-o", model, "--network", name, *options)[0]:
        catalog = maps
        done("train-regressor", maps, "-o", model, "--network", name, *options)
    assert [network for network, _ in recipe(model)["networks"]] == [name]
    assert np.ptp(regressed(model, catalog), axis=0).min() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_minimised_and_its_posterior_sampled(folder: Path, vectors: Path, loss: str) -> None:
    model = folder / f"{loss}.loss.h5"
    output = done(*REGRESSOR, vectors, "-o", model, "--loss", loss)
    assert f"validation {LOSSES[loss].validation_score_name or loss} of a member" in output
    assert recipe(model)["loss"] == loss
    regressed(model, vectors)


@pytest.mark.parametrize("target", ["suite", "code"])
@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_a_target_makes_a_classifier(folder: Path, vectors: Path, target: str, loss: str) -> None:
    model = folder / f"{target}.{loss}.h5"
    command = [*REGRESSOR, vectors, "-o", model, "--target", target, "--loss", loss, "--force"]
    classes = ["TNG", "SIMBA"] if target == "suite" else ["0", "1", "2"]
    try:
        CLASSIFICATION_LOSSES[loss].n_outputs(len(classes))
    except UserError as error:  # not for so many classes
        assert error_lines(error)[0] in refused(*command)
        return
    done(*command)
    output = done("inspect", model)
    assert "classifier" in output and all(name in output for name in classes)
    drawn = folder / f"{target}.{loss}.posterior.h5"
    assert f"probabilities of {len(classes)} classes" in done("sample", model, vectors, "-o", drawn, *ONE)
    with h5py.File(drawn) as file:
        probabilities = file["probabilities"]
        assert probabilities.attrs["names"].astype(str).tolist() == classes
        assert np.allclose(probabilities[()].sum(axis=1), 1) and (probabilities[()] > 0).all()
    document = json.loads(done("evaluate", drawn, "--json", "-o", folder / f"{target}.{loss}.metrics.h5"))
    assert {"accuracy", "log_score"} <= set(document["metrics"]["joint"])
    assert np.sum(document["confusion"]["counts"]) == document["rows"]


def test_figures_of_a_classifier(folder: Path, vectors: Path) -> None:
    model, figures = folder / "pictured.h5", folder / "pictured"
    done(*REGRESSOR, vectors, "-o", model, "--target", "suite")
    command = ["evaluate", model, vectors, "--figures", figures, *ONE]
    done(*command)
    made = {path.name for path in figures.iterdir()}
    assert {"losses.png", "confusion.png", "reliability.png"} <= made and "corner.png" not in made
    (figures / "confusion.png").unlink()
    done(*command)  # the numbers stand there already; the figures are drawn all the same
    assert (figures / "confusion.png").exists()


def test_a_classifier_of_observations_and_a_gate(folder: Path, vectors: Path) -> None:
    """Rows of an unknown class get probabilities; they have no accuracy."""
    model, drawn = folder / "told.h5", folder / "told.posterior.h5"
    done(*REGRESSOR, vectors, "-o", model, "--target", "suite")
    observed = write(folder / "unknown.h5", None, linear(3, 5)[1])
    assert "3 rows, probabilities of 2 classes" in done("sample", model, observed, "-o", drawn, *ONE)
    assert "no true" in refused("evaluate", drawn)
    status, _, err = call("evaluate", model, vectors, "--fail-if", "accuracy<2", *ONE)
    assert status == 3 and "accuracy" in err


def test_a_network_that_learns_nothing_points_to_the_catalog(folder: Path) -> None:
    """Where the rows of parameters and data do not belong together, and nowhere else."""
    theta, x = linear(400, 1)
    ridge = ["train-regressor", "--network", "ridge", *ONE]
    mixed = write(folder / "mixed.h5", np.random.default_rng(0).permutation(theta), x)
    ordered = write(folder / "ordered.h5", theta, x)
    status, _, err = call(*ridge, mixed, "-o", folder / "mixed.regressor.h5")
    assert status == 0 and "warning: the network returns the mean of the prior for every parameter" in err
    assert "cosmoinfer inspect" in err
    status, _, err = call(*ridge, ordered, "-o", folder / "ordered.regressor.h5")
    assert status == 0 and "warning" not in err


def test_compressed_and_in_classes(folder: Path, vectors: Path) -> None:
    done(*REGRESSOR, vectors, "-o", folder / "both.h5", "--target", "suite", "--compress", "pca:3")
    done("evaluate", folder / "both.h5", vectors, *ONE)


# ------------------------------------------------------------------------------------- what a training can be told
SETTINGS = {
    **{f"--activation {name}": "silu" for name in ACTIVATIONS},
    **{f"--optimizer {name}": "adamw" for name in OPTIMIZERS},
    **{f"--schedule {name}": "cosine" for name in SCHEDULES},
    "--batch-size 1": "",
    "--batch-size 10000": "10000",  # all of them, as one of the usual batches already is
    "--weight-decay 10.0": "",
    "--dropout 0.5": "",
    "--clip-norm 0.001": "",
    "--warm-up 1": "",
}


def weights(model: Path) -> bytes:
    with h5py.File(model) as file:
        group = file["stacks/0/weights"]
        return b"".join(group[name][()].tobytes() for name in sorted(group))


@pytest.fixture(scope="module")
def usual(folder: Path, vectors: Path) -> bytes:
    done(*REGRESSOR, vectors, "-o", folder / "usual.h5", "--activation", "silu", "--dropout", "0")
    return weights(folder / "usual.h5")


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_heard_and_kept(folder: Path, vectors: Path, usual: bytes, setting: str) -> None:
    option, value = setting.split()
    model = folder / f"{setting.replace(' ', '')}.h5"
    command = [*REGRESSOR, vectors, "-o", model, "--activation", "silu", "--dropout", "0", option, value]
    done(*command, *(["--epochs", "1"] if setting == "--batch-size 1" else []))
    written = recipe(model)
    held = written["training"] | written["networks"][0][1]
    assert str(held[option[2:].replace("-", "_")]) == value
    assert (weights(model) == usual) == (value == SETTINGS[setting])


CONVOLUTION = [
    *(f"--pooling {name} --stride 2" for name in POOLINGS),
    *(f"--padding {name} --layers 1" for name in PADDINGS),
    "--kernel 5",
    "--batch-norm",
    "--no-batch-norm",
    "--blocks 1 --layers 1",
]


@pytest.mark.parametrize("setting", CONVOLUTION)
def test_a_convolution_is_set(folder: Path, maps: Path, setting: str) -> None:
    name = setting.replace(" ", "")
    done(*REGRESSOR, maps, "-o", folder / f"{name}.h5", "--loss", "mse", "--hidden", "4", *setting.split())
    ((network, held),) = recipe(folder / f"{name}.h5")["networks"]
    assert network == "cnn"
    for option, value in zip(setting.split()[::2], setting.split()[1::2], strict=False):
        assert str(held[option[2:]]) == value
    if "batch-norm" in setting:
        assert held["batch_norm"] == (setting == "--batch-norm")
    assert np.ptp(regressed(folder / f"{name}.h5", maps), axis=0).min() > 0


@pytest.mark.parametrize("shape", [(2, 16), (2, 8, 8), (1, 8, 8, 8)], ids=["profiles", "fields", "grids"])
def test_a_cnn_and_a_flow_behind_one_in_every_dimension(folder: Path, shape: tuple[int, ...]) -> None:
    catalog, name = fields(folder / f"{len(shape)}.h5", shape), f"{len(shape)}"
    kind = ["--kind", ("vector", "profile", "map", "grid")[len(shape) - 1]]
    done(*REGRESSOR, catalog, *kind, "-o", folder / f"{name}.regressor.h5", "--hidden", "4")
    regressed(folder / f"{name}.regressor.h5", catalog)
    small = ["--embedding", "cnn:hidden=4,pooling=max"]
    done(*MAF, catalog, *kind, "-o", folder / f"{name}.flow.h5", *small)
    sampled(folder / f"{name}.flow.h5", catalog)


def test_symmetries_can_be_left_out_or_picked(folder: Path, maps: Path) -> None:
    trained_weights = {}
    for augment in ("auto", "none", "rotations", "mirrors,shifts"):
        model = folder / f"{augment}.augmented.h5"
        done(*REGRESSOR, maps, "-o", model, "--hidden", "4", "--augment", augment)
        trained_weights[augment] = weights(model)
    assert len(set(trained_weights.values())) == 4


# ------------------------------------------------------------------------------------------- what goes into a network
@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("command", [MAF, REGRESSOR], ids=["flow", "regressor"])
def test_vectors_are_compressed(folder: Path, vectors: Path, command: list[str], name: str) -> None:
    model = folder / f"{command[0]}.{name}.h5"
    status, _, err = call(*command, vectors, "-o", model, "--compress", f"{name}:3")
    assert status == 0 and f"{name}:3 keeps" in err
    assert "(8,), in 3 numbers" in done("inspect", model)
    sampled(model, vectors)


@pytest.mark.parametrize("command", [MAF, REGRESSOR], ids=["flow", "regressor"])
def test_noise_is_added_unless_it_is_there(folder: Path, vectors: Path, command: list[str]) -> None:
    """A model that was trained with noise adds it to test data, unless --data-include-noise says that they hold it."""
    np.save(folder / "cov.npy", 100 * np.eye(8))
    model = folder / f"{command[0]}.noisy.h5"
    status, _, err = call(*command, vectors, "-o", model, "--noise", folder / "cov.npy")
    assert status == 0 and "noise is drawn anew for every epoch" in err
    assert "added to simulations" in done("inspect", model)
    noisy = sampled(model, vectors)
    done("sample", model, vectors, "--data-include-noise", "-o", folder / f"{command[0]}.h5", "--draws", "20", *ONE)
    with h5py.File(folder / f"{command[0]}.h5") as file:
        assert not np.array_equal(file["samples"][()], noisy)
    (folder / "cov.npy").unlink()  # kept in the model
    sampled(model.rename(folder / f"{command[0]}.moved.h5"), vectors)


@pytest.mark.parametrize("command", [FLOW, REGRESSOR], ids=["flow", "regressor"])
def test_missing_data_are_passed_to_the_network_as_a_mask(folder: Path, gaps: Path, command: list[str]) -> None:
    model = folder / f"{command[0]}.gaps.h5"
    assert "--missing mask" in refused(*command, gaps, "-o", model)
    done(*command, gaps, "-o", model, "--missing", "mask")
    status, output, _ = call("inspect", gaps)
    assert status == 1 and "--missing mask" in output
    assert "% of its values are missing" in done("inspect", gaps, "--missing", "mask")
    assert "NaN marks gaps" in done("inspect", model)
    sampled(model, gaps)  # the model remembers how its catalog was read


def test_a_flow_starts_from_another(folder: Path, vectors: Path, trained: Path) -> None:
    theta, x = linear(ROWS, 5)
    second = write(folder / "other.h5", theta, x)
    model, source = folder / "continued.h5", trained.read_bytes()
    command = [
        "train-flow",
        second,
        "-o",
        model,
        "--fine-tune",
        trained,
        "--epochs",
        "1",
        "--learning-rate",
        "1e-9",
        *ONE,
    ]
    done(*command)
    assert "begins from another flow" in done("inspect", model)
    (ours,), (theirs,) = recipe(model)["stacks"], recipe(trained)["stacks"]
    assert (ours["flow"], ours["settings"]) == (theirs["flow"], theirs["settings"])
    with h5py.File(model) as file, h5py.File(trained) as begun:
        for name, value in begun["stacks/0/weights"].items():
            assert np.allclose(file["stacks/0/weights"][name][()], value[()], atol=1e-6)
    copy = model.rename(folder / "alone.h5")
    trained.rename(folder / "away.h5")
    sampled(copy, second)  # the ancestor is embedded, not referenced
    (folder / "away.h5").rename(trained)
    assert trained.read_bytes() == source
    assert "--fine-tune names" in refused(*command, "--flow", "nsf", "--force")


# ------------------------------------------------------------------------------------------------ densities of the data
def density_walk(folder: Path, catalog: Path, name: str, condition: list[str], shape: tuple[int, ...]) -> None:
    """Trained, inspected, drawn from, and what was drawn is scored as what was simulated."""
    model = folder / f"{name}.density.h5"
    done(*DENSITY, catalog, "-o", model, "--flow", name, "--force", *condition)
    report = done("inspect", model)
    assert ("p(data)" if condition else "p(data | Omega_m, sigma_8)") in report and f"2 x {name}" in report
    new, at = folder / f"{name}.new.h5", [] if condition else ["--at", "sigma_8=0.8,Omega_m=0.3"]
    done("generate", model, "-o", new, "--draws", "12", "--force", *at, *ONE)
    with h5py.File(new) as file:
        assert file["data"].shape == (12, *shape) and np.isfinite(file["data"][()]).all()
        assert condition or np.allclose(file["parameters"][()], [0.3, 0.8])
    for scored, rows in ((catalog, None), (new, 12)):
        output = folder / f"{name}.scores.h5"
        document = json.loads(done("score", model, scored, "-o", output, "--force", "--json", *ONE))
        assert rows is None or document["rows"] == rows
        with h5py.File(output) as file:
            assert len(file["log_prob"]) == document["rows"] and np.isfinite(file["log_prob"][()]).all()
            assert ((file["p_value"][()] > 0) & (file["p_value"][()] <= 1)).all()
        assert "p_value" in done("inspect", output)


@pytest.mark.parametrize("condition", [[], ["--unconditional"]], ids=["conditional", "plain"])
@pytest.mark.parametrize("name", FLOWS)
def test_a_density_of_vectors(folder: Path, vectors: Path, name: str, condition: list[str]) -> None:
    density_walk(folder, vectors, name, condition, (8,))


@pytest.mark.parametrize("condition", [[], ["--unconditional"]], ids=["conditional", "plain"])
@pytest.mark.parametrize("name", MAP_FLOWS)
def test_a_density_of_maps(folder: Path, maps: Path, name: str, condition: list[str]) -> None:
    density_walk(folder, maps, name, condition, (1, 8, 8))


def test_a_density_of_data_without_parameters(folder: Path) -> None:
    bare = write(folder / "bare.h5", None, linear(ROWS, 1)[1])
    assert "p(x)" in done(*DENSITY, bare, "-o", folder / "bare.density.h5")
    done("generate", folder / "bare.density.h5", "-o", folder / "bare.new.h5", *ONE)
    done("score", folder / "bare.density.h5", bare, "-o", folder / "bare.scores.h5", *ONE)
    with h5py.File(folder / "bare.new.h5") as file:
        assert "parameters" not in file


def test_the_same_density_draws_the_same_and_another_seed_others(folder: Path, densities: dict[str, Path]) -> None:
    drawn = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        done("generate", densities["plain"], "-o", folder / f"{name}.h5", "--seed", seed, "--draws", "4", *ONE)
        drawn[name] = (folder / f"{name}.h5").read_bytes()
    assert drawn["a"] == drawn["b"] != drawn["c"]


# ----------------------------------------------------------------------------------------------------------- refusals
def test_unknown_names_are_refused_with_the_known_ones(vectors: Path, maps: Path) -> None:
    for command, option, registry in (
        ("train-flow", "--flow", (*FLOWS, "auto")),
        ("train-flow", "--embedding", NETWORKS),
        ("train-flow", "--activation", ACTIVATIONS),
        ("train-flow", "--optimizer", OPTIMIZERS),
        ("train-flow", "--schedule", SCHEDULES),
        ("train-flow", "--augment", ("auto", "none", "rotations", "mirrors", "shifts")),
        ("train-flow", "--support", ("probit", "soft", "truncate", "auto")),
        ("train-regressor", "--network", (*NETWORKS, *BASELINES)),
        ("train-regressor", "--loss", LOSSES),
        ("train-regressor", "--target suite --loss", CLASSIFICATION_LOSSES),
        ("train-regressor", "--target", ("suite", "code")),
        ("train-regressor", "--transform", ("auto", "log10", "none")),
        ("train-regressor", "--missing", ("mask",)),
        ("train-density", "--flow", FLOWS),
    ):
        message = refused(command, vectors, *option.split(), "nonsense")
        assert option.split()[-1] in message or "/classes/nonsense" in message
        assert all(name in message for name in registry), message
    for option, registry in (("--padding", PADDINGS), ("--pooling", POOLINGS)):
        message = refused("train-regressor", maps, option, "nonsense")
        assert all(name in message for name in registry), message
    assert all(name in refused("train-density", maps, "--flow", "maf") for name in MAP_FLOWS)
    assert "--compress: 'zip:3' is not understood" in refused("train-regressor", vectors, "--compress", "zip:3")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train-regressor VECTORS --target ages", "no /classes/ages; there are code, suite"),
        ("train-regressor MAPS --target suite", "has no /classes/suite"),
        ("train-regressor VECTORS --target suite --infer Omega_m", "--target: replaces the parameters"),
        ("train-regressor VECTORS --target suite --loss mse", "--loss: 'mse' is not known"),
        ("train-regressor VECTORS --loss hinge", "--loss: 'hinge' is not known"),
        (
            "train-regressor VECTORS --network trees --epochs 3",
            "is not trained by gradient descent and has no --epochs",
        ),
        ("train-regressor VECTORS --network ridge --loss moment", "expected --loss mse"),
        (
            "train-regressor VECTORS --network trees --target suite",
            "--network trees: expected parameters and a single observable",
        ),
        ("train-regressor VECTORS --network ridge --hidden 3", "--hidden: --network ridge has no such setting"),
        ("train-regressor VECTORS --network cnn", "a cnn needs profiles, maps or grids"),
        ("train-regressor VECTORS --network cmd", "cmd needs square maps"),
        (
            "train-regressor VECTORS --loss mse --warm-up 1 --epochs 2",
            "--warm-up 1: applies to losses with widths, as moment; found the loss mse",
        ),
        ("train-regressor VECTORS --warm-up 5 --epochs 5", "--warm-up: expected 0 to 4"),
        ("train-regressor VECTORS --kernel 3", "--kernel: --network mlp has no such setting"),
        ("train-regressor VECTORS --compress pca:9", "--compress pca:9: expected 1 to 8"),
        ("train-regressor MAPS --compress pca:2", "--compress pca:2: expected a vector among the observables"),
        ("train-regressor MAPS --kernel 4", "padding needs an odd kernel"),
        (
            "train-regressor VECTORS --augment shifts",
            "--augment shifts: expected a periodic map or grid among the observables",
        ),
        ("train-regressor VECTORS --momentum 1", "--momentum: expected at least 0, less than 1, found 1.0"),
        ("train-regressor VECTORS --noise NOISE", "has shape (3, 3); the data have 8 numbers a row"),
        ("train-regressor VECTORS --noise NOTHING", "NOTHING: "),
        ("train-regressor MAPS --noise NOISE", "expected a catalog of one vector or profile"),
        ("train-flow VECTORS --flow nsf --activation maxout", "--activation maxout: the networks inside a flow"),
        ("train-flow VECTORS --flow realnvp --layers 1", "--layers: "),
        ("train-flow VECTORS --fine-tune PLAIN", "expected a flow, found a density"),
        ("train-flow VECTORS --summary FLOW", "expected a regressor, found a flow"),
        (
            "train-flow VECTORS --fine-tune FLOW --hidden 3",
            "the architecture is that of the model that --fine-tune names",
        ),
        ("train-flow MAPS --fine-tune FLOW", "trained on data of shape (8,) a row"),
        ("train-density VECTORS --levels 2", "--levels: --flow maf has no such setting"),
        ("train-density MAPS --bins 5", "--bins: --flow glow has no such setting"),
        ("generate CONDITIONAL", "--at: expected Omega_m=...,sigma_8=..., found nothing"),
        ("generate CONDITIONAL --at Omega_m=0.3", "--at: expected Omega_m=...,sigma_8=..., found Omega_m=0.3"),
        ("generate CONDITIONAL --at Omega_m=a,sigma_8=0.8", "--at: expected Omega_m=...,sigma_8=..."),
        ("generate CONDITIONAL --at Omega_m=0.3,sigma_8=1.1", "lies outside the box"),
        ("generate CONDITIONAL --at Omega_m=0.3,sigma_8=nan", "lies outside the box"),
        ("generate PLAIN --at Omega_m=0.3,sigma_8=0.8", "is p(x), without parameters"),
        ("generate PLAIN --draws 0", "--draws: expected at least 1, found 0"),
        ("generate FLOW --at Omega_m=0.3,sigma_8=0.8", "expected a density (train-density), found a flow"),
        ("score CONDITIONAL OBSERVED", "has no /parameters, and the model is p(x | theta)"),
        ("score FLOW VECTORS", "expected a density (train-density), found a flow"),
        ("score PLAIN MAPS", "trained on data of shape (8,) a row"),
        ("sample PLAIN VECTORS", "is a density of the data; generate draws from it, score judges rows by it"),
        ("evaluate PLAIN VECTORS", "is a density of the data; generate draws from it, score judges rows by it"),
        ("evaluate SCORES", "expected a posterior file, found a scores file"),
        ("train-flow FLOW", "expected a catalog, found a flow (model file)"),
        ("train-flow VECTORS --split-file FLOW", "one dataset of test ids, found a flow (model file)"),
        ("train-flow VECTORS --scale-cut 0:400", "--scale-cut 0:400: /data has 8 features, numbered 0 to 7"),
        ("sample FLOW SCORES", "expected a catalog, found a scores file"),
        ("sample VECTORS FLOW", "(model file); the model comes first: cosmoinfer sample"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(
    folder: Path, vectors: Path, maps: Path, trained: Path, densities: dict[str, Path], command: str, message: str
) -> None:
    files = {"VECTORS": vectors, "MAPS": maps, "FLOW": trained, "NOISE": folder / "small.npy"}
    files |= {"PLAIN": densities["plain"], "CONDITIONAL": densities["conditional"], "NOTHING": folder / "NOTHING"}
    files |= {"SCORES": folder / "plain.scores.h5", "OBSERVED": folder / "observed.h5"}
    np.save(files["NOISE"], np.eye(3))
    if "OBSERVED" in command:
        write(files["OBSERVED"], None, linear(3, 5)[1])
    if "SCORES" in command:
        done("score", files["PLAIN"], vectors, "-o", files["SCORES"], *ONE)
    output = folder / "refused.h5"
    output.write_text("of another run")  # which is told later than a setting that is not usable
    assert message in refused(*(files.get(word, word) for word in command.split()), "-o", output)
    assert output.read_text() == "of another run"
