"""What a report holds: a verdict, the gates, and sections of sentences, tables and figures; JSON at its edge."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cosmoinfer.metrics import GateResults
from cosmoinfer.metrics.tables import Table
from cosmoinfer.metrics.verdict import CALIBRATED, CONSERVATIVE
from cosmoinfer.storage import JSONObject

Tone = Literal["good", "fair", "bad", "none"]


@dataclass(frozen=True)
class Figure:
    """name: in the table of figures. svg: its source. caption: one sentence that says how to read it."""

    name: str
    svg: bytes
    caption: str

    @property
    def source(self) -> str:
        """For an <img>: in which no script runs and no other file is read."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"


@dataclass(frozen=True)
class Explanation:
    """Of metrics: their formula, and when they mislead."""

    names: tuple[str, ...]
    meaning: str
    remark: str


@dataclass(frozen=True)
class Section:
    """Of a page: a heading, and what stands below it.

    details: tables that are folded away. glossary: to which tables refer. listing: lines that a user may type.
    """

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    glossary: tuple[Explanation, ...] = ()
    listing: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Its name in the page."""
        return self.title.lower().replace(" ", "-")

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands below the heading."""
        return not (self.sentences or self.tables or self.details or self.figures or self.glossary or self.listing)

    def to_json(self) -> JSONObject:
        """{"title", "sentences", "tables": [{"title", "header", "rows"}], "figures": [{"name", "caption"}],
        "listing"}."""
        tables = [
            {"title": table.title, "header": table.header, "rows": table.rows}
            for table in (*self.tables, *self.details)
        ]
        figures = [{"name": figure.name, "caption": figure.caption} for figure in self.figures]
        document: JSONObject = {"title": self.title, "sentences": self.sentences, "tables": tables}
        return document | {"figures": figures, "listing": self.listing}


@dataclass(frozen=True)
class Report:
    """A page.

    title: what it is about.
    verdict: on the joint posterior; empty where nothing was evaluated.
    summary: how good and how calibrated the posterior is.
    next_steps: what to do now.
    gates: what became of them, where there were any.
    warnings: that the commands gave on their way.
    sections: in their order.
    versions: by package.
    """

    title: str
    verdict: str = ""
    summary: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    gates: GateResults | None = None
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict_tone(self) -> Tone:
        """Of the verdict alone."""
        return tone_of_verdict(self.verdict)

    @property
    def tone(self) -> Tone:
        """Of the verdict, and of the gates."""
        return "bad" if self.gates is not None and not self.gates.passed else self.verdict_tone

    @property
    def explained(self) -> dict[str, str]:
        """The anchor of each metric that the page explains, by its name."""
        entries = [entry for section in self.sections for entry in section.glossary]
        return {name.partition("[")[0]: entry.names[0] for entry in entries for name in entry.names}

    def to_json(self) -> JSONObject:
        """The fields by name; sections that are empty are left out."""
        document: JSONObject = {"title": self.title, "verdict": self.verdict, "tone": self.tone}
        document |= {"summary": self.summary, "next_steps": self.next_steps, "warnings": self.warnings}
        document |= {"gates": None if self.gates is None else self.gates.to_json()}
        sections = [section.to_json() for section in self.sections if not section.is_empty]
        return document | {"sections": sections, "versions": dict(self.versions)}


def tone_of_verdict(words: str) -> Tone:
    """Of a verdict in words."""
    if not words or words.startswith(("too few", "no width", "calibration not")):
        return "none"
    if words == CALIBRATED:
        return "good"
    return "fair" if words.startswith((CONSERVATIVE, "not constrained", "fixed")) else "bad"
