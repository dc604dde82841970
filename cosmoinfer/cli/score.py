"""``cosmoinfer score``."""

from cosmoinfer.cli.generate import DensityPath
from cosmoinfer.cli.options import Output, OutputOptions, ReadOptions, RunOptions, keywords
from cosmoinfer.cli.sample import Observed, Partition, Rows
from cosmoinfer.cli.terminal import Terminal


def score(
    model: DensityPath,
    catalog: Observed,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    partition: Partition = None,
    rows: Rows = None,
) -> None:
    """How odd each row is under a density model: its log density, and how far that is from typical, on either side.

    Example: cosmoinfer score spectra.density.h5 sample_data/power_spectra.h5 -o scores.h5
    """
    from cosmoinfer.tasks.score import write_scores

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(read_options, run, split=partition, rows=rows)
    scored = write_scores(model, catalog, settings, output, output_options.force, terminal.reporter())
    terminal.result(scored.describe())
    terminal.document({"output": str(scored.output), "rows": len(scored.scores), "odd": scored.anomalous})
