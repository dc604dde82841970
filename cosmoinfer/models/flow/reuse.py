"""The recipe of another flow: its stacks, to train on; or what its /meta says, to train the same anew."""

from collections.abc import Sequence
from dataclasses import replace

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.models.flow.menu import EFFORTS
from cosmoinfer.models.flow.recipe import (
    FlowRecipe,
    StackRecipe,
    expand_flow_settings,
    override_stack,
    parse_supports,
    recipe_of_stacks,
)
from cosmoinfer.models.recipe import (
    OPTIMIZER_SETTINGS,
    Overrides,
    Shapes,
    default_training,
    expand_inline_settings,
    override_training,
)
from cosmoinfer.networks import NETWORKS
from cosmoinfer.settings import check_choice, recipe_of_config, settings_of
from cosmoinfer.storage import JSONObject
from cosmoinfer.training.settings import TrainingSettings

FINE_TUNED = ("support", "transform", "augment", *settings_of(TrainingSettings))  # which may differ from the model's
COMMON = ("transform", "compress", "augment", "ensemble", "observation")  # settings of all stacks of a recipe


def continued_recipe(
    stacks: Sequence[JSONObject], ensemble: int, overrides: Overrides, rows: int, shapes: Shapes
) -> FlowRecipe:
    """The recipe of another model, from the configurations of its stacks: only the training may differ.

    Where no support is given it is ``auto``: each stack stays on its own.

    Raises UserError if a setting of the architecture, or several supports are given.
    """
    for key, value in overrides.items():
        if value is not None and key not in FINE_TUNED:
            raise UserError("the architecture is that of the model that `fine_tune` names", setting=key)
    if len(parse_supports(overrides.get("support") or "auto")) > 1:
        raise UserError("each stack goes on on one support; without the option on its own", setting="support")
    training = default_training(rows, shapes)
    training = replace(training, learning_rate=training.learning_rate / 3)  # to move on, not to start again
    expanded = expand_inline_settings(overrides, {"optimizer": OPTIMIZER_SETTINGS})
    with expanded.errors_naming_origin():
        training = override_training(training, expanded.overrides)
    recipes = [
        StackRecipe(
            config["flow"],
            FLOWS[config["flow"]](**config["recipe"]),
            tuple(
                (name, None if name == "none" else NETWORKS[name](**settings)) for name, settings in config["embedding"]
            ),
            config["features"],
            training,
        )
        for config in stacks
    ]
    observation = "simulation" if stacks[0].get("rows") else "row"
    return recipe_of_stacks(recipes, {**overrides, "observation": observation}, "auto", ensemble)


def recipe_of_document(document: JSONObject) -> FlowRecipe:
    """The recipe that the /meta of a flow holds. Raises UserError, KeyError or TypeError if it is none."""
    stacks = [_stack_recipe(stack) for stack in document["stacks"]]
    common = {name: document[name] for name in COMMON}
    recipe = recipe_of_stacks(stacks, common, _support_text(document["supports"]), document["ensemble"])
    return replace(
        recipe,
        effort=check_choice("effort", document["effort"], EFFORTS),
        may_extend=document["may_extend"] is True,
        left_out=tuple(map(str, document["left_out"])),
    )


def recipe_like(recipe: FlowRecipe, overrides: Overrides, shapes: Shapes) -> FlowRecipe:
    """The recipe of another flow for data of these shapes, with these settings in place of its own.

    Raises UserError if a flow is given, if the data have not as many observables, or if a setting is not allowed.
    """
    if overrides.get("flow"):
        raise UserError("the flows are those of the model that `like` names", setting="flow")
    expected = len(recipe.stacks[0].embedding)
    if expected != len(shapes):
        raise UserError(f"expected observables as of its catalog, {expected}, found {len(shapes)}", setting="like")
    n_supports = sum(name != "auto" for name in recipe.supports)
    if overrides.get("effort") and len(recipe.stacks) == n_supports == 1:
        raise UserError("has no effect: the model that `like` names raced nothing", setting="effort")
    expanded = expand_flow_settings(overrides)
    chosen = {name: value for name, value in expanded.overrides.items() if value is not None}
    with expanded.errors_naming_origin():
        stacks = tuple(dict.fromkeys(override_stack(stack, chosen, shapes) for stack in recipe.stacks))
        common = {name: getattr(recipe, name) for name in COMMON} | chosen
        changed = recipe_of_stacks(stacks, common, _support_text(recipe.supports), recipe.ensemble)
    return replace(
        changed,
        effort=check_choice("effort", chosen.get("effort", recipe.effort), EFFORTS),
        may_extend=recipe.may_extend and "epochs" not in chosen,
        left_out=recipe.left_out,
    )


def _stack_recipe(config: JSONObject) -> StackRecipe:
    """From its JSON."""
    flow = check_choice("flow", config["flow"], FLOWS)
    embedding = tuple(
        (name, None if name == "none" else recipe_of_config(NETWORKS[name], settings))
        for name, settings in config["embedding"]
    )
    settings = recipe_of_config(FLOWS[flow], config["settings"])
    return StackRecipe(
        flow, settings, embedding, config["features"], recipe_of_config(TrainingSettings, config["training"])
    )


def _support_text(supports: Sequence[str]) -> str:
    """As a user writes them."""
    names = ",".join(name for name in supports if name != "auto")
    return ":".join(filter(None, ["auto" if supports[0] == "auto" else "", names]))
