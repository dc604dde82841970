"""Posteriors that a command wrote: what they say, on the terminal and as JSON, and their corner."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.tables import observations_table
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.posterior import ObservationSummary
    from cosmoinfer.tasks.sample import SampledPosterior

Corner = Annotated[
    Path | None,
    typer.Option(
        metavar="<file>", help="Draw the corner too, as .pdf, .png or .svg: of several posteriors, one over the other."
    ),
]


def show_posterior(sampled: "SampledPosterior", terminal: Terminal, named: bool = False) -> None:
    """What was drawn; and of a few observations what they say. named: one of several, each under its name."""
    if named or not sampled.complete:
        terminal.result(sampled.describe())
    show_observations(sampled.observations, terminal)
    if sampled.observations and sampled.model_verdict is not None:
        terminal.result(sampled.model_verdict.describe())
    elif sampled.observations:
        terminal.result("cosmoinfer evaluate says whether the model is calibrated")


def draw_corner(
    posteriors: Sequence[Path | None], corner: Path | None, force: bool, terminal: Terminal
) -> dict[str, object]:
    """One over the other, where it was asked for; what the JSON says of it."""
    if corner is None:
        return {}
    from cosmoinfer.tasks.figures import figures

    figures(
        [path for path in posteriors if path is not None], corner, ["corner"], force=force, reporter=terminal.reporter()
    )
    return {"corner": str(corner)}


def show_observations(summaries: Sequence["ObservationSummary"], terminal: Terminal) -> None:
    """Median and 68 % interval of every parameter, and whether to believe them."""
    if not summaries:
        return
    terminal.table(observations_table(summaries))
    rows: dict[str, list[str]] = {}
    for summary in summaries:
        rows.setdefault(summary.trust, []).append(str(summary.row))
    for trust, numbers in rows.items():
        terminal.result(f"row {', '.join(numbers)}: {trust}" if len(summaries) > 1 else trust)


def describe_posterior(sampled: "SampledPosterior") -> dict[str, object]:
    """What a script needs of a posterior: its file, rows, draws a row, how many observations are anomalous, the
    temperature, and of up to ten observations what they say of each parameter."""
    posterior, draws, diagnostics = sampled.posterior, sampled.posterior.draws, sampled.posterior.diagnostics
    document: dict[str, object] = {
        "output": str(sampled.output),
        "rows": len(posterior),
        "draws": None if draws is None else draws.count,
        "temperature": diagnostics.temperature,
        "observations": [summary.to_json() for summary in sampled.observations],
        "model_verdict": None if sampled.model_verdict is None else sampled.model_verdict.to_json(),
    }
    if diagnostics.ess is not None and diagnostics.consistency_p_value is not None:
        document["ess"] = {"lowest": float(diagnostics.ess.min())}
        document["consistency_p_value"] = {"lowest": float(diagnostics.consistency_p_value.min())}
    if diagnostics.ood_percentile is None:
        return document | {"ood": None}
    above = {f"above_{level}": int((diagnostics.ood_percentile > level).sum()) for level in (95, 99)}
    return document | {"ood": {**above, "set_p_value": diagnostics.ood_set_p_value}}
