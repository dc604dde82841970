"""Tables of an evaluation as plain text and as HTML, for Python and notebooks; the command line draws its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from cosmoinfer.metrics.classifier.predictions import Confusion
from cosmoinfer.metrics.estimate import Estimates, EstimatesByMetric
from cosmoinfer.printable import MAX_CELL, html, one_line

SECONDARY = frozenset(  # metrics that are behind a verdict, or beside another one: only complete tables have them
    {
        *("nrmse", "rel_err_mean", "rel_err_rms", "precision", "std_ratio", "corr", "fom"),
        *("chi2", "chi2_median", "pulls_beyond_5", "z_mean", "z_std", "coverage_95"),
        *("sbc_p", "sbc_p_holm", "tarp_p", "tarp_atc", "tarp_x_p", "tarp_x_atc", "hpd_p"),
    }
)
MAX_PAIRS = 15  # pairs of parameters that a table lists: those of six parameters


@dataclass(frozen=True)
class Table:
    """A table of strings.

    title: above the table.
    header: one cell for each column.
    rows: of as many cells.
    numeric: whether the other columns hold numbers, which are aligned to the right.
    name_columns: how many columns, from the first on, name the row.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: bool = True
    name_columns: int = 1

    def to_text(self) -> str:
        """Columns aligned by spaces."""
        lines = [[one_line(cell, MAX_CELL) for cell in line] for line in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        names = self.name_columns
        alignments = ["<"] * names + [">" if self.numeric else "<"] * (len(widths) - names)
        formats = [f"{alignment}{width}" for alignment, width in zip(alignments, widths, strict=True)]
        header, *rows = ["  ".join(map(format, line, formats)).rstrip() for line in lines]
        return "\n".join([one_line(self.title), header, "-" * (sum(widths) + 2 * (len(widths) - 1)), *rows])

    def to_html(self) -> str:
        """A <table> with the title as its caption."""
        header = "".join(f"<th>{html(cell)}</th>" for cell in self.header)
        body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        caption = f"<caption>{html(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def by_parameter(title: str, estimates: EstimatesByMetric, parameters: Sequence[str]) -> Table:
    """A row a metric, a column a parameter."""
    rows = tuple((metric, *(str(columns[name]) for name in parameters)) for metric, columns in estimates.items())
    return Table(title, ("metric", *parameters), rows)


def values(title: str, joint: Estimates, pairs: EstimatesByMetric, local: EstimatesByMetric) -> Table:
    """A row for each metric with a single value, and for each pair of parameters or row number of the others."""
    rows = [(metric, str(estimate)) for metric, estimate in joint.items()]
    for metric, estimates in (*pairs.items(), *local.items()):
        rows += [(f"{metric}[{name}]", str(estimate)) for name, estimate in list(estimates.items())[:MAX_PAIRS]]
        if len(estimates) > MAX_PAIRS:
            rows.append((f"{metric}: {len(estimates) - MAX_PAIRS} more in the metrics file", ""))
    return Table(title, ("metric", "value"), tuple(rows))


def confusion(counts: Confusion) -> Table:
    """A row a true class, a column a predicted class; then the accuracy of the class."""
    rows = tuple(
        (name, *map(str, row), f"{100 * row[number] / sum(row):.1f} %" if sum(row) else "-")
        for number, (name, row) in enumerate(zip(counts.classes, counts.counts, strict=True))
    )
    return Table("rows by true and predicted class", ("true class", *counts.classes, "accuracy"), rows)


def paragraphs_to_html(sentences: Sequence[str]) -> str:
    """A <p> for each sentence."""
    return "".join(f"<p>{html(sentence)}</p>" for sentence in sentences)
