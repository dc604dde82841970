"""The manual: pages of Markdown that lie beside the code, one a topic."""

import re
from dataclasses import dataclass
from importlib import resources

from cosmoinfer.errors import UserError, list_choices

FOLDER = resources.files("cosmoinfer") / "guide"
MAX_SECTIONS = 8  # in which a word stands, that are named


@dataclass(frozen=True)
class Section:
    """Of a page, where a word was looked for: whether it stands in the heading, and how often in the text."""

    topic: str
    heading: str
    in_heading: bool
    count: int


def topics() -> dict[str, str]:
    """What each page is about, in one line, by topic in alphabetical order."""
    pages = sorted(page.name.removesuffix(".md") for page in FOLDER.iterdir() if page.name.endswith(".md"))
    return {topic: read_page(topic).split("\n")[2] for topic in pages}


def list_pages() -> str:
    """All topics, as Markdown."""
    lines = [f"- `cosmoinfer guide {topic}`: {summary}" for topic, summary in topics().items()]
    return "\n".join(["# The guide", "", *lines, ""])


def read_page(topic: str) -> str:
    """The page of a topic, as Markdown; of any other word, the sections where it stands.

    Raises UserError if there is no such page and the word stands nowhere; it lists the pages there are.
    """
    path = FOLDER / f"{topic}.md"
    if topic.isidentifier() and path.is_file():
        return path.read_text(encoding="utf-8")
    sections = find_sections(topic)
    if not sections:
        raise UserError(f"the guide has no page {topic!r}; {list_choices(topic, topics())}")
    lines = [f"- `cosmoinfer guide {section.topic}`: {section.heading}" for section in sections[:MAX_SECTIONS]]
    more = [f"- ... {len(sections)} in all"] if len(sections) > MAX_SECTIONS else []
    return "\n".join([f"# Where the guide speaks of {topic}", "", *lines, *more, ""])


def find_sections(word: str) -> list[Section]:
    """Those where a word stands: first where in the heading, then where most often."""
    sections = []
    for topic in topics():
        for text in re.split(r"^(?=#+ )", read_page(topic), flags=re.MULTILINE):
            heading, _, body = text.partition("\n")
            find = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)
            count, in_heading = len(find.findall(body)), bool(find.search(heading))
            if count or in_heading:
                sections.append(Section(topic, heading.lstrip("# "), in_heading, count))
    return sorted(sections, key=lambda section: (not section.in_heading, -section.count))
