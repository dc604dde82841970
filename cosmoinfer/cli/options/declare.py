"""How options are declared: a group is a dataclass of options, or of groups, which ``grouped`` spreads over a command.

``None`` means the default of whoever knows. Defaults and choices live beside the code that they set; a help reads them
from its source, and nothing heavy is imported.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from cosmoinfer.cli.source import choices_text, read_choices
from cosmoinfer.quoting import unquote

CatalogPath = Annotated[Path, typer.Argument(help="Catalog: HDF5, or .npy, .csv, ...", show_default=False)]
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
    is_name: bool = False,
) -> Any:
    """An option of a panel of the help.

    default: a text, or where the help reads it, ``{module:Class.field}``. choices: completed by a shell, and named at
    the end of the help unless it names them itself: names, or ``module:TABLE`` for those of a table. rare: listed by
    ``--help-all`` only. value: what a help writes behind the option, by default its type in words.
    is_name: whether it is one name, which may stand in braces.
    """
    text = f"{help} {choices_text(choices)}." if choices and "{choices" not in help else help
    return typer.Option(
        *names,
        metavar=value or ("<name>" if choices else None),
        help=text + (f" [default: {default}]" if default else ""),
        rich_help_panel=panel + RARE * rare,
        show_default=False,
        autocompletion=completer(choices) if choices else None,
        parser=unquote if is_name else None,
    )


def completer(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """What a shell asks for the choices that begin with what was typed."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in read_choices(choices) if name.startswith(incomplete)]

    return complete


def keywords(*groups: Any, **options: Any) -> dict[str, Any]:
    """The options of several groups, and others, by name: keyword arguments of a task."""
    by_name: dict[str, Any] = {}
    for group in groups:
        for name, value in vars(group).items():
            by_name |= keywords(value) if is_dataclass(value) else {name: value}
    return by_name | options


def short_names(command: Callable[..., None]) -> dict[str, str]:
    """The one-letter options of a command, ``-n``, by the names of its arguments."""
    by_argument: dict[str, str] = {}
    for argument, parameter in inspect.signature(command).parameters.items():
        for declared in getattr(parameter.annotation, "__metadata__", ()):
            name = str(declared.default)  # where Typer keeps the first name of an option that is annotated
            by_argument |= {argument: name} if re.fullmatch("-[a-z]", name) else {}
    return by_argument


def options_of(group: Any) -> Iterator[Field[Any]]:
    """The options of a group, with those of the groups in it."""
    for entry in fields(group):
        if is_dataclass(entry.type):
            yield from options_of(entry.type)
        else:
            yield entry


def gather(group: Any, options: dict[str, Any]) -> Any:
    """The group with its options, which are taken from these."""
    return group(
        **{
            entry.name: gather(entry.type, options) if is_dataclass(entry.type) else options.pop(entry.name)
            for entry in fields(group)
        }
    )


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Spread every parameter whose type is a group over its options, for Typer to see; gather them at a call."""
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
        for field in options_of(group)
    ]

    @functools.wraps(command)
    def gathered(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = gather(group, options)
        command(**options)

    gathered.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in plain] + spread
    )
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in [*plain, *spread]}
    return gathered
