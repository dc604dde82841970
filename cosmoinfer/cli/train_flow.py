"""``cosmoinfer train-flow``."""

from pathlib import Path
from typing import Annotated

from cosmoinfer.cli.job import MaxTime, Ranks, stop_after
from cosmoinfer.cli.options import CatalogPath, FlowTrainingOptions, Output, OutputOptions, keywords, option
from cosmoinfer.cli.terminal import Terminal

Summary = Annotated[Path | None, option("Trained regressor whose output conditions the flow.", "Options", rare=True)]
FineTune = Annotated[Path | None, option("Trained flow from whose weights to start.", "Options")]
Like = Annotated[
    Path | None, option("Trained flow whose architectures and training settings to take.", "Options", rare=True)
]


def train_flow(
    catalog: CatalogPath,
    training: FlowTrainingOptions,
    output_options: OutputOptions,
    output: Output = None,
    summary: Summary = None,
    fine_tune: FineTune = None,
    like: Like = None,
    max_time: MaxTime = None,
    ranks: Ranks = False,
) -> None:
    """Train normalizing flows for p(theta | x), mixed as the validation rows say.

    Example: cosmoinfer train-flow sample_data/power_spectra.h5 --flow nsf -o nsf.h5
    """
    from cosmoinfer.tasks.train_flow import FLOW_TRAINER

    stop_after(max_time)
    terminal = Terminal(output_options.json, output_options.quiet)
    settings = keywords(training, summary=summary, fine_tune=fine_tune, like=like, ranks=ranks)
    terminal.document(FLOW_TRAINER.write(catalog, settings, output, output_options.force, terminal.reporter()))
