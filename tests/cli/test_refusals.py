"""Options that go with another kind of file, or with nothing: one line, and what a model of one simulation gives."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from cosmoinfer import catalog
from tests.command_line import call, done, linear, refused, write

QUICK = ("--epochs", 1, "--ensemble", 1, "--threads", 1)
SPLIT = np.repeat(np.arange(3), 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog whose own split has one simulation in each partition, models of it, and posteriors."""
    made = tmp_path_factory.mktemp("refusals")
    theta, x = linear(120, 1)
    sims = write(made / "sims.h5", theta, x, simulation=SPLIT, split=SPLIT, **{"classes/kind": np.arange(120) % 2})
    done("train-flow", sims, "-o", made / "flow.h5", "--flow", "maf", *QUICK)
    for name, options in {"regressor": (), "classifier": ("--target", "kind", "--hidden", 8)}.items():
        done("train-regressor", sims, "-o", made / f"{name}.h5", *QUICK, *options)
    done("train-density", sims, "-o", made / "density.h5", "--flow", "maf", *QUICK)
    done("train-density", sims, "-o", made / "unconditional.h5", "--flow", "maf", "--unconditional", *QUICK)
    for name in ("flow", "classifier"):
        done("sample", made / f"{name}.h5", sims, "-o", made / f"{name}.posterior.h5", "--draws", 10)
    write(made / "own.h5", theta, x)
    done("split", made / "own.h5", "-o", made / "split.h5")
    np.save(made / "cov.npy", np.eye(8))
    write(made / "empty.h5", theta[:30], np.zeros((30, 0)))
    with h5py.File(write(made / "region.h5", theta, x), "a") as file:
        file["parameters"].attrs["where"] = ["Omega_m + sigma_8 < 2"]
    (made / "later.json").write_text('{"kind": "manifest", "format": 99, "parts": []}')
    return made


REFUSED = {
    "evaluate flow.posterior.h5 --recalibrate temperature": "is a posterior, drawn already; --recalibrate goes with a",
    "evaluate flow.posterior.h5 --compare-to flow.h5": "flow.h5: is a model; name its catalog too",
    "evaluate flow.posterior.h5 --split tests": "--split: 'tests' is not known",
    "evaluate classifier.posterior.h5 --compare-to flow.posterior.h5": "two posteriors of parameters; a classifier has",
    "sample classifier.h5 sims.h5 --recalibrate temperature": "whose probabilities have their temperature already",
    "sample regressor.h5 sims.h5 --combine product": "--combine product: regressor.h5 is a regressor; expected a flow",
    "sample flow.h5 sims.h5 --scale-cut 0:5": "--scale-cut 0:5: has no effect: the model brings its own scale cuts",
    "generate unconditional.h5 --at Omega_m=0.3": "--at: unconditional.h5 is p(x), without parameters",
    "repack sims.h5 --infer Omega_m": "copies whole rows; --infer, --scale-cut and --drop-nonfinite go with a training",
    "train-flow sims.h5 --split-seed 3": "has its own /split; --fractions and --split-seed have no effect",
    "train-flow own.h5 --split-file split.h5 --fractions 0.5 0.3 0.2": "says where each simulation belongs; --fra",
    "train-flow sims.h5 --summary regressor.h5 --noise cov.npy": "--noise: has no effect beside --summary",
    "inspect sims.h5 --manifest no/where.json": "no/where.json: the folder no does not exist",
    "train-flow empty.h5": "empty.h5: /data has shape (30, 0): nothing to learn from",
    "inspect region.h5 --names u,v": "--names: renames parameters, of which /parameters of region.h5 declares a region",
    "inspect later.json": "later.json: is no manifest that this version reads",
    "reweight flow.posterior.h5 --derive s=2*Omega_m --prior s~sigma_8=0.5": "--prior s: is derived, and has no corr",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_effect_is_refused(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert REFUSED[line] in refused(*line.split())
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("kind", ["flow", "regressor", "classifier"])
def test_a_model_of_one_training_simulation_judges_no_observation_as_anomalous(kind: str, folder: Path) -> None:
    output = folder / f"one.{kind}.h5"
    document = json.loads(done("sample", folder / f"{kind}.h5", folder / "sims.h5", "-o", output, "--json"))
    assert document["rows"] == 40 and document["ood"] is None
    status, printed, _ = call("evaluate", output)
    assert status == 0 and "too few simulations" in printed


def test_a_density_of_one_training_simulation_scores_rows(folder: Path) -> None:
    status, printed, messages = call("score", folder / "density.h5", folder / "sims.h5", "-o", folder / "scores.h5")
    assert status == 0 and printed.startswith(f"{folder / 'scores.h5'}: 40 rows")
    assert "only 40 validation rows to compare with" in messages


def test_generated_rows_are_up_to_date(folder: Path) -> None:
    line = ("generate", folder / "unconditional.h5", "--draws", 5, "-o", folder / "made.h5")
    done(*line)
    before = (folder / "made.h5").read_bytes()
    assert "complete already" in call(*line)[2] and (folder / "made.h5").read_bytes() == before


def test_a_copy_of_several_observables_keeps_the_split(folder: Path) -> None:
    theta, x = linear(60, 1)
    several, packed = folder / "several.h5", folder / "packed.h5"
    with h5py.File(write(several, theta, x, split=np.arange(60) % 3), "a") as file:
        del file["data"]
        file["data/a"], file["data/b"] = x, x[:, :3]
    done("repack", several, "-o", packed)
    first, second = catalog.read(several), catalog.read(packed)
    assert first.fingerprint == second.fingerprint and second.split_labels.tolist() == first.split_labels.tolist()


def test_a_posterior_of_classes_is_inspected(folder: Path) -> None:
    described = json.loads(done("inspect", folder / "classifier.posterior.h5", "--json"))
    assert described["contents"]["classes"] == "0, 1"
