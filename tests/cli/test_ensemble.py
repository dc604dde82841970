"""`cosmoinfer ensemble`: what it prints and writes, the second run, the same from Python, and refusals."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from tests.command_line import call, done, linear, refused, write

QUICK = ("--epochs", 2, "--hidden", 8, "--layers", 2, "--threads", 1, "--quiet")
FLOWS = {
    "soft": ("--flow", "maf", "--support", "soft", "--ensemble", 2),
    "truncated": ("--flow", "nsf", "--support", "truncate", "--ensemble", 1),
    "linear": ("--flow", "realnvp", "--support", "truncate", "--ensemble", 1, "--seed", 4),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog, three flows of it, one of another split, and one behind a compression."""
    made = tmp_path_factory.mktemp("ensemble")
    sims = write(made / "sims.h5", *linear(160, 1))
    write(made / "more.h5", *linear(161, 1))
    for name, options in FLOWS.items():
        done("train-flow", sims, "-o", made / f"{name}.h5", *options, *QUICK)
    for name, options in {"split": ("--split-seed", 1), "compressed": ("--compress", "pca:3")}.items():
        done("train-flow", sims, "-o", made / f"{name}.h5", *FLOWS["soft"], *options, *QUICK)
    done("train-regressor", sims, "-o", made / "regressor.h5", "--epochs", 1, "--ensemble", 1, "--threads", 1)
    shutil.copyfile(made / "soft.h5", made / "copy.h5")
    return made


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def document(folder: Path) -> dict:
    flows = [folder / f"{name}.h5" for name in FLOWS]
    output = folder / "joined.h5"
    return json.loads(done("ensemble", *flows, folder / "sims.h5", "-o", output, "--json", "--threads", 1))


def test_each_flow_has_its_score_and_its_share_the_best_first(folder: Path, document: dict) -> None:
    flows, scores = document["models"], [flow["log_prob"] for flow in document["models"]]
    assert {Path(flow["model"]).stem for flow in flows} == set(FLOWS) and scores == sorted(scores, reverse=True)
    assert sum(flow["share"] for flow in flows) == pytest.approx(1) and min(flow["error"] for flow in flows) > 0
    assert np.isfinite(document["validation"])
    with h5py.File(folder / "joined.h5") as file:
        meta, config = (json.loads(file[name][()]) for name in ("meta", "config"))
        assert len(file["mixture_weights"]) == sum(stack["members"] for stack in document["stacks"])
    assert meta["command"] == "ensemble" and meta["settings"] == {"device": "cpu", "seed": 0, "threads": 1, "top": 5}
    assert sorted(meta["inputs"]) == ["catalog", "model_0", "model_1", "model_2", "split", "view"]
    shares = {entry["architecture"]: entry["share"] for entry in config["joined"]}
    assert shares == {flow["architecture"]: flow["share"] for flow in flows}
    contents = json.loads(done("inspect", "joined.h5", "--json"))["contents"]
    assert sum(name.startswith("joined flow") for name in contents) == 3


def test_the_order_and_the_names_of_the_files_and_python_give_the_same_bytes(folder: Path, document: dict) -> None:
    files = ("linear.h5", "copy.h5", "truncated.h5")
    done("ensemble", *files, "sims.h5", "-o", "again.h5", "--threads", 1, "--quiet")
    assert Path("again.h5").read_bytes() == Path("joined.h5").read_bytes()
    cosmoinfer.ensemble(files, "sims.h5", output="called.h5", threads=1)
    assert Path("called.h5").read_bytes() == Path("joined.h5").read_bytes()
    flows = [cosmoinfer.load(file) for file in files]
    in_memory = cosmoinfer.ensemble(flows, cosmoinfer.read_catalog("sims.h5"), threads=1)
    assert in_memory.joined == cosmoinfer.load("joined.h5").joined


def test_a_second_run_says_the_same_and_other_settings_are_refused(document: dict) -> None:
    files = [f"{name}.h5" for name in FLOWS]
    before = Path("joined.h5").read_bytes()
    status, out, err = call("ensemble", *files[::-1], "sims.h5", "-o", "joined.h5", "--json")
    names = {Path(flow["model"]).name for flow in document["models"]}
    again = json.loads(out)
    assert status == 0 and "joined.h5: complete already" in err and Path("joined.h5").read_bytes() == before
    assert [flow["share"] for flow in again["models"]] == [flow["share"] for flow in document["models"]]
    assert again["stacks"] == document["stacks"] and {flow["model"] for flow in again["models"]} == names
    assert "exists already" in refused("ensemble", *files, "sims.h5", "-o", "joined.h5", "--top", 1)
    out = done("ensemble", *files, "sims.h5", "-o", "best.h5", "--top", 1)
    assert out.startswith("best.h5: 1 of 3 flows; ")
    best = cosmoinfer.load(document["models"][0]["model"])
    assert [stack.architecture for stack in cosmoinfer.load("best.h5").stacks] == [
        stack.architecture for stack in best.stacks
    ]
    _, _, err = call("ensemble", *files, "sims.h5", "-o", "best.h5", "--top", 1, "--force")
    assert err.count("left out (--top is 1)") == 2
    done("ensemble", "soft.h5", "linear.h5", "sims.h5", "--quiet")  # beside no name of an output
    assert cosmoinfer.load("sims.ensemble.h5").kind == "flow"


def test_a_joined_flow_is_a_flow(document: dict) -> None:
    done("sample", "joined.h5", "sims.h5", "--draws", 20, "-o", "posterior.h5", "--quiet")
    scored = json.loads(
        done("evaluate", "joined.h5", "sims.h5", "--draws", 20, "-o", "metrics.h5", "--json", "--quiet")
    )
    assert np.isfinite(scored["metrics"]["joint"]["log_prob"]["value"])
    done(
        "train-flow", "sims.h5", "--fine-tune", "joined.h5", "-o", "tuned.h5", "--epochs", 1, "--threads", 1, "--quiet"
    )
    assert cosmoinfer.load("tuned.h5").initialised_from.joined == cosmoinfer.load("joined.h5").joined


REFUSED = {
    "soft.h5 split.h5 sims.h5": "split.h5: cannot be joined with soft.h5: it was trained on another split (--",
    "soft.h5 linear.h5 compressed.h5 sims.h5": "compressed.h5: cannot be joined with soft.h5: it compresses the data",
    "soft.h5 copy.h5 sims.h5": "copy.h5: is the same model as soft.h5",
    "soft.h5 soft.h5 sims.h5": "soft.h5: is given twice",
    "soft.h5 regressor.h5 sims.h5": "regressor.h5: expected a flow (train-flow), found a regressor",
    "soft.h5 linear.h5 more.h5": "more.h5: is not the catalog that",
    "soft.h5 sims.h5": "expected two or more flows, then the catalog that they were trained on, found 1",
    "soft.h5 linear.h5 truncated.h5": "truncated.h5: expected a catalog, found a flow",
    "sims.h5 soft.h5 linear.h5": "sims.h5: expected a model file of cosmoinfer, found a catalog",
    "soft.h5 linear.h5 sims.h5 --top 0": "--top: expected at least 1, found 0",
    "soft.h5 linear.h5 sims.h5 -o soft.h5 --force": "soft.h5: is read by this command; name another output",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_joined_is_one_line(command: str) -> None:
    output = () if "-o" in command else ("-o", "no.h5")
    assert REFUSED[command] in refused("ensemble", *command.split(), *output)
    assert not Path("no.h5").exists()


def test_models_are_a_list() -> None:
    with pytest.raises(UserError, match="expected two or more flows in a list, found str"):
        cosmoinfer.ensemble("soft.h5", "sims.h5")
    with pytest.raises(UserError, match="ensemble has no such setting; did you mean top"):
        cosmoinfer.ensemble(["soft.h5", "linear.h5"], "sims.h5", topp=3)
    flow = cosmoinfer.load("soft.h5")
    with pytest.raises(UserError, match=r"^models\[1\]: is the same model as models\[0\]$"):
        cosmoinfer.ensemble([flow, flow], "sims.h5")
