"""What the user said, by option, laid over a recipe's defaults; None where he said nothing."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from cosmoinfer.errors import UserError
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.training import Training

Recipe = TypeVar("Recipe")
Given = dict[str, Any]  # options by field name; None where the user said nothing
OF_RECIPES = ("layers", "hidden", "blocks", "bins", "kernel", "dropout", "activation")
OF_TRAINING = tuple(field.name for field in fields(Training))
_OPTIONS = (*OF_RECIPES, *OF_TRAINING)


def override(recipe: Recipe, given: Given, what: str) -> Recipe:
    """The recipe with what was given; a setting that it lacks is an error that lists those it has."""
    said = {key: value for key, value in given.items() if value is not None}
    has = [field.name for field in fields(recipe) if field.name in _OPTIONS]  # type: ignore[arg-type]
    for key in said:
        if key not in has:
            own = ", ".join(_flag(name) for name in has) or "none to set"
            raise UserError(f"{what} has no {_flag(key)}; it has {own}")
    if "activation" in said:
        known("--activation", said["activation"], ACTIVATIONS)
    for key in ("layers", "hidden", "blocks", "bins", "kernel"):
        if key in said and said[key] < 1:
            raise UserError(f"{_flag(key)}: expected at least 1, found {said[key]}")
    if not 0 <= said.get("dropout", 0) < 1:
        raise UserError(f"--dropout: expected a share in [0, 1), found {said['dropout']:g}")
    return replace(recipe, **said)  # type: ignore[type-var]


def said(value: Any, default: Any) -> Any:
    return default if value is None else value


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def known(flag: str, name: str, table: Any) -> str:
    if name not in table:
        raise UserError(f"{flag}: {name!r} is not known; there are {', '.join(table)}")
    return name


def members(ensemble: int) -> int:
    if ensemble < 1:
        raise UserError(f"--ensemble: expected at least 1 member, found {ensemble}")
    return ensemble
