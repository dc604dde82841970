"""Names within a text, plain or in braces, ``{A,1}``; braces of the name itself are doubled, ``{x{{0}}}``.

What every option that takes names, numbers or conditions of them reads in one way.
"""

import re
from collections.abc import Iterable, Mapping

QUOTED = r"\{(?:[^{}]|\{\{|\}\})+\}"
SEPARATORS = ",=:~@"  # behind which, behind a space and at the beginning, a brace begins a quoted name
_NEEDS_BRACES = re.compile(rf"[{SEPARATORS}{{}}]|^\s|\s$")
_WHOLE = re.compile(QUOTED)


def quote(name: str) -> str:
    """The name in braces."""
    return "{" + name.replace("{", "{{").replace("}", "}}") + "}"


def write(name: str) -> str:
    """The name as options take it between separators: plain where it can be."""
    return quote(name) if _NEEDS_BRACES.search(name) else name


def unquote(text: str) -> str:
    """The name that a text stands for, without the spaces around it."""
    text = text.strip()
    return text[1:-1].replace("{{", "{").replace("}}", "}") if _WHOLE.fullmatch(text) else text


def split(text: str, separator: str) -> list[str]:
    """The text between separators, one character each, that stand in no quoted name; names stay quoted."""
    items, start = [], 0
    for match in re.finditer(rf"(?<![^\s{SEPARATORS}]){QUOTED}|{re.escape(separator)}", text):
        if match[0] == separator:
            items.append(text[start : match.start()])
            start = match.end()
    return [*items, text[start:]]


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names from ``a,b`` as options take them, or one by one, plain."""
    if isinstance(names, str):
        return tuple(unquote(name) for name in split(names, ","))
    return tuple(names)


def join_items(items: str | Mapping[str, object] | None, separator: str) -> str:
    """``a=1,b=2`` of a mapping of plain names, as of text; nothing of None. separator: of a name and its value."""
    if isinstance(items, Mapping):
        return ",".join(f"{write(name)}{separator}{item}" for name, item in items.items())
    return items or ""
