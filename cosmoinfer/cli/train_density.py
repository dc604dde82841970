"""``cosmoinfer train-density``."""

from cosmoinfer.cli.job import MaxTime, Ranks, stop_after
from cosmoinfer.cli.options import (
    CatalogPath,
    CheckpointOptions,
    DensityOptions,
    NetworkOptions,
    Output,
    OutputOptions,
    ReadOptions,
    RunOptions,
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
    split_options: SplitOptions,
    read_options: ReadOptions,
    run: RunOptions,
    checkpoints: CheckpointOptions,
    output_options: OutputOptions,
    output: Output = None,
    max_time: MaxTime = None,
    ranks: Ranks = False,
) -> None:
    """Train a normalizing flow for the data themselves, p(x | theta), or p(x) with --unconditional: vectors or maps.

    Example: cosmoinfer train-density sample_data/power_spectra.h5 --flow maf -o spectra.density.h5
    """
    from cosmoinfer.tasks.train_density import DENSITY_TRAINER

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(density, network, training, split_options, read_options, run, checkpoints, ranks=ranks)
    terminal.document(DENSITY_TRAINER.write(catalog, settings, output, output_options.force, terminal.reporter()))
