"""``cosmoinfer train-density``."""

from cosmoinfer.cli.options import (
    CatalogPath,
    DensityOptions,
    NetworkOptions,
    Output,
    ReadingOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    keywords,
)
from cosmoinfer.cli.terminal import Terminal


def train_density(
    catalog: CatalogPath,
    density: DensityOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
) -> None:
    """Train a normalizing flow for the data themselves, p(x | theta), or p(x) with --unconditional: vectors or maps.

    Example: cosmoinfer train-density sample_data/power_spectra.h5 --flow maf -o spectra.density.h5
    """
    from cosmoinfer.tasks.train_density import write_density

    terminal = Terminal(say.json, say.quiet)
    settings = keywords(density, network, training, splitting, reading, run)
    trained = write_density(catalog, settings, output, say.force, terminal.reporter())
    if trained.model is None:
        terminal.document({"output": str(trained.output), "complete": True})
        return
    terminal.result(trained.describe())
    terminal.document({"output": str(trained.output), "validation": trained.validation, "rows": trained.rows})
