"""The manual: pages of Markdown that lie beside the code, one a topic."""

from importlib import resources

from cosmoinfer.errors import UserError, list_choices

FOLDER = resources.files("cosmoinfer") / "guide"


def topics() -> dict[str, str]:
    """What each page is about, in one line, by topic in alphabetical order."""
    pages = sorted(page.name.removesuffix(".md") for page in FOLDER.iterdir() if page.name.endswith(".md"))
    return {topic: read_page(topic).split("\n")[2] for topic in pages}


def list_pages() -> str:
    """All topics, as Markdown."""
    lines = [f"- `cosmoinfer guide {topic}`: {summary}" for topic, summary in topics().items()]
    return "\n".join(["# The guide", "", *lines, ""])


def read_page(topic: str) -> str:
    """The page of a topic, as Markdown. Raises UserError if there is none; it lists those there are."""
    path = FOLDER / f"{topic}.md"
    if not (topic.isidentifier() and path.is_file()):
        raise UserError(f"the guide has no page {topic!r}; {list_choices(topic, topics())}")
    return path.read_text(encoding="utf-8")
