"""Options that several commands share, a group a dataclass; ``grouped`` spreads the groups over a command's own.

``None`` means the default of whoever knows: it lives beside the code that it turns. Nothing heavy is imported here.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

CatalogPath = Annotated[Path, typer.Argument(help="Catalog of simulations, HDF5.", show_default=False)]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.", show_default=False)]


def _option(help: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help.replace("[", r"\["), rich_help_panel=panel, show_default=False)


@dataclass(frozen=True)
class ReadingOptions:
    """How to find things in somebody else's file; the fields of ``catalog.ReadOptions``."""

    parameters: Annotated[str | None, _option("Dataset of the parameters [/parameters].", "Catalog")] = None
    data: Annotated[list[str] | None, _option("Dataset of a summary; repeatable [all of /data].", "Catalog")] = None
    kind: Annotated[str | None, _option("vector, profile, map or grid [told by the axes].", "Catalog")] = None
    simulation: Annotated[str | None, _option("Dataset of simulation ids [/simulation].", "Catalog")] = None
    rows_per_simulation: Annotated[int | None, _option("So many rows in a row share a simulation.", "Catalog")] = None
    names: Annotated[str | None, _option("Parameter names: a,b,c.", "Catalog")] = None
    bounds: Annotated[str | None, _option("Prior box: 'a=0.1:0.5,b=0.25:4:log'.", "Catalog")] = None
    infer: Annotated[str | None, _option("Infer these parameters only, marginalise the rest: a,b.", "Catalog")] = None
    scale_cut: Annotated[list[str] | None, _option("Scale cut: 0:40, or 'k<0.3' by dataset /k.", "Catalog")] = None
    target: Annotated[str | None, _option("Infer a class of /classes/NAME, not parameters.", "Catalog")] = None
    missing: Annotated[str | None, _option("mask: NaN in a vector is a gap, told to the network.", "Catalog")] = None
    drop_nonfinite: Annotated[bool, _option("Leave out rows with NaN or inf.", "Catalog", "--drop-nonfinite")] = False
    data_include_noise: Annotated[
        bool, _option("Simulations hold their noise already; add none.", "Catalog", "--data-include-noise")
    ] = False
    memory: Annotated[
        str | None, _option("What data may take, 2GB; more stay in their file [half of the memory].", "Catalog")
    ] = None


@dataclass(frozen=True)
class SplitOptions:
    """Which simulations train, validate and test."""

    fractions: Annotated[
        tuple[float, float, float] | None, _option("Shares of train, validation, test [0.7 0.15 0.15].", "Split")
    ] = None
    split_seed: Annotated[int, _option("Seed of the split [0]; --seed never touches it.", "Split")] = 0
    split_file: Annotated[
        Path | None, _option("Split file, or a list of test simulations (text, JSON, .npy, HDF5).", "Split")
    ] = None


@dataclass(frozen=True)
class RunOptions:
    """Where and how a command works."""

    seed: Annotated[int, _option("Seed of everything random but the split [0].", "Run")] = 0
    device: Annotated[str, _option("auto, cpu, cuda or mps [auto].", "Run")] = "auto"
    threads: Annotated[
        int | None, _option("CPU threads [least of cores, OMP_NUM_THREADS, SLURM_CPUS_PER_TASK].", "Run")
    ] = None


@dataclass(frozen=True)
class SayOptions:
    """What a command says, and whether it may replace a file."""

    json: Annotated[bool, _option("One JSON document on stdout.", "Run", "--json")] = False
    quiet: Annotated[bool, _option("No progress.", "Run", "--quiet")] = False
    force: Annotated[bool, _option("Replace an existing output.", "Run", "--force")] = False


@dataclass(frozen=True)
class TrainingOptions:
    """The fields of ``training.Training``."""

    epochs: Annotated[int | None, _option("Passes over the training rows, at most.", "Training")] = None
    batch_size: Annotated[int | None, _option("Rows a step.", "Training")] = None
    learning_rate: Annotated[float | None, _option("Peak learning rate.", "Training")] = None
    optimizer: Annotated[str | None, _option("adamw, adam or sgd.", "Training")] = None
    schedule: Annotated[str | None, _option("cosine, constant, cyclic or plateau.", "Training")] = None
    weight_decay: Annotated[float | None, _option("Weight decay.", "Training")] = None
    momentum: Annotated[float | None, _option("Momentum of sgd.", "Training")] = None
    patience: Annotated[int | None, _option("Epochs without a better validation loss.", "Training")] = None
    warm_up: Annotated[int | None, _option("Epochs of plain squared error first (moment losses).", "Training")] = None
    clip: Annotated[float | None, _option("Largest gradient norm of a member.", "Training")] = None
    compile: Annotated[
        bool | None, _option("Compile the steps first: minutes, for long trainings.", "Training", "--compile")
    ] = None
    mixed_precision: Annotated[
        bool | None, _option("Convolutions and embeddings in bfloat16, on CUDA.", "Training", "--mixed-precision")
    ] = None


@dataclass(frozen=True)
class NetworkOptions:
    """Settings of a flow's or a network's own recipe, and what all ensembles share."""

    layers: Annotated[int | None, _option("Layers of the flow or network.", "Architecture")] = None
    hidden: Annotated[int | None, _option("Neurons a hidden layer, or first channels.", "Architecture")] = None
    dropout: Annotated[float | None, _option("Share of neurons that drop out.", "Architecture")] = None
    activation: Annotated[
        str | None, _option("relu, leaky-relu, elu, silu, gelu, sigmoid, tanh or maxout.", "Architecture")
    ] = None
    blocks: Annotated[
        int | None, _option("Residual blocks: of a flow layer's network, of a cnn's stage.", "Architecture")
    ] = None
    ensemble: Annotated[int | None, _option("Members that train side by side.", "Architecture")] = None
    transform: Annotated[str | None, _option("Data: auto, log10 or none [auto].", "Architecture")] = None
    augment: Annotated[
        str | None, _option("Maps, grids: auto, none, or some of rotations,mirrors,shifts [auto].", "Training")
    ] = None


@dataclass(frozen=True)
class InputOptions:
    """What is done to the data on their way into a network that infers."""

    compress: Annotated[str | None, _option("Vectors in fewer numbers: pca:20 or autoencoder:8.", "Architecture")] = (
        None
    )
    noise: Annotated[
        Path | None, _option("Covariance (.npy) of noise to train with, drawn anew every epoch.", "Training")
    ] = None


@dataclass(frozen=True)
class ConvolutionOptions:
    """Settings of a convolutional network."""

    kernel: Annotated[int | None, _option("Size of a convolution's kernel.", "Architecture")] = None
    stride: Annotated[int | None, _option("Stride of a stage's convolution.", "Architecture")] = None
    padding: Annotated[str | None, _option("auto, periodic, zero or none [auto].", "Architecture")] = None
    pooling: Annotated[str | None, _option("average, max or none.", "Architecture")] = None
    batch_norm: Annotated[
        bool | None, _option("Batch normalisation.", "Architecture", "--batch-norm/--no-batch-norm")
    ] = None


@dataclass(frozen=True)
class FlowOptions:
    """What only flows have."""

    flow: Annotated[
        str | None,
        _option("realnvp, maf, iaf, glow, nsf, nsf-ar, or auto: maf and nsf mixed [auto; maps: nsf].", "Architecture"),
    ] = None
    support: Annotated[
        str | None, _option("probit, soft, truncate or auto [auto; soft for maps and grids].", "Architecture")
    ] = None
    bins: Annotated[int | None, _option("Bins of a spline (nsf, nsf-ar).", "Architecture")] = None
    linear: Annotated[
        bool | None, _option("Begin with a linear regression on the data.", "Architecture", "--linear/--no-linear")
    ] = None
    embedding: Annotated[str | None, _option("auto, none, linear, mlp, cnn or cmd [auto].", "Architecture")] = None
    combine: Annotated[
        str | None, _option("set: all rows of a simulation are one observation, in any order.", "Architecture")
    ] = None
    embedding_features: Annotated[int | None, _option("Numbers that a summary becomes.", "Architecture")] = None
    embedding_layers: Annotated[int | None, _option("Layers of the embedding.", "Architecture")] = None
    embedding_hidden: Annotated[int | None, _option("Its neurons or first channels.", "Architecture")] = None
    embedding_dropout: Annotated[float | None, _option("Its dropout.", "Architecture")] = None
    embedding_activation: Annotated[str | None, _option("Its activation.", "Architecture")] = None
    embedding_blocks: Annotated[int | None, _option("Its residual blocks a stage (cnn).", "Architecture")] = None
    embedding_kernel: Annotated[int | None, _option("Its kernel's size (cnn).", "Architecture")] = None
    embedding_stride: Annotated[int | None, _option("Its stride (cnn).", "Architecture")] = None
    embedding_padding: Annotated[str | None, _option("Its padding (cnn).", "Architecture")] = None
    embedding_pooling: Annotated[str | None, _option("Its pooling (cnn).", "Architecture")] = None
    embedding_batch_norm: Annotated[
        bool | None,
        _option("Its batch normalisation.", "Architecture", "--embedding-batch-norm/--no-embedding-batch-norm"),
    ] = None


@dataclass(frozen=True)
class RegressorOptions:
    """What only regressors have."""

    network: Annotated[
        str | None, _option("linear, mlp, cnn, cmd, or a baseline: ridge, trees [mlp; maps: cnn].", "Architecture")
    ] = None
    trees: Annotated[int | None, _option("Trees a parameter, at most (trees).", "Architecture")] = None
    depth: Annotated[int | None, _option("Questions on the way down a tree (trees).", "Architecture")] = None
    loss: Annotated[
        str | None,
        _option(
            "mse, mae, moment, moment-log, gaussian-nll [moment]; with --target cross-entropy, logistic, hinge, cosine "
            "[cross-entropy].",
            "Training",
        ),
    ] = None


@dataclass(frozen=True)
class DensityOptions:
    """What only densities of the data have."""

    flow: Annotated[
        str | None, _option("Vectors: any flow [maf]; maps: glow or realnvp, multi-scale [glow].", "Architecture")
    ] = None
    unconditional: Annotated[bool, _option("p(x), not p(x | theta).", "Architecture", "--unconditional")] = False
    levels: Annotated[int | None, _option("Levels of a flow of maps [as many as fit].", "Architecture")] = None
    kernel: Annotated[int | None, _option("Size of a convolution's kernel (maps).", "Architecture")] = None
    bins: Annotated[int | None, _option("Bins of a spline (nsf, nsf-ar).", "Architecture")] = None


def keywords(*groups: Any, **options: Any) -> dict[str, Any]:
    """The options of several groups, and others, by name: keyword arguments of a task."""
    return {key: value for group in groups for key, value in asdict(group).items()} | options


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Spread every parameter whose type is a group over the group's fields, for Typer to see; gather them at a call."""
    hints = get_type_hints(command, include_extras=True)
    plain, groups = [], {}
    for parameter in inspect.signature(command).parameters.values():
        if is_dataclass(hints[parameter.name]):
            groups[parameter.name] = hints[parameter.name]
        else:
            plain.append(parameter.replace(annotation=hints[parameter.name]))
    spread = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for group in groups.values()
        for field in fields(group)
    ]

    @functools.wraps(command)
    def gathered(**options: Any) -> None:
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        command(**options)

    gathered.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in plain] + spread
    )
    gathered.__annotations__ = {parameter.name: parameter.annotation for parameter in [*plain, *spread]}
    return gathered
