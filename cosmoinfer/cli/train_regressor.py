"""``cosmoinfer train-regressor``."""

from cosmoinfer.cli.options import (
    CatalogPath,
    ConvolutionOptions,
    InputOptions,
    NetworkOptions,
    Output,
    ReadingOptions,
    RegressorOptions,
    RunOptions,
    SayOptions,
    SplitOptions,
    TrainingOptions,
    keywords,
)
from cosmoinfer.cli.terminal import Terminal


def train_regressor(
    catalog: CatalogPath,
    regressor: RegressorOptions,
    network: NetworkOptions,
    convolution: ConvolutionOptions,
    intake: InputOptions,
    training: TrainingOptions,
    splitting: SplitOptions,
    reading: ReadingOptions,
    run: RunOptions,
    say: SayOptions,
    output: Output = None,
) -> None:
    """Train a network that predicts the parameters, with a width for each if the loss knows one.

    With --target NAME it tells the classes of /classes/NAME apart, and gives a calibrated probability for each.

    Example: cosmoinfer train-regressor sample_data/power_spectra.h5 --network mlp --loss moment
    """
    from cosmoinfer.tasks.train_regressor import write_regressor

    terminal = Terminal(say.json, say.quiet)
    settings = keywords(regressor, network, convolution, intake, training, splitting, reading, run)
    trained = write_regressor(catalog, settings, output, say.force, terminal.reporter())
    if trained.model is None:
        terminal.document({"output": str(trained.output), "complete": True})
        return
    terminal.result(trained.describe())
    document = {"output": str(trained.output), "validation": trained.validation, "score": trained.score_name}
    terminal.document({**document, "rows": trained.rows})
