"""``cosmoinfer train-regressor``."""

from cosmoinfer.cli.job import MaxTime, Ranks, stop_after
from cosmoinfer.cli.options import (
    CatalogPath,
    CheckpointOptions,
    InputOptions,
    NetworkOptions,
    Output,
    OutputOptions,
    ReadOptions,
    RegressorOptions,
    RunOptions,
    SplitOptions,
    TargetOptions,
    TrainingOptions,
    keywords,
)
from cosmoinfer.cli.terminal import Terminal


def train_regressor(
    catalog: CatalogPath,
    regressor: RegressorOptions,
    network: NetworkOptions,
    data_options: InputOptions,
    training: TrainingOptions,
    split_options: SplitOptions,
    read_options: ReadOptions,
    target_options: TargetOptions,
    run: RunOptions,
    checkpoints: CheckpointOptions,
    output_options: OutputOptions,
    output: Output = None,
    max_time: MaxTime = None,
    ranks: Ranks = False,
) -> None:
    """Train a network that predicts the parameters, with a width for each if the loss knows one.

    With --target NAME it tells the classes of /classes/NAME apart, and gives a calibrated probability for each.

    Example: cosmoinfer train-regressor sample_data/power_spectra.h5 --network mlp --loss moment
    """
    from cosmoinfer.tasks.train_regressor import REGRESSOR_TRAINER

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    groups = (regressor, network, data_options, training, split_options, read_options, target_options, run, checkpoints)
    settings = keywords(*groups, ranks=ranks)
    terminal.document(REGRESSOR_TRAINER.write(catalog, settings, output, output_options.force, terminal.reporter()))
