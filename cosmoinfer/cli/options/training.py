"""Options of how a command works, what it prints, and how it trains."""

from dataclasses import dataclass
from typing import Annotated

from cosmoinfer.cli.options.architecture import FlowOptions, InputOptions, NetworkOptions
from cosmoinfer.cli.options.catalog import ReadOptions, SplitOptions
from cosmoinfer.cli.options.declare import option


@dataclass(frozen=True)
class RunOptions:
    """Where and how a command works."""

    seed: Annotated[
        int, option("Seed of all random numbers but the split.", "Run", default="{tasks.run_settings:RunSettings.seed}")
    ] = 0
    device: Annotated[
        str,
        option(
            "Device:",
            "Run",
            choices=("device:DEVICES",),
            default="{tasks.run_settings:RunSettings.device}",
            rare=True,
        ),
    ] = "auto"
    threads: Annotated[
        int | None,
        option("CPU threads.", "Run", default="as many as it may use"),
    ] = None


@dataclass(frozen=True)
class CheckpointOptions:
    """How a training is kept on its way."""

    checkpoint_every: Annotated[
        str | None,
        option(
            "Keep a training so often, in the folder OUTPUT.checkpoint: 10min.",
            "Run",
            value="<time>",
            default="{tasks.run_settings:CheckpointSettings.checkpoint_every}",
            rare=True,
        ),
    ] = None


@dataclass(frozen=True)
class OutputOptions:
    """What a command prints, and whether it may replace a file."""

    json: Annotated[bool, option("Print one JSON document on stdout.", "Run", "--json")] = False
    quiet: Annotated[bool, option("Print no progress.", "Run", "--quiet", rare=True)] = False
    force: Annotated[bool, option("Replace an output of other settings.", "Run", "--force")] = False


OF_ROWS = "by the number of training rows"


@dataclass(frozen=True)
class TrainingOptions:
    """The fields of ``training.settings.TrainingSettings``, but for the momentum and the warm-up."""

    epochs: Annotated[int | None, option("Largest number of epochs.", "Training", default=OF_ROWS)] = None
    batch_size: Annotated[int | None, option("Rows per step.", "Training", default=OF_ROWS)] = None
    learning_rate: Annotated[float | None, option("Peak learning rate.", "Training", default=OF_ROWS)] = None
    optimizer: Annotated[
        str | None,
        option(
            "Optimiser, sgd:momentum=0.9 with its setting:",
            "Training",
            choices=("training.settings:OPTIMIZERS",),
            default="{training.settings:TrainingSettings.optimizer}",
            rare=True,
        ),
    ] = None
    schedule: Annotated[
        str | None,
        option(
            "Learning-rate schedule:",
            "Training",
            choices=("training.settings:SCHEDULES",),
            default="{training.settings:TrainingSettings.schedule}",
            rare=True,
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        option("Weight decay.", "Training", default="{training.settings:TrainingSettings.weight_decay}", rare=True),
    ] = None
    patience: Annotated[
        int | None,
        option(
            "Epochs without a lower validation loss before a member stops.",
            "Training",
            default="{training.settings:TrainingSettings.patience}",
            rare=True,
        ),
    ] = None
    clip_norm: Annotated[
        float | None,
        option(
            "Largest norm of a member's gradient.",
            "Training",
            default="{training.settings:TrainingSettings.clip_norm}",
            rare=True,
        ),
    ] = None
    mixed_precision: Annotated[
        bool | None,
        option("Train embeddings in bfloat16 (CUDA).", "Training", "--mixed-precision", rare=True),
    ] = None


@dataclass(frozen=True)
class FlowTrainingOptions:
    """What every command that trains flows takes."""

    flow: FlowOptions
    network: NetworkOptions
    data: InputOptions
    training: TrainingOptions
    split: SplitOptions
    reading: ReadOptions
    run: RunOptions
    checkpoints: CheckpointOptions
