"""``cosmoinfer train-flow``."""

from pathlib import Path
from typing import Annotated

from cosmoinfer.cli.options import (
    CatalogPath,
    FlowOptions,
    InputOptions,
    NetworkOptions,
    Output,
    OutputOptions,
    ReadOptions,
    RunOptions,
    SplitOptions,
    TrainingOptions,
    keywords,
    option,
)
from cosmoinfer.cli.terminal import Terminal

Summary = Annotated[Path | None, option("Trained regressor whose output conditions the flow.", "Options", rare=True)]
FineTune = Annotated[Path | None, option("Trained flow from whose weights to start.", "Options")]


def train_flow(
    catalog: CatalogPath,
    flow: FlowOptions,
    network: NetworkOptions,
    data_options: InputOptions,
    training: TrainingOptions,
    split_options: SplitOptions,
    read_options: ReadOptions,
    run: RunOptions,
    output_options: OutputOptions,
    output: Output = None,
    summary: Summary = None,
    fine_tune: FineTune = None,
) -> None:
    """Train normalizing flows for p(theta | x), mixed as the validation rows say.

    Example: cosmoinfer train-flow sample_data/power_spectra.h5 --flow nsf -o nsf.h5
    """
    from cosmoinfer.tasks.train_flow import FLOW_TRAINER

    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(
        flow, network, data_options, training, split_options, read_options, run, summary=summary, fine_tune=fine_tune
    )
    terminal.document(FLOW_TRAINER.write(catalog, settings, output, output_options.force, terminal.reporter()))
