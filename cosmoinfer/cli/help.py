"""What ``--help`` prints: options by panel, as wide as the terminal, the rarely used ones behind ``--help-all``.

Plain text, and built for one command alone: Rich, its Markdown and the validators of all other commands take longer to
import than everything else that a help needs. Defaults and choices are read from the source.
"""

import os
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from cosmoinfer.cli.options import RARE
from cosmoinfer.cli.source import expand
from cosmoinfer.errors import join_first

USAGE_ERROR: Any = typer.BadParameter.__base__  # wrong usage of any sort, as the parser calls it
HELP, HELP_ALL = "--help", "--help-all"
MIN_WIDTH, MAX_WIDTH = 40, 100  # columns; names and some text stand side by side; longer lines are hard to read
COMPLETION = "_COSMOINFER_COMPLETE"  # in the environment: a shell asks for completions, with an empty command line
TYPE_WORDS = {"int": "number", "float": "number", "str": "name", "Path": "path"}
OF_TOOL = {  # options of the tool itself
    "--version": "Print the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy it or customize the installation.",
    HELP: "Show this message, or after a command its own.",
    HELP_ALL: "The same, after a command with all of its options.",
}


class HelpByPanel(TyperCommand):
    """A command whose help lists its options by panel; rare ones only if ``show_all`` is set."""

    show_all = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What was typed. An option that other commands have is refused with their names."""
        try:
            return super().parse_args(ctx, args)
        except USAGE_ERROR as error:
            if getattr(getattr(error, "param", None), "nargs", 1) == -1:  # of what was typed, the last argument has all
                expected = " ".join(self.collect_usage_pieces(ctx)[1:])
                raise USAGE_ERROR(f"Missing argument: expected {expected}", ctx) from error
            commands = getattr(ctx.parent and ctx.parent.command, "commands", {})
            option = getattr(error, "option_name", None) if type(error).__name__ == "NoSuchOption" else None
            owners = [name for name, command in commands.items() if option in _options_of(command)]
            if not owners:
                raise
            raise USAGE_ERROR(f"No such option: {option}; an option of {join_first(owners, 3)}", ctx) from error

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The description, with the names that it lists."""
        self.help = expand(self.help or "")
        super().format_help_text(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments first, then each panel in the order in which its first option is declared."""
        panels: dict[str, list[tuple[str, str]]] = {}
        n_rare = 0
        for parameter in self.get_params(ctx):
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
            if panel.endswith(RARE) and not self.show_all:
                n_rare += 1
                continue
            name, text = parameter.get_help_record(ctx) or ("", "")
            title = "Arguments" if parameter.param_type_name == "argument" else panel.removesuffix(RARE)
            panels.setdefault(title, []).append((with_plain_type(name), expand(text)))
        if n_rare:
            panels.setdefault("Options", []).append((HELP_ALL, f"Show {n_rare} more option{'s' * (n_rare > 1)}."))
        for title, records in panels.items():
            with formatter.section(title):
                formatter.write_dl(records)


def print_help(description: str, commands: Mapping[str, Callable[..., None]], arguments: Sequence[str]) -> bool:
    """Print the help that the arguments ask for, of the tool or of one command.

    Returns whether they ask for one; every other line is left to the parser.
    """
    if COMPLETION in os.environ:
        return False
    if not arguments or arguments[0] in (HELP, HELP_ALL):
        print(describe_tool(description, commands))
        return True
    if arguments[0] not in commands or not {HELP, HELP_ALL} & set(arguments):
        return False
    name = arguments[0]
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, cls=HelpByPanel)(commands[name])
    command: Any = typer.main.get_command(single)
    command.show_all = HELP_ALL in arguments
    print(command.get_help(typer.Context(command, info_name=f"cosmoinfer {name}", max_content_width=MAX_WIDTH)))
    return True


def describe_tool(description: str, commands: Mapping[str, Callable[..., None]]) -> str:
    """The help of the tool: its options, and each command with the first paragraph of its own help."""
    width = max(MIN_WIDTH, min(shutil.get_terminal_size().columns, MAX_WIDTH))
    summaries = {name: " ".join((command.__doc__ or "").split("\n\n")[0].split()) for name, command in commands.items()}
    lines = ["Usage: cosmoinfer COMMAND [OPTIONS] [ARGUMENTS]", "", *textwrap.wrap(description, width)]
    for title, entries in (("Options", OF_TOOL), ("Commands", summaries)):
        margin = max(map(len, entries)) + 4
        lines += ["", f"{title}:"]
        for name, text in entries.items():
            wrapped = textwrap.wrap(text, width - margin)
            lines.append(f"  {name}".ljust(margin) + wrapped[0])
            lines += [" " * margin + line for line in wrapped[1:]]
    return "\n".join(lines)


def _options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def with_plain_type(name: str) -> str:
    """``--epochs <number>`` of ``--epochs <int>``: types as a user calls them; a list is of what is given each time."""
    return re.sub(r"<(?:list\[)?(int|float|str|Path)\]?>$", lambda match: f"<{TYPE_WORDS[match[1]]}>", name)
