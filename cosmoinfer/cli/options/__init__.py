"""Options that several commands share, a group a dataclass."""

from cosmoinfer.cli.options.architecture import (
    DensityOptions,
    FlowOptions,
    InputOptions,
    NetworkOptions,
    RegressorOptions,
)
from cosmoinfer.cli.options.catalog import DataOptions, ReadOptions, SplitOptions, TargetOptions
from cosmoinfer.cli.options.declare import RARE, CatalogPath, Output, completer, grouped, keywords, option, short_names
from cosmoinfer.cli.options.training import (
    CheckpointOptions,
    FlowTrainingOptions,
    OutputOptions,
    RunOptions,
    TrainingOptions,
)

__all__ = [
    "RARE",
    "CatalogPath",
    "CheckpointOptions",
    "DataOptions",
    "DensityOptions",
    "FlowOptions",
    "FlowTrainingOptions",
    "InputOptions",
    "NetworkOptions",
    "Output",
    "OutputOptions",
    "ReadOptions",
    "RegressorOptions",
    "RunOptions",
    "SplitOptions",
    "TargetOptions",
    "TrainingOptions",
    "completer",
    "grouped",
    "keywords",
    "option",
    "short_names",
]
