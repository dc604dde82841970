"""Defaults and names that the help and a shell's completion read from the source of the code that owns them.

Nothing is imported: torch alone would take longer than everything else that a help needs.
"""

import ast
import functools
import re
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
OWNED = re.compile(r"\{([\w.]+):([\w.]+)\}")  # a default, {module:CONSTANT} or {module:Class.field}
CHOICES = re.compile(r"\{choices ([^{}]+)\}")  # {choices auto module:TABLE}, as choices_text makes it


def choices_text(choices: Sequence[str]) -> str:
    """What ``expand`` replaces by the choices: names, or ``module:TABLE`` for the names of a table."""
    return "{choices " + " ".join(choices) + "}"


def expand(text: str) -> str:
    """A help in which the source replaces each ``{module:Class.field}``, ``{module:CONSTANT}``, ``{choices ...}``."""
    text = CHOICES.sub(lambda match: " | ".join(read_choices(tuple(match[1].split()))), text)
    return OWNED.sub(lambda match: read_default(match[1], match[2]), text)


def read_choices(choices: Sequence[str]) -> tuple[str, ...]:
    """Names, and those of each ``module:TABLE``, each once. Raises LookupError if a table is not there."""
    names: list[str] = []
    for choice in choices:
        module, colon, table = choice.partition(":")
        names += read_names(module, table) if colon else [choice]
    return tuple(dict.fromkeys(names))


def read_names(module: str, name: str) -> tuple[str, ...]:
    """The keys of a dictionary, the items of a tuple, or the fields of a dataclass, in the source of a module.

    Raises LookupError if there is none, or its names are no literals.
    """
    for node in _body(module):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return tuple(ast.unparse(entry.target) for entry in node.body if isinstance(entry, ast.AnnAssign))
    value = _value(_body(module), name)
    names = value.keys if isinstance(value, ast.Dict) else value.elts if isinstance(value, ast.Tuple) else [value]
    if not all(isinstance(entry, ast.Constant) and isinstance(entry.value, str) for entry in names):
        raise LookupError(f"{module}:{name} is no table of names in its source")
    return tuple(entry.value for entry in names)  # type: ignore[union-attr]


def read_default(module: str, name: str) -> str:
    """The value that a module's source gives to a constant or a field of a class, as a user types it.

    Of ``setting(3, minimum=1)`` it is the first argument. Raises LookupError if it is not there, or is no literal.
    """
    body = _body(module)
    *classes, field = name.split(".")
    for owner in classes:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == owner)
    node = _value(body, field)
    value = ast.literal_eval(node.args[0] if isinstance(node, ast.Call) else node)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _value(body: Sequence[ast.stmt], name: str) -> ast.expr:
    """What is assigned to a name. Raises LookupError if nothing is."""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.expr):
                return value
    raise LookupError(f"there is no {name}")


@functools.cache
def _body(module: str) -> Sequence[ast.stmt]:
    """The statements of a module, or of the ``__init__`` of a folder."""
    path = PACKAGE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")).body
