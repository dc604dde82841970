"""``cosmoinfer sample``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.posteriors import Corner, describe_posterior, draw_corner, show_posterior
from cosmoinfer.cli.terminal import Terminal

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
