"""``cosmoinfer likelihood``."""

from pathlib import Path
from typing import Annotated

import typer

from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.sample import Observed, Partition, Rows
from cosmoinfer.cli.terminal import Terminal

BoundModel = Annotated[Path, typer.Argument(help="Model file: a density p(x | theta) or a flow.", show_default=False)]


def likelihood(
    model: BoundModel,
    observation: Observed,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    partition: Partition = None,
    rows: Rows = None,
) -> None:
    """Bind an observation to a model: its likelihood as a function of the parameters, for any sampler in Python.

    Of several rows, which must be independent observations of one universe: the sum of their log likelihoods. Of a
    flow: its posterior divided by its prior.

    Example: cosmoinfer likelihood spectra.density.h5 sample_data/power_spectra.h5 --rows 7 -o spectrum.likelihood.h5
    """
    from cosmoinfer.tasks.likelihood import write_likelihood

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(read_options, run, split=partition, rows=rows)
    bound = write_likelihood(model, observation, settings, output, output_options.force, terminal.reporter())
    terminal.result(bound.describe())
    percentile = bound.likelihood.observed.ood_percentile
    document = {"output": str(bound.output), "kind": bound.likelihood.kind, "parameters": list(bound.likelihood.names)}
    document |= {"rows": bound.likelihood.observed.index.tolist()}
    terminal.document(document | {"ood_percentile": None if percentile is None else percentile.tolist()})
