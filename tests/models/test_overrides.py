"""Settings behind a name, as in ``embedding="cnn:hidden=8"``: every field of every recipe, with its type and limits."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import pytest

from cosmoinfer.catalog import ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.models.density import density_recipe, density_settings
from cosmoinfer.models.flow import flow_recipe, flow_settings
from cosmoinfer.models.recipe import InlineSettings, expand_inline_settings
from cosmoinfer.models.regressor import regressor_recipe, regressor_settings
from cosmoinfer.networks import BASELINES, NETWORKS
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.settings import setting, settings_of
from cosmoinfer.tasks.run_settings import RUN
from cosmoinfer.tasks.settings import SPLIT
from cosmoinfer.training.settings import TrainingSettings

RECIPES = [*FLOWS.values(), *MAP_FLOWS.values(), *NETWORKS.values(), *BASELINES.values()]


def flow(**overrides):
    return flow_recipe(overrides, 100, [(3,)]).stacks[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"embedding": "cnn:kernle=3"},
            "^embedding: cnn has no setting 'kernle'; it has features, hidden, layers",
        ),
        ({"embedding": "none:hidden=3"}, "^embedding: none has no setting 'hidden'; it has none$"),
        ({"flow": "maf:epochs=1"}, "^flow: maf has no setting 'epochs'; it has layers, hidden, blocks, dropout"),
        ({"flow": "nsf:bin=4"}, r"^flow: nsf has no setting 'bin'; it has layers, .*; did you mean bins\?"),
        ({"flow": "maf:bins=4"}, "^flow: maf has no setting 'bins'"),
        ({"flow": "nfs:bins=4"}, "^flow: 'nfs' is not known; there are realnvp"),
        ({"flow": "nsf:bins=8", "bins": 6}, "^flow: bins is given twice"),
        ({"flow": "nsf:bins=8,bins=9"}, "^flow: bins is given twice"),
        ({"flow": "nsf:"}, "^flow: '' is not understood; expected as in nsf:setting=value"),
        ({"optimizer": "sgd:momentum"}, "^optimizer: 'momentum' is not understood"),
        ({"optimizer": "adam:momentum=0.5"}, "^optimizer: adam has no setting 'momentum'; it has none"),
    ],
)
def test_a_setting_behind_a_name_must_be_one_of_it(settings, message):
    with pytest.raises(UserError, match=message):
        flow(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flow": "nsf:bins=0"}, "^flow=nsf:bins=0: expected 1 to 1000, found 0"),
        ({"flow": "nsf:hidden=8.5"}, "^flow=nsf:hidden=8.5: expected a whole number, found 8.5"),
        ({"flow": "auto:linear_start=maybe"}, "^flow=auto:linear_start=maybe: expected true or false, found 'maybe'"),
        ({"embedding": "cnn:kernel=0"}, "^embedding=cnn:kernel=0: expected 1 to 101, found 0"),
        (
            {"embedding": "cnn:kernel=4"},
            "^embedding=cnn:kernel=4: padding .*, or use `embedding_padding=none`$",
        ),
        ({"embedding": "mlp:features=x"}, "^embedding=mlp:features=x: expected a whole number, found 'x'"),
        (
            {"embedding": "auto:kernel=3"},
            "^embedding=auto:kernel=3: `embedding=mlp` has no such setting; it has",
        ),
        ({"embedding": "cnn", "embedding_kernel": 4}, "^embedding_kernel=4: padding needs an odd kernel"),
        ({"optimizer": "sgd:momentum=2"}, "^optimizer=sgd:momentum=2: expected at least 0, less than 1, found 2"),
        ({"momentum": 2.0}, "^momentum: expected at least 0, less than 1, found 2.0"),
        ({"weight_decay": -1.0}, "^weight_decay: expected at least 0, found -1.0"),
    ],
)
def test_an_error_names_the_setting_where_it_was_given(settings, message):
    with pytest.raises(UserError, match=message):
        flow_recipe({"flow": "nsf", **settings}, 2000, [(3,)])


def test_settings_behind_a_name_have_their_types():
    named = {"flow": InlineSettings.from_recipes(FLOWS), "embedding": InlineSettings.from_recipes(NETWORKS)}
    expanded = expand_inline_settings(
        {"embedding": "cnn:kernel=3,dropout=0.5,batch_norm=true,padding=zero", "flow": "maf"}, named
    )
    assert expanded.overrides == {
        "flow": "maf",
        "embedding": "cnn",
        "kernel": 3,
        "dropout": 0.5,
        "batch_norm": True,
        "padding": "zero",
    }


@dataclass(frozen=True)
class Knotted(NSF):
    knots: int = setting(4, minimum=2)


@dataclass(frozen=True)
class Fringed(MLP):
    fringe: float | None = None


@pytest.fixture
def new_recipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(FLOWS, "knotted", Knotted)
    monkeypatch.setitem(NETWORKS, "fringed", Fringed)


@pytest.mark.usefixtures("new_recipes")
def test_a_new_field_of_a_recipe_is_a_setting_without_being_listed():
    assert flow(flow="knotted:knots=3") == flow(flow="knotted", knots=3)
    assert flow(flow="knotted:knots=3").settings.knots == 3
    assert flow(flow="maf", embedding="fringed:fringe=0.5").embedding[0][1].fringe == 0.5
    assert flow(flow="maf", embedding="fringed", embedding_fringe=0.5).embedding[0][1].fringe == 0.5
    assert regressor_recipe({"network": "fringed:fringe=1"}, 100, [(3,)]).networks[0][1].fringe == 1
    assert density_recipe({"flow": "knotted", "knots": 5}, 100, ("vector",), True).settings.knots == 5
    assert {"knots", "embedding_fringe"} <= set(flow_settings())
    assert "knots" in density_settings() and "fringe" in regressor_settings()
    with pytest.raises(UserError, match=r"^flow=knotted:knots=1: expected at least 2, found 1"):
        flow(flow="knotted:knots=1")
    with pytest.raises(UserError, match=r"^network=fringed:fringe=x: expected a number, found 'x'"):
        regressor_recipe({"network": "fringed:fringe=x"}, 100, [(3,)])


def test_no_field_of_a_recipe_has_the_name_of_another_setting():
    """A keyword would set both."""
    elsewhere = {*settings_of(TrainingSettings), *settings_of(ReadOptions), *SPLIT, *RUN, "memory", "noise", "summary"}
    elsewhere |= {"flow", "network", "embedding", "support", "loss", "transform", "compress", "augment", "ensemble"}
    elsewhere |= {"observation", "unconditional", "fine_tune"}
    assert not elsewhere & {entry.name for recipe in RECIPES for entry in fields(recipe)}
