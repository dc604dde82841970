"""Settings of recipes: the fields of a dataclass, each with its type and limits, stated where the field is."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cosmoinfer.errors import UserError, list_choices

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}  # types that are checked


@dataclass(frozen=True)
class Limits:
    """What a setting may be.

    minimum, maximum: the smallest and largest number. above, below: numbers that it does not reach. choices: names.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: Iterable[str] = ()

    def check(self, name: str, value: Any) -> None:
        """Raises UserError, which names the setting, if a value is outside."""
        if self.choices:
            check_choice(name, value, self.choices)
        allowed = (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        if not allowed:
            raise UserError(f"expected {self.describe()}, found {value}", setting=name)

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


ANY = Limits()


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


def check_settings(recipe: Any, values: Mapping[str, Any] | None = None) -> None:
    """Raises UserError, which names the setting, if a value has another type than its field, or is outside its limits.

    values: by name, to be checked before they take the place of the recipe's own; by default those are checked. A
    whole number may stand for a real one.
    """
    types = get_type_hints(type(recipe))
    for entry in fields(recipe):
        if values is None or entry.name in values:
            value = getattr(recipe, entry.name) if values is None else values[entry.name]
            check_value(entry.name, value, types[entry.name], entry.metadata.get("limits", ANY))


def check_value(name: str, value: Any, annotation: Any, limits: Limits) -> None:
    """Raises UserError, which names the setting, if a value has another type than annotated, or is outside limits."""
    _check_type(name, value, annotation)
    limits.check(name, value)


def _check_type(name: str, value: object, annotation: Any) -> None:
    allowed = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if (value is None and NoneType in allowed) or not KINDS.keys() & set(allowed):
        return
    matches = {
        bool: isinstance(value, bool),
        int: isinstance(value, Integral) and not isinstance(value, bool),
        float: isinstance(value, Real) and not isinstance(value, bool),
        str: isinstance(value, str),
    }
    kinds = [kind for kind in KINDS if kind in allowed]
    if not any(matches[kind] for kind in kinds):
        raise UserError(f"expected {' or '.join(KINDS[kind] for kind in kinds)}, found {value!r}", setting=name)


def check_choice(name: str, value: str, choices: Iterable[str]) -> str:
    """The value, if it is among the choices. Raises UserError, which names the setting and lists them."""
    if value not in choices:
        raise UserError(f"{value!r} is not known; {list_choices(value, choices)}", setting=name)
    return value


def check_keywords(task: str, keywords: Mapping[str, Any], names: Collection[str]) -> None:
    """Raises UserError if a keyword is none of these settings; it suggests those that are spelled alike."""
    for name in keywords:
        if name not in names:
            raise UserError(f"{task} has no such setting; {list_choices(name, names)}", setting=name)
