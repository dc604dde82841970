"""``cosmoinfer score``."""

from cosmoinfer.cli.generate import DensityPath
from cosmoinfer.cli.options import Output, ReadingOptions, RunOptions, SayOptions, keywords
from cosmoinfer.cli.sample import Observed, Part, Rows
from cosmoinfer.cli.terminal import Terminal


def score(
    model: DensityPath,
    catalog: Observed,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
    part: Part = None,
    rows: Rows = None,
) -> None:
    """How odd each row is under a density model: its log density, and how far that is from typical, on either side.

    Example: cosmoinfer score spectra.density.h5 sample_data/power_spectra.h5 -o scores.h5
    """
    from cosmoinfer.tasks.score import write_scores

    terminal = Terminal(say.json, say.quiet)
    settings = keywords(reading, run, split=part, rows=rows)
    scored = write_scores(model, catalog, settings, output, say.force, terminal.reporter())
    terminal.result(scored.describe())
    terminal.document({"output": str(scored.output), "rows": len(scored.scores), "odd": scored.anomalous})
