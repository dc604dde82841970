"""What would give a wrong number without an error: warm starts, gaps, blank pixels, cut data, rows picked by number."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer import models
from tests.command_line import call, done, linear, refused, write

QUICK = ("--epochs", 2, "--ensemble", 1, "--threads", 1)
FLOW = ("--flow", "maf", "--support", "probit", *QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two catalogs of the same kind, and a covariance."""
    made = tmp_path_factory.mktemp("misuse")
    for name, seed in (("one", 1), ("other", 2)):
        write(made / f"{name}.h5", *linear(120, seed))
    with h5py.File(made / "one.h5") as file:
        np.save(made / "cov.npy", np.full(file["data"].shape[1], 0.01))
    return made


def go_on(folder: Path, ancestor: Path, heir: Path) -> None:
    """From the weights of the ancestor, on the other catalog."""
    options = ("--support", "probit", "--epochs", 1, *QUICK[4:])
    done("train-flow", folder / "other.h5", "-o", heir, "--fine-tune", ancestor, *options)


def test_a_catalog_in_the_place_of_a_model_is_called_one(folder: Path) -> None:
    expected = "is a catalog; expected a posterior, or: cosmoinfer evaluate MODEL"
    assert expected in refused("evaluate", folder / "one.h5", folder / "other.h5")


FOREIGN_FILES = {  # what writes one, and what it is called
    "x.txt": (lambda path: path.write_text("# k  P(k)\n0.1 2\n0.2 3\n"), "a text file"),
    "x.csv": (lambda path: path.write_text("k,P(k)\n0.1,2\n0.2,3\n"), "a text file"),
    "x.npy": (lambda path: np.save(path, np.zeros((3, 8))), "an array of numpy (.npy)"),
    "x.npz": (lambda path: np.savez(path, x=np.zeros((3, 8))), "an archive of arrays (.npz or .pt)"),
}
TABLES = ("x.txt", "x.csv")
EXPECTING = {  # a command, and what it says of a file that is {what}
    "export {file} --to csv": "is {what}, no HDF5 file; expected a posterior file",
    "reweight {file} --keep a": "is {what}, no HDF5 file; expected a posterior file",
    "sample {file} {folder}/one.h5": "is {what}, no HDF5 file; expected a model file",
    "report {file}": "is {what}, and holds no model, posterior or metrics",
    "evaluate {file}": "is {what}; expected a posterior, or: cosmoinfer evaluate",
    "plot {file}": "expected posteriors, a model or a study, found {what}",
    "merge {file}": "expected the posterior of a shard, found {what}",
}


@pytest.mark.parametrize("name", FOREIGN_FILES)
def test_a_file_of_another_format_is_called_what_it_is(folder: Path, tmp_path: Path, name: str) -> None:
    write_file, what = FOREIGN_FILES[name]
    write_file(tmp_path / name)
    for command, expected in EXPECTING.items():
        if command.startswith("plot") and name in TABLES:
            continue  # which may hold the points of a chain
        line = refused(*command.format(file=tmp_path / name, folder=folder).split(), "-o", tmp_path / "out.h5")
        assert f"{name}: {expected.format(what=what)}" in line


@pytest.mark.parametrize("command", ["sample . x.h5", "score . x.h5", "generate .", "evaluate .", "export . --to csv"])
def test_a_folder_in_the_place_of_a_file_is_one_line(command: str) -> None:
    assert ".: is a folder; expected a file" in refused(*command.split())
    assert ".: is a folder; expected a file" in refused("reweight", ".", "--keep", "a")


def test_a_model_behind_its_catalog_is_told_to_come_first(folder: Path, tmp_path: Path) -> None:
    model = folder / "behind.h5"
    done("train-flow", folder / "one.h5", "-o", model, *FLOW)
    np.savetxt(tmp_path / "x.txt", np.zeros((1, 8)))
    for command in ("sample", "evaluate", "score"):
        for first, what in ((tmp_path / "x.txt", "a text file"), (folder / "one.h5", "a catalog")):
            line = refused(command, first, model)
            assert f"{first}: is {what}, and {model} a flow (model file); the model comes first" in line
            assert line.endswith(f": cosmoinfer {command} {model} {first}")


def test_a_warm_start_keeps_the_noise_and_the_code_of_its_ancestor(folder: Path) -> None:
    ancestor, heir = folder / "ancestor.h5", folder / "heir.h5"
    done("train-flow", folder / "one.h5", "-o", ancestor, *FLOW, "--compress", "pca:3", "--noise", folder / "cov.npy")
    go_on(folder, ancestor, heir)
    old, new = models.read(ancestor).preprocessing, models.read(heir).preprocessing
    np.testing.assert_array_equal(new.noise.root, old.noise.root)
    rows = np.random.default_rng(0).standard_normal((5, *old.inputs[0].shape))
    np.testing.assert_array_equal(new.inputs[0](rows), old.inputs[0](rows))
    message = refused(
        "train-flow", folder / "other.h5", "-o", folder / "no.h5", "--fine-tune", ancestor, "--compress", "pca:3"
    )
    assert "--compress: the architecture is that of the model" in message


def test_the_validation_rows_of_an_ancestor_are_no_test_rows(folder: Path) -> None:
    ancestor, heir = folder / "first.h5", folder / "second.h5"
    done("train-flow", folder / "one.h5", "-o", ancestor, *FLOW)
    go_on(folder, ancestor, heir)
    record = models.read(ancestor).training_record
    assert len(models.read(heir).training_record.validation_hashes) > len(record.validation_hashes)
    assert "chosen by" in refused("evaluate", heir, folder / "one.h5", "-o", folder / "no.h5", "--threads", 1)
    options = ("--rows", "0:20", "--draws", 5, "--quiet")
    _, _, messages = call("sample", ancestor, folder / "one.h5", "-o", folder / "few.h5", *options)
    assert "warning: the model was trained on or chosen by" in messages


def test_missing_mask_requires_missing_data_in_training(folder: Path) -> None:
    message = refused("train-flow", folder / "one.h5", "-o", folder / "no.h5", "--missing", "mask", *FLOW)
    assert "no training row of /data has a gap" in message


def test_a_summary_is_not_compressed(folder: Path) -> None:
    regressor = folder / "regressor.h5"
    done("train-regressor", folder / "one.h5", "-o", regressor, *QUICK)
    message = refused(
        "train-flow", folder / "one.h5", "-o", folder / "no.h5", "--summary", regressor, "--compress", "pca:2"
    )
    assert "--compress: has no effect beside --summary" in message


def test_what_is_generated_from_cut_data_can_be_scored(folder: Path) -> None:
    density, new = folder / "cut.density.h5", folder / "new.h5"
    done("train-density", folder / "one.h5", "-o", density, "--scale-cut", "1:3", "--unconditional", *QUICK)
    done("generate", density, "-o", new, "--draws", 6, "--threads", 1)
    done("score", density, new, "-o", folder / "new.scores.h5", "--threads", 1)
    with h5py.File(folder / "new.scores.h5") as file:
        assert np.isfinite(file["log_prob"][()]).all() and file["log_prob"].shape == (6,)


@pytest.mark.parametrize(
    ("spoil", "message"), [("blank", "4 pixels are the same"), ("twins", "one channel of the maps")]
)
def test_a_density_without_bound_is_refused(folder: Path, spoil: str, message: str) -> None:
    maps = np.random.default_rng(3).standard_normal((60, 2, 8, 8))
    if spoil == "blank":
        maps[:, 0, 2:4, 2:4] = 0.0
    else:
        maps[:, 1] = 2 * maps[:, 0] + 1
    path = folder / f"{spoil}.h5"
    write(path, linear(60, 3)[0], maps)
    assert message in refused("train-density", path, "-o", folder / "no.h5", *QUICK)


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--bounds", "A=4:0.25", "--bounds A=4:0.25: A: the box 4..0.25 is empty"),
        ("--bounds", "A=0:4:log", "--bounds A=0:4:log: A: a log-uniform prior needs positive bounds, found 0..4"),
        ("--bounds", "B=0:1", "--bounds B=0:1: no parameter is named B; there are A, h"),
        ("--bounds", "A=0:4,A~h=0.5", "--bounds A~h=0.5: A: only a normal or log-normal prior can be correlated"),
        ("--bounds", "A~h=x", "--bounds A~h=x: 'A~h=x' is not understood; expected a correlation"),
        ("--infer", "B", "--infer: no parameter is named B; there are A, h"),
        ("--infer", "A,A", "--infer: parameter names must differ, found A, A"),
        ("--scale-cut", "8:", "--scale-cut '8:': keeps none of the 8 features of /data"),
    ],
)
def test_a_message_names_the_option_to_blame(tmp_path, option, value, complaint):
    theta, x = linear(20, 0)
    catalog = write(tmp_path / "sims.h5", theta, x)
    line = refused("split", catalog, "--names", "A,h", option, value)
    assert line.startswith(f"cosmoinfer: {complaint}")


def test_an_option_of_other_commands_is_said_to_be_theirs() -> None:
    for name, owners in (("--network", "train-regressor"), ("--compare-to", "evaluate")):
        status, _, err = call("train-flow", "sims.h5", name, "x")
        assert status == 2 and f"No such option: {name}; an option of {owners}" in err
    assert "Possible options: --epochs" in call("train-flow", "sims.h5", "--epoch", 3)[2]


@pytest.mark.parametrize("command", ["sample flow.h5", "ensemble a.h5", "sample"])
def test_a_command_of_many_files_says_which_it_expects(command: str) -> None:
    """With one file the parser takes it for the last, and would call the first missing."""
    assert "Missing argument: expected {models}... {catalog}" in call(*command.split())[2]
