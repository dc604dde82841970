"""``cosmoinfer guide``."""

from typing import Annotated

import typer

from cosmoinfer.cli.terminal import Terminal

Topic = Annotated[
    str | None,
    typer.Argument(help="A page, or a word to look for; without one, all pages by name.", show_default=False),
]


def guide(topic: Topic = None) -> None:
    """Show a page of the manual.

    Example: cosmoinfer guide evaluating
    """
    from cosmoinfer.tasks import guide as manual

    text = manual.read_page(topic) if topic else manual.list_pages()
    Terminal().page(text)
