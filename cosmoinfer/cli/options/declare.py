"""How options are declared: a group is a dataclass, and ``grouped`` spreads the groups over a command's own options.

``None`` means the default of whoever knows: it lives beside the code that it sets, and a help reads it from there,
``{module:Class.field}``. Nothing heavy is imported here.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

CatalogPath = Annotated[Path, typer.Argument(help="Catalog of simulations, HDF5.", show_default=False)]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.", show_default=False)]

RARE = "*"  # ends the name of the panel of an option that only --help-all lists


def option(
    help: str,
    panel: str,
    *names: str,
    default: str = "",
    choices: Sequence[str] = (),
    value: str | None = None,
    rare: bool = False,
) -> Any:
    """An option of a panel of the help.

    default: a text, or where the help reads it. choices: named in the help, and completed by a shell. value: what a
    help writes behind the option, by default its type in words. rare: listed by ``--help-all`` only.
    """
    text = f"{help} {' | '.join(choices)}." if choices else help
    return typer.Option(
        *names,
        metavar=value or ("<name>" if choices else None),
        help=text + (f" [default: {default}]" if default else ""),
        rich_help_panel=panel + RARE * rare,
        show_default=False,
        autocompletion=(lambda incomplete: [name for name in choices if name.startswith(incomplete)])
        if choices
        else None,
    )


def keywords(*groups: Any, **options: Any) -> dict[str, Any]:
    """The options of several groups, and others, by name: keyword arguments of a task."""
    return {key: value for group in groups for key, value in asdict(group).items()} | options


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Spread every parameter whose type is a group over the group's fields, for Typer to see; gather them at a call."""
    hints = get_type_hints(command, include_extras=True)
    plain, groups = [], {}
    for parameter in inspect.signature(command).parameters.values():
        if is_dataclass(hints[parameter.name]):
            groups[parameter.name] = hints[parameter.name]
        else:
            plain.append(parameter.replace(annotation=hints[parameter.name]))
    spread = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for group in groups.values()
        for field in fields(group)
    ]

    @functools.wraps(command)
    def gathered(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        command(**options)

    gathered.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in plain] + spread
    )
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in [*plain, *spread]}
    return gathered
