"""``cosmoinfer sample``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.tables import observations_table
from cosmoinfer.cli.terminal import Terminal

if TYPE_CHECKING:
    from cosmoinfer.posterior import ObservationSummary
    from cosmoinfer.tasks.sample import SampledPosterior

Models = Annotated[
    list[Path], typer.Argument(help="Model files: flows, regressors or a classifier.", show_default=False)
]
Observed = Annotated[
    Path, typer.Argument(help="Catalog, or observations: HDF5, or .npy, .txt, ...", show_default=False)
]
Partition = Annotated[
    str | None,
    typer.Option("--split", metavar="<name>", help="train, validation, test or all. [default: the model's test rows]"),
]
Rows = Annotated[str | None, typer.Option(metavar="<numbers>", help="Row numbers of the catalog: 0:10 or 3,5,20:25.")]
Draws = Annotated[
    int | None,
    typer.Option(help="Draws of each row. [default: {sampling.options:SamplingOptions.draws}]", show_default=False),
]
SkipFailed = Annotated[
    bool, typer.Option("--skip-failed", help="Leave out rows that cannot be sampled, and list them.")
]
Combine = Annotated[
    str | None,
    typer.Option(
        metavar="<name>", help="product: one posterior a simulation, of its rows as independent observations."
    ),
]
Recalibrate = Annotated[
    str | None,
    typer.Option(metavar="<name>", help="temperature: wider or narrower, as the model's validation rows asked for."),
]
Corner = Annotated[
    Path | None,
    typer.Option(metavar="<file>", help="Draw the corner too, as .pdf, .png or .svg, of several models in one."),
]
Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="<i/n>", help="3/16: the third of sixteen parts, which merge joins."),
]


def sample(
    models: Models,
    catalog: Observed,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    partition: Partition = None,
    rows: Rows = None,
    draws: Draws = None,
    skip_failed: SkipFailed = False,
    combine: Combine = None,
    recalibrate: Recalibrate = None,
    shard: Part = None,
    corner: Corner = None,
) -> None:
    """Draw from the posterior of each row: the model's own test rows, or the whole of another catalog.

    Of several models, a posterior each. Of a classifier: the probabilities of its classes.

    Example: cosmoinfer sample nsf.h5 sample_data/power_spectra.h5 --rows 0:10
    """
    from cosmoinfer.tasks.figures import check_figure
    from cosmoinfer.tasks.sample import write_posteriors

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(read_options, run, split=partition, rows=rows, draws=draws, skip_failed=skip_failed)
    settings |= {"combine": combine, "recalibrate": recalibrate, "shard": shard}
    if corner is not None:
        check_figure(corner, "corner")
    posteriors = write_posteriors(models, catalog, settings, output, output_options.force, terminal.reporter())
    for sampled in posteriors:
        show_posterior(sampled, terminal, named=len(models) > 1)
    drawn = draw_corner([sampled.output for sampled in posteriors], corner, output_options.force, terminal)
    documents = [describe_posterior(sampled) for sampled in posteriors]
    terminal.document((documents[0] if len(models) == 1 else {"posteriors": documents}) | drawn)


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
