"""Recipes: what was said is laid over the defaults, what cannot be is refused, the command line says the same names."""

import dataclasses
from typing import get_type_hints

import pytest

from cosmoinfer import catalog
from cosmoinfer.cli.options.architecture import RegressorOptions
from cosmoinfer.cli.options.catalog import ReadOptions, TargetOptions
from cosmoinfer.cli.options.training import TrainingOptions
from cosmoinfer.errors import UserError
from cosmoinfer.models.flow import flow_recipe
from cosmoinfer.models.flow.menu import EFFORTS
from cosmoinfer.models.recipe import override
from cosmoinfer.models.regressor import regressor_recipe
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.training.settings import TrainingSettings


def test_an_unknown_setting_lists_those_that_there_are():
    with pytest.raises(UserError, match=r"^bins: `flow=maf` has no such setting; it has layers, hidden, blocks"):
        flow_recipe({"flow": "maf", "bins": 4}, 100, [(3,)])
    with pytest.raises(UserError, match=r"^hidden: `network=linear` has no such setting; it has none"):
        regressor_recipe({"network": "linear", "hidden": 4}, 100, [(3,)])
    with pytest.raises(UserError, match=r"^batch_sise: training has no such setting; it has epochs, batch_size"):
        override(TrainingSettings(), {"batch_sise": 3}, "training")
    with pytest.raises(UserError, match=r"no embedding to set"):
        flow_recipe({"flow": "maf", "embedding_layers": 3}, 100, [(3,)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auto:bins=0", r"flow=auto:bins=0: expected 1 to 1000, found 0"),  # and not that a maf has no bins
        ("auto:dropout=1.5", r"flow=auto:dropout=1.5: expected at least 0, less than 1, found 1.5"),
    ],
)
def test_a_value_that_no_candidate_may_have_is_what_is_wrong(text, message):
    with pytest.raises(UserError, match=message):
        flow_recipe({"flow": text}, 100, [(3,)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flow": "glov"}, "flow: 'glov' is not known; there are realnvp, maf, iaf"),
        ({"support": "box"}, "support: 'box' is not known"),
        ({"embedding": "gnn"}, "embedding: 'gnn' is not known"),
        ({"activation": "swish"}, "activation: 'swish' is not known"),
        ({"layers": 0}, "layers: expected 1 to 100"),
        ({"dropout": 1.0}, "dropout: expected at least 0, less than 1, found 1.0"),
        ({"ensemble": -1}, "ensemble: expected at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        flow_recipe(settings, 100, [(3,)])


def test_what_was_given_is_taken_and_the_rest_is_left():
    assert override(MLP(), {"hidden": 7, "layers": None}, "mlp") == MLP(hidden=7)
    recipe = flow_recipe(
        {"flow": "nsf", "bins": 5, "epochs": 7, "ensemble": 2, "embedding_hidden": 9}, 100, [(1, 8, 8)]
    )
    (stack,) = recipe.stacks
    assert (stack.flow, stack.settings.bins, stack.training.epochs, recipe.ensemble) == ("nsf", 5, 7, 2)
    assert stack.embedding == (("cnn", CNN(hidden=9)),)


def names_of(group: type) -> set[str]:
    """Of its fields, and of those of the groups within it."""
    kinds = {field.name: get_type_hints(group)[field.name] for field in dataclasses.fields(group)}
    nested = [names_of(kind) for kind in kinds.values() if dataclasses.is_dataclass(kind)]
    return {name for name, kind in kinds.items() if not dataclasses.is_dataclass(kind)}.union(*nested)


@pytest.mark.parametrize(
    ("options", "elsewhere", "settings"),
    [(TrainingOptions, RegressorOptions, TrainingSettings), (ReadOptions, TargetOptions, catalog.ReadOptions)],
)
def test_the_options_of_the_command_line_are_the_fields_of_what_they_set(options, elsewhere, settings):
    """But for a few that one command alone has: they stand among the options of that command."""
    option_fields, elsewhere_fields, setting_fields = map(names_of, (options, elsewhere, settings))
    assert option_fields - {"memory"} <= setting_fields  # the memory is of the machine, not of the file
    assert setting_fields <= option_fields | elsewhere_fields


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("rows", [500, 1400, 9000])
def test_architectures_of_a_mixture_have_different_names(rows, effort):
    names = [stack.architecture for stack in flow_recipe({"effort": effort}, rows, [(8,)]).stacks]
    assert len(names) == len(set(names)) >= 3
    assert {"maf hidden=64 behind mlp", "nsf hidden=32 dropout=0.2"} < {*names}
    assert ("maf hidden=128 dropout=0.2" in names) == (rows < 1000 and effort != "low")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 8.5}, "hidden: expected a whole number, found 8.5"),
        ({"linear_start": "maybe"}, "linear_start: expected true or false, found 'maybe'"),
        ({"epochs": 2.5}, "epochs: expected a whole number, found 2.5"),
        ({"learning_rate": "fast"}, "learning_rate: expected a number, found 'fast'"),
        ({"embedding": "mlp", "embedding_hidden": "x"}, "embedding_hidden: expected a whole number, found 'x'"),
    ],
)
def test_a_setting_of_another_type_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        flow_recipe({"flow": "maf", **settings}, 100, [(3,)])
