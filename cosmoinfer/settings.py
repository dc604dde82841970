"""Settings of recipes: the fields of a dataclass, each with its limits, which whoever adds a field states beside it."""

from dataclasses import field, fields
from typing import Any

FROM_DATA = {"from_data": True}


def from_data(default: Any) -> Any:
    """A field that the data decide, and that no user sets."""
    return field(default=default, metadata=FROM_DATA)


def settings_of(*recipes: Any) -> tuple[str, ...]:
    """Names of the fields that a user may set, of dataclasses or their instances, in their order and each once."""
    return tuple(
        dict.fromkeys(
            entry.name for recipe in recipes for entry in fields(recipe) if not entry.metadata.get("from_data")
        )
    )
