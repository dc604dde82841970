"""What the user said, by option, laid over a recipe's defaults; None where he said nothing."""

from collections.abc import Sequence
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.training.settings import TrainingSettings

Recipe = TypeVar("Recipe")
Overrides = dict[str, Any]  # options by field name; None where the user said nothing
NETWORK_SETTINGS = (
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
EMBEDDING_PREFIX = "embedding_"  # begins the name of a setting of the embedding
RECIPE_SETTINGS = (*NETWORK_SETTINGS, "bins", "linear_start", "levels", "trees", "depth")
TRAINING_SETTINGS = tuple(field.name for field in fields(TrainingSettings))
_MINIMUM = {"layers": 0, "blocks": 0, "levels": 0, "hidden": 1, "bins": 1, "kernel": 1, "stride": 1}
_OPTIONS = (*RECIPE_SETTINGS, *TRAINING_SETTINGS)


def override(recipe: Recipe, overrides: Overrides, what: str, start: str = "") -> Recipe:
    """The recipe with these settings in place of its own.

    what: the recipe's name in an error. start: of the settings' names on the command line. Raises UserError if the
    recipe lacks a setting (it lists those it has), or a value is not allowed.
    """
    changed = {key: value for key, value in overrides.items() if value is not None}
    has = [field.name for field in fields(recipe) if field.name in _OPTIONS]  # type: ignore[arg-type]
    for key in changed:
        if key not in has:
            allowed = ", ".join(f"`{start}{name}`" for name in has) or "none to set"
            raise UserError(f"{what} has no `{start}{key}`; it has {allowed}")
        _check_type(start + key, changed[key], getattr(recipe, key))
    if "activation" in changed:
        check_choice(f"{start}activation", changed["activation"], ACTIVATIONS)
    for key, minimum in _MINIMUM.items():
        if key in changed and changed[key] < minimum:
            raise UserError(f"expected at least {minimum}, found {changed[key]}", setting=start + key)
    if not 0 <= changed.get("dropout", 0) < 1:
        raise UserError(f"expected a share in [0, 1), found {changed['dropout']:g}", setting=f"{start}dropout")
    return replace(recipe, **changed)  # type: ignore[type-var]


def _check_type(setting: str, value: object, default: object) -> None:
    """Raises UserError if a setting is of another type than its default; a whole number may stand for a real one."""
    if default is None:  # the recipe leaves it open
        return
    expected = {bool: bool, int: Integral, float: Real}.get(type(default), str)
    if not isinstance(value, expected) or (isinstance(value, bool) and not isinstance(default, bool)):
        kind = {bool: "true or false", int: "a whole number", float: "a number"}.get(type(default), "a name")
        raise UserError(f"expected {kind}, found {value!r}", setting=setting)


def override_each(
    networks: Sequence[tuple[str, Any]], overrides: Overrides, what: str, start: str = ""
) -> tuple[tuple[str, Any], ...]:
    """The same for several networks, (name, settings) each, None where there is nothing to set.

    A setting goes to the networks that have it; one that none of them has is an error.
    """
    networks_with_overrides = []
    for name, settings in networks:
        elsewhere = {
            field.name
            for other_name, other_settings in networks
            if other_name != name and other_settings
            for field in fields(other_settings)
        }
        applicable = {key: value for key, value in overrides.items() if _has(settings, key) or key not in elsewhere}
        networks_with_overrides.append(
            (name, settings if settings is None else override(settings, applicable, f"`{what}={name}`", start))
        )
    return tuple(networks_with_overrides)


def _has(settings: Any, key: str) -> bool:
    return settings is not None and key in {field.name for field in fields(settings)}


def value_or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def check_choice(setting: str, name: str, table: Any) -> str:
    """The name, if the table holds it. Raises UserError, which lists the names of the table."""
    if name not in table:
        raise UserError(f"{name!r} is not known; {list_choices(name, table)}", setting=setting)
    return name


def check_ensemble_size(ensemble: int) -> int:
    """The number of members. Raises UserError if it is less than one."""
    if ensemble < 1:
        raise UserError(f"expected at least 1 member, found {ensemble}", setting="ensemble")
    return ensemble
