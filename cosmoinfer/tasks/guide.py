"""The manual: pages of Markdown that lie beside the code, one a topic."""

import re
from dataclasses import dataclass
from importlib import resources

from cosmoinfer.errors import UserError, list_choices

FOLDER = resources.files("cosmoinfer") / "guide"
EXPLAINED_IN = ("evaluating", "classification")  # pages whose tables say what metrics and verdicts mean
METRIC, VERDICT = "name", "verdict"  # heads of the first column of these tables
CALIBRATED = "calibrated within errors"  # after which there is nothing to do
FIRST_PAGE = "tutorial"  # before the others, which are looked up
MAX_SECTIONS = 8  # in which a word stands, that are named


@dataclass(frozen=True)
class Section:
    """Of a page, where a word was looked for: whether it stands in the heading, and how often in the text."""

    topic: str
    heading: str
    in_heading: bool
    count: int


def topics() -> dict[str, str]:
    """What each page is about, in one line, by topic: the tutorial, then in alphabetical order."""
    pages = {page.name.removesuffix(".md") for page in FOLDER.iterdir() if page.name.endswith(".md")}
    ordered = [FIRST_PAGE, *sorted(pages - {FIRST_PAGE})]
    return {topic: read_page(topic).split("\n")[2] for topic in ordered}


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


@dataclass(frozen=True)
class Explanation:
    """Of a metric or a verdict, from a table of the manual.

    head: of the table's first column, METRIC or VERDICT. names: that share the row. meaning: the formula, or what it
    says. remark: when a metric misleads, or what to do after a verdict; empty where there is nothing to say.
    """

    head: str
    names: tuple[str, ...]
    meaning: str
    remark: str

    def to_markdown(self) -> str:
        """A paragraph."""
        title = {METRIC: "when it misleads", VERDICT: "what to do"}[self.head]
        names = ", ".join(f"`{name}`" for name in self.names)
        return f"**{names}**: {self.meaning}" + (f"\n\n*{title}*: {self.remark}" if self.remark else "")


def explanations() -> list[Explanation]:
    """Of every metric and verdict, in the order of the pages."""
    entries, head = [], ""
    for line in "\n\n".join(map(read_page, EXPLAINED_IN)).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            head = ""
        elif cells[0] in (METRIC, VERDICT):
            head = cells[0]
        elif head and not cells[0].startswith("-"):
            names = re.findall("`([^`]+)`", cells[0]) or [cells[0]]
            entries.append(Explanation(head, tuple(names), cells[1], cells[2] if len(cells) > 2 else ""))
    return entries


def explain(name: str) -> str:
    """What a metric or a verdict means, as Markdown; of ``all`` every one. Raises UserError for another name."""
    entries = [entry for entry in explanations() if name in (*entry.names, "all")]
    entries = entries or [entry for entry in explanations() if name in {each.partition("[")[0] for each in entry.names}]
    if not entries:
        raise UserError(list_choices(name, [each for entry in explanations() for each in entry.names]))
    paragraphs = [entry.to_markdown() for entry in entries]
    return "\n\n".join([*paragraphs, "More: `cosmoinfer guide evaluating`.", ""])


def remedies(verdict: str) -> dict[str, str]:
    """What to do after a joint verdict in words, by each word of it that is not CALIBRATED."""
    entries = {entry.names[0]: entry.remark for entry in explanations() if entry.head == VERDICT and entry.remark}
    del entries[CALIBRATED]
    return {word: remark for word, remark in entries.items() if re.search(rf"\b{re.escape(word)}\b", verdict)}
