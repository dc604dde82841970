"""Settings of recipes and tasks: the fields of dataclasses, each with its type and limits where the field is."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cosmoinfer.errors import UserError, list_choices

Recipe = TypeVar("Recipe")
KINDS: dict[Any, str] = {  # types that are checked
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a name",
    Path: "a path",
    Mapping: "a mapping",
}
KINDS_OF_ITEMS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}
OMIT_DEFAULT = {"omit_default": True}  # of a field that earlier versions lack: files have it with another value only
MAX_WHOLE_NUMBER = 2**63 - 1  # what arrays and files hold
HINTS = {  # what a setting that a task does not have may be meant for
    "theta": "arrays go there as a catalog: catalog_from_arrays(theta=theta, x=x)",
    "x": "arrays go there as a catalog: catalog_from_arrays(theta=theta, x=x), or to the model itself: model.sample(x)",
    "recalibrate": "it goes with a catalog: cosmoinfer.sample(model, catalog, recalibrate='temperature')",
    "n": "`rows` is how many rows",
}


def is_omitted(entry: Field[Any], value: Any) -> bool:
    """Whether a field of a dataclass is left out of files with this value."""
    return bool(entry.metadata.get("omit_default")) and value == entry.default


@dataclass(frozen=True)
class Limits:
    """What a setting may be.

    minimum, maximum: the smallest and largest number. above, below: numbers that it does not reach. choices: names.
    Every number must be finite, and a whole one fit into 64 bits.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: Iterable[str] = ()

    def check(self, name: str, value: Any) -> None:
        """Raises UserError, which names the setting, if a value is outside."""
        if value is None:
            return
        if self.choices:
            check_choice(name, value, self.choices)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, Real):
                self._check_number(name, number)

    def _check_number(self, name: str, value: Any) -> None:
        if isinstance(value, Integral) and abs(int(value)) > MAX_WHOLE_NUMBER:
            limits = f"at most {MAX_WHOLE_NUMBER} in magnitude" if self.maximum is None else self.describe()
            raise UserError(f"expected {limits}, found {shorten(int(value))}", name)
        allowed = (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if not allowed:
            raise UserError(f"expected {self.describe()}, found {value}", setting=name)
        if not math.isfinite(value):
            raise UserError(f"expected a finite number, found {value}", setting=name)

    def describe(self) -> str:
        """Of a number: ``at least 1``, ``1 to 12``, ``more than 0``, ``at least 0, less than 1``."""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum} to {self.maximum}"
        limits = (
            ("at least {}", self.minimum),
            ("at most {}", self.maximum),
            ("more than {}", self.above),
            ("less than {}", self.below),
        )
        return ", ".join(text.format(limit) for text, limit in limits if limit is not None)


UNLIMITED = Limits()


def shorten(number: int) -> str:
    """A whole number for a message: one of thousands of digits by its size, which Python refuses to write."""
    return str(number) if abs(number) < 10**30 else f"a number of {number.bit_length()} bits"


def setting(
    default: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: Iterable[str] = (),
) -> Any:
    """A field of a recipe with limits: ``layers: int = setting(3, minimum=1)``. See ``Limits``."""
    return field(default=default, metadata={"limits": Limits(minimum, maximum, above, below, choices)})


def from_data(default: Any) -> Any:
    """A field that the data decide, and that no user sets."""
    return field(default=default, metadata={"from_data": True})


def settings_of(*recipes: Any) -> tuple[str, ...]:
    """Names of the fields that a user may set, of dataclasses or their instances, in their order and each once."""
    return tuple(
        dict.fromkeys(
            entry.name for recipe in recipes for entry in fields(recipe) if not entry.metadata.get("from_data")
        )
    )


def convert(value: Any, annotation: Any) -> Any:
    """A value as a field of this type holds it.

    Numbers and arrays of numpy become those of Python; of several items one may be given by itself, as a text; a text
    may stand for a path. What is of another type stays as it is, to be refused by ``check_value``.
    """
    value, allowed = plain(value), _allowed_types(annotation)
    if value is None or (isinstance(value, str) and str in allowed):
        return value
    if any(get_origin(kind) is tuple for kind in allowed):
        if isinstance(value, Mapping):
            return value
        return tuple(map(plain, value)) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    return Path(value) if Path in allowed and isinstance(value, str) else value


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy as those of Python."""
    return value.tolist() if hasattr(value, "tolist") else value


def is_given(value: Any) -> bool:
    """Whether this is a value for a setting: not None, False or empty."""
    if value is None or value is False:
        return False
    return bool(value.size) if hasattr(value, "tolist") else not (isinstance(value, Collection) and not value)


def convert_settings(recipe: Any, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the values, by name, that are fields of a dataclass, in the form that the field has; without None.

    Raises UserError, which names the setting, if a value has another type, or is outside its limits.
    """
    types = get_type_hints(recipe)
    converted = {name: convert(values[name], types[name]) for name in types if values.get(name) is not None}
    check_settings(recipe, converted)
    return converted


def recipe_of_config(recipe: Callable[..., Recipe], config: Mapping[str, Any]) -> Recipe:
    """A recipe of this class, with the settings that a file has. Raises UserError as ``check_settings``."""
    return recipe(**{**config, **convert_settings(recipe, config)})


def check_settings(recipe: Any, values: Mapping[str, Any] | None = None) -> None:
    """Raises UserError, which names the setting, if a value has another type than its field, or is outside its limits.

    recipe: a dataclass, or with values the class of one. values: by name, to be checked before they take the place of
    the recipe's own; by default those are checked. A whole number may stand for a real one.
    """
    types = get_type_hints(recipe if isinstance(recipe, type) else type(recipe))
    for entry in fields(recipe):
        if values is None or entry.name in values:
            value = getattr(recipe, entry.name) if values is None else values[entry.name]
            check_value(entry.name, value, types[entry.name], entry.metadata.get("limits", UNLIMITED))


def check_value(name: str, value: Any, annotation: Any, limits: Limits) -> None:
    """Raises UserError, which names the setting, if a value has another type than annotated, or is outside limits."""
    _check_type(name, value, annotation)
    limits.check(name, value)


def _check_type(name: str, value: object, annotation: Any) -> None:
    allowed = [kind for kind in _allowed_types(annotation) if _is_checked(kind)]
    if not allowed or (value is None and NoneType in _allowed_types(annotation)):
        return
    if not any(_matches(value, kind) for kind in allowed):
        kinds = " or ".join(map(_describe_kind, allowed))
        raise UserError(f"expected {kinds}, found {_describe_value(value)}", setting=name)


def _allowed_types(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_checked(kind: Any) -> bool:
    """Of functions and whatever is a dataclass of its own, the owner knows more than the type."""
    return (get_origin(kind) or kind) in (*KINDS, tuple)


def _matches(value: object, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        items = get_args(kind)
        lengths_agree = items[-1] is Ellipsis or (isinstance(value, tuple) and len(value) == len(items))
        return isinstance(value, tuple) and lengths_agree and all(_matches(item, items[0]) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, {int: Integral, float: Real}.get(kind, get_origin(kind) or kind))


def _describe_kind(kind: Any) -> str:
    if get_origin(kind) is tuple:
        items = get_args(kind)
        return KINDS_OF_ITEMS[items[0]] if items[-1] is Ellipsis else f"{len(items)} {KINDS_OF_ITEMS[items[0]]}"
    return KINDS[get_origin(kind) or kind]


def _describe_value(value: object) -> str:
    """A single item that is of no kind of item by itself."""
    return repr(value[0] if isinstance(value, tuple) and len(value) == 1 else value)


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """The value, if it is among the choices. Raises UserError, which names the setting and lists them."""
    if value not in choices:
        raise UserError(f"{value!r} is not known; {list_choices(value, choices)}", setting=name)
    return value


def check_keywords(task: str, keywords: Mapping[str, Any], names: Collection[str]) -> None:
    """Raises UserError if a keyword is none of these settings; it suggests those that are spelled alike."""
    for name in keywords:
        if name not in names:
            hint = HINTS.get(name) or list_choices(name, names)
            raise UserError(f"{task} has no such setting; {hint}", setting=name)
