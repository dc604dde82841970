"""What the user said, by option, laid over a recipe's defaults; None where he said nothing."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from cosmoinfer.errors import UserError
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.training.settings import TrainingSettings

Recipe = TypeVar("Recipe")
Given = dict[str, Any]  # options by field name; None where the user said nothing
OF_NETWORKS = (
    "layers",
    "hidden",
    "blocks",
    "kernel",
    "stride",
    "padding",
    "pooling",
    "batch_norm",
    "dropout",
    "activation",
)
OF_RECIPES = (*OF_NETWORKS, "bins", "linear", "levels", "trees", "depth")
OF_TRAINING = tuple(field.name for field in fields(TrainingSettings))
_LEAST = {"layers": 0, "blocks": 0, "levels": 0, "hidden": 1, "bins": 1, "kernel": 1, "stride": 1}
_OPTIONS = (*OF_RECIPES, *OF_TRAINING)


def override(recipe: Recipe, given: Given, what: str, start: str = "") -> Recipe:
    """The recipe with what was given; a setting that it lacks is an error that lists those it has.

    start: of the options' names on the command line.
    """
    said = {key: value for key, value in given.items() if value is not None}
    has = [field.name for field in fields(recipe) if field.name in _OPTIONS]  # type: ignore[arg-type]
    for key in said:
        if key not in has:
            own = ", ".join(flag(start + name) for name in has) or "none to set"
            raise UserError(f"{what} has no {flag(start + key)}; it has {own}")
    if "activation" in said:
        known(flag(start + "activation"), said["activation"], ACTIVATIONS)
    for key, least in _LEAST.items():
        if key in said and said[key] < least:
            raise UserError(f"{flag(start + key)}: expected at least {least}, found {said[key]}")
    if not 0 <= said.get("dropout", 0) < 1:
        raise UserError(f"{flag(start + 'dropout')}: expected a share in [0, 1), found {said['dropout']:g}")
    return replace(recipe, **said)  # type: ignore[type-var]


def override_each(
    networks: Sequence[tuple[str, Any]], given: Given, what: str, start: str = ""
) -> tuple[tuple[str, Any], ...]:
    """The same for several networks, (name, settings) each, None where there is nothing to set.

    Where data meet that want different networks, each takes what it has; what none of them has is an error.
    """
    found = []
    for name, settings in networks:
        others = {field.name for one, other in networks if one != name and other for field in fields(other)}
        own = {key: value for key, value in given.items() if _has(settings, key) or key not in others}
        found.append((name, settings if settings is None else override(settings, own, f"{what} {name}", start)))
    return tuple(found)


def _has(settings: Any, key: str) -> bool:
    return settings is not None and key in {field.name for field in fields(settings)}


def said(value: Any, default: Any) -> Any:
    return default if value is None else value


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def known(flag: str, name: str, table: Any) -> str:
    if name not in table:
        raise UserError(f"{flag}: {name!r} is not known; there are {', '.join(table)}")
    return name


def members(ensemble: int) -> int:
    if ensemble < 1:
        raise UserError(f"--ensemble: expected at least 1 member, found {ensemble}")
    return ensemble
