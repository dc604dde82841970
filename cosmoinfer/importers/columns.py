"""Which columns of a table are what, as ``parameters=0:2,data=2:`` says."""

import re
from collections.abc import Sequence

from cosmoinfer.errors import UserError, join_first, list_choices
from cosmoinfer.numerals import whole_number
from cosmoinfer.quoting import split, unquote, write
from cosmoinfer.storage import without_units

PARAMETERS, SIMULATION, COORDINATE = "parameters", "simulation", "coordinate"  # every other role names an observable
EXAMPLE = (
    "expected NAME=COLUMNS, as parameters=0:2,data=2: or coordinate=k,data=Pk; a name that holds , = : @ or ~ stands "
    "in braces, {a=b}"
)


def parse_columns(text: str) -> dict[str, list[str]]:
    """What each role has been given: names, numbers and ranges; of ``parameters=a,b,data=2:`` two and one.

    Raises UserError where the text is not understood.
    """
    roles: dict[str, list[str]] = {}
    role = ""
    for item in split(text, ",") if text.strip() else []:
        *names, words = split(item, "=")
        if len(names) > 1 or not (role := unquote(names[0].strip()) if names else role):
            raise UserError(f"{text!r} is not understood; {EXAMPLE}", "columns")
        if not words.strip():
            raise UserError(f"{text!r} gives no columns to {role}; {EXAMPLE}", "columns")
        roles.setdefault(role, []).append(words.strip())
    return roles


def select_columns(items: Sequence[str], names: Sequence[str], count: int) -> list[int]:
    """Numbers of the columns, of a table of so many with these names, or with none.

    Raises UserError for columns that the table does not have.
    """
    numbers: list[int] = []
    for item in items:
        name = _name_of(item, names)
        if (columns := list(names).count(name)) > 1:
            raise UserError(f"{columns} columns have the name {name!r}; a number says which", "columns")
        if columns:
            numbers.append(list(names).index(name))
        elif match := re.fullmatch(r"(\d*):(\d*)", item):
            start, stop = (whole_number(end) if end else None for end in match.groups())
            if max(start or 0, stop or 0) > count or not range(count)[start:stop]:
                raise UserError(f"{item} is beyond the {count} columns, numbered from 0", "columns")
            numbers += range(count)[start:stop]
        elif (number := whole_number(item)) is not None:
            if number >= count:
                raise UserError(f"there is no column {item} of {count}, numbered from 0", "columns")
            numbers.append(number)
        else:
            unnamed = f"its {count} columns have no names, and count from 0"
            choices = list_choices(name, map(write, names)) if names else unnamed
            raise UserError(f"there is no column {name!r}; {choices}", "columns")
    if len(set(numbers)) < len(numbers):
        twice = [number for number in dict.fromkeys(numbers) if numbers.count(number) > 1]
        raise UserError(f"names column {join_first(twice)} twice", "columns")
    return numbers


def names_column(item: str, names: Sequence[str]) -> bool:
    """Whether a table with these names has a column of this one, with or without its unit."""
    return _name_of(item, names) in names


def _name_of(item: str, names: Sequence[str]) -> str:
    """The name that an item stands for: as it is, without braces, or without its unit."""
    spellings = (item, unquote(item), without_units(unquote(item)))
    return next((name for name in spellings if name in names), unquote(item))
