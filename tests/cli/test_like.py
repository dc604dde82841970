"""`train-flow --like`: the recipe of another flow, which gives the bytes of its own options."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.models.flow import flow_recipe, recipe_of_document
from cosmoinfer.models.flow.reuse import recipe_like
from cosmoinfer.tasks.provenance import task_provenance
from tests.command_line import done, linear, refused, write

QUICK = ("--epochs", 2, "--hidden", 8, "--layers", 2, "--threads", 1, "--quiet")
RECIPES = {  # of the options of a flow
    "spline": ("--flow", "nsf:bins=5", "--support", "auto:truncate", "--ensemble", 1, "--learning-rate", 0.002),
    "raced": ("--flow", "maf,nsf", "--support", "truncate", "--ensemble", 1, "--compress", "pca:4", "--effort", "low"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow of each recipe of one catalog, another catalog, and two flows joined."""
    made = tmp_path_factory.mktemp("like")
    sims, _ = write(made / "sims.h5", *linear(160, 1)), write(made / "more.h5", *linear(170, 2))
    for name, options in RECIPES.items():
        done("train-flow", sims, "-o", made / f"{name}.h5", *options, *QUICK)
    done("train-flow", sims, "-o", made / "wide.h5", *RECIPES["spline"], *QUICK, "--hidden", 9)
    done("ensemble", made / "spline.h5", made / "wide.h5", sims, "-o", made / "joined.h5", "--threads", 1)
    return made


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("name", RECIPES)
def test_a_flow_like_another_has_the_bytes_that_its_options_give(name: str) -> None:
    """On another catalog, and with another seed."""
    done("train-flow", "more.h5", "-o", f"{name}.options.h5", *RECIPES[name], *QUICK, "--seed", 3)
    done("train-flow", "more.h5", "-o", f"{name}.like.h5", "--like", f"{name}.h5", "--threads", 1, "--seed", 3)
    assert Path(f"{name}.like.h5").read_bytes() == Path(f"{name}.options.h5").read_bytes()


def test_options_that_are_given_win() -> None:
    flow = cosmoinfer.train_flow("more.h5", like="spline.h5", ensemble=2, hidden=5, support="soft", epochs=1, threads=1)
    (stack,) = flow.stacks
    assert (stack.members, stack.support.name, stack.config["recipe"]["hidden"]) == (2, "soft", 5)
    assert stack.config["recipe"]["bins"] == 5 and stack.epochs == 2


@pytest.mark.parametrize("shapes", [[(8,)], [(1, 8, 8)]])
@pytest.mark.parametrize(
    "settings", [{}, {"observation": "simulation", "effort": "high"}, {"support": "auto:soft", "epochs": 3}]
)
def test_a_recipe_is_the_same_from_its_document(settings, shapes) -> None:
    recipe = flow_recipe(settings, 500, shapes)
    document = json.loads(json.dumps(task_provenance("train-flow", {"recipe": recipe}, {})))["settings"]["recipe"]
    assert recipe_of_document(document) == recipe == recipe_like(recipe, {}, shapes)


REFUSED = {
    "more.h5 --like spline.h5 --flow maf": "--flow: the flows are those of the model that --like names",
    "more.h5 --like spline.h5 --hidden 0": "--hidden: expected 1 to 8192, found 0",
    "more.h5 --like spline.h5 --embedding none:kernel=3": "--embedding: none has no setting 'kernel'",
    "more.h5 --like joined.h5": "--like joined.h5: was made by ensemble, without a recipe; name one of the flows of",
    "more.h5 --like more.h5": "more.h5: expected a model file of cosmoinfer, found a catalog",
    "more.h5 --like none.h5": "none.h5: ",
    "sims.h5 --like spline.h5 --fine-tune wide.h5": "--like: has no effect beside --fine-tune",
    "sims.h5 --like spline.h5 -o spline.h5 --force": "spline.h5: is read by this command; name another output",
    "pair.h5 --like spline.h5": "--like: expected observables as of its catalog, 1, found 2",
    "maps.h5 --like spline.h5": "--like spline.h5: was trained on data of [1] axes a row, here they have [3]",
    "sims.h5 --like spline.h5 --effort high": "--effort: has no effect: the model that --like names raced nothing",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_has_no_recipe_for_the_data_is_one_line(command: str) -> None:
    theta, x = linear(60, 1)
    with h5py.File(write(Path("pair.h5"), theta, x), "a") as file:
        del file["data"]
        file["data/a"], file["data/b"] = x, x
    write(Path("maps.h5"), theta, np.ones((60, 16, 16)) * x[:, :1, None])
    output = () if "-o" in command else ("-o", "no.h5")
    assert REFUSED[command] in refused("train-flow", *command.split(), *output, "--threads", 1)
    assert not Path("no.h5").exists()
