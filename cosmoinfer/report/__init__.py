"""A report: one page of HTML that needs nothing else, and its content as JSON. The only folder that imports jinja2."""

from cosmoinfer.report.document import Explanation, Figure, Report, Section, Tone, tone_of_verdict
from cosmoinfer.report.page import render

__all__ = ["Explanation", "Figure", "Report", "Section", "Tone", "render", "tone_of_verdict"]
