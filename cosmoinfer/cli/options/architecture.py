"""Options of flows, networks and densities."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cosmoinfer.cli.options.declare import option
from cosmoinfer.cli.source import choices_text

FLOWS, MAP_FLOWS = "flows:FLOWS", "flows.multiscale:MAP_FLOWS"
NETWORKS, BASELINES = "networks:NETWORKS", "networks.baselines:BASELINES"
LOSSES, CLASSIFICATION_LOSSES = "losses.regression:LOSSES", "losses.classification:CLASSIFICATION_LOSSES"
OF_DATA = "by architecture and data"


@dataclass(frozen=True)
class NetworkOptions:
    """Settings that the recipes of flows and networks share."""

    layers: Annotated[int | None, option("Layers of the flow or network.", "Architecture", default=OF_DATA)] = None
    hidden: Annotated[
        int | None,
        option("Neurons of a hidden layer; first channels of a cnn.", "Architecture", default=OF_DATA),
    ] = None
    dropout: Annotated[float | None, option("Dropout, a share of neurons.", "Architecture", default=OF_DATA)] = None
    activation: Annotated[
        str | None,
        option(
            "Activation function:",
            "Architecture",
            choices=("networks.activations:ACTIVATIONS",),
            rare=True,
        ),
    ] = None
    ensemble: Annotated[
        int | None,
        option(
            "Members of the best architecture; a race of flows trains up to about twice as many.",
            "Architecture",
            default=OF_DATA,
        ),
    ] = None
    transform: Annotated[
        str | None,
        option(
            "Transform of the data:",
            "Architecture",
            choices=("preprocessing.standardizer:TRANSFORMS",),
            default="auto",
            rare=True,
        ),
    ] = None
    augment: Annotated[
        str | None,
        option(
            "Augmentation of maps and grids, or several, as rotations,shifts:",
            "Training",
            choices=("auto", "none", "training.augmentation:Symmetries"),
            default="auto",
            rare=True,
        ),
    ] = None


@dataclass(frozen=True)
class InputOptions:
    """Preprocessing of the data of a flow or regressor."""

    compress: Annotated[
        str | None, option("Compression of vectors: pca:20 or autoencoder:8.", "Architecture", value="<name:size>")
    ] = None
    noise: Annotated[
        Path | None,
        option("Covariance (.npy, text, sacc) of noise that every epoch draws anew.", "Training", rare=True),
    ] = None


@dataclass(frozen=True)
class RegressorOptions:
    """Settings of regressors and classifiers alone."""

    network: Annotated[
        str | None,
        option(
            f"Network: {choices_text((NETWORKS,))}; or a baseline: {choices_text((BASELINES,))}.",
            "Architecture",
            choices=(NETWORKS, BASELINES),
            default="mlp for vectors, else cnn",
        ),
    ] = None
    loss: Annotated[
        str | None,
        option(
            f"Loss: {choices_text((LOSSES,))}; with --target: {choices_text((CLASSIFICATION_LOSSES,))}.",
            "Training",
            choices=(LOSSES, CLASSIFICATION_LOSSES),
            default="moment, cross-entropy",
        ),
    ] = None
    warm_up: Annotated[
        int | None,
        option(
            "First epochs, which minimise the squared error (moment losses).",
            "Training",
            default="{training.settings:TrainingSettings.warm_up}",
            rare=True,
        ),
    ] = None
    momentum: Annotated[
        float | None,
        option("Momentum of sgd.", "Training", default="{training.settings:TrainingSettings.momentum}", rare=True),
    ] = None
    blocks: Annotated[int | None, option("Residual blocks of a cnn's stage.", "Architecture", rare=True)] = None
    kernel: Annotated[int | None, option("Kernel size of a cnn.", "Architecture", rare=True)] = None
    stride: Annotated[int | None, option("Stride of a cnn's stage.", "Architecture", rare=True)] = None
    padding: Annotated[
        str | None,
        option(
            "Padding of a cnn:",
            "Architecture",
            choices=("networks.cnn:PADDINGS",),
            default="{networks.cnn:CNN.padding}",
            rare=True,
        ),
    ] = None
    pooling: Annotated[
        str | None,
        option(
            "Pooling of a cnn:",
            "Architecture",
            choices=("networks.cnn:POOLINGS",),
            default="{networks.cnn:CNN.pooling}",
            rare=True,
        ),
    ] = None
    batch_norm: Annotated[
        bool | None,
        option("Batch normalisation of a cnn.", "Architecture", "--batch-norm/--no-batch-norm", rare=True),
    ] = None
    trees: Annotated[
        int | None,
        option(
            "Largest number of trees a parameter.",
            "Architecture",
            default="{networks.baselines:Trees.trees}",
            rare=True,
        ),
    ] = None
    depth: Annotated[
        int | None,
        option("Depth of a tree.", "Architecture", default="{networks.baselines:Trees.depth}", rare=True),
    ] = None


@dataclass(frozen=True)
class FlowOptions:
    """Settings of flows alone."""

    flow: Annotated[
        str | None,
        option(
            "Flow, nsf:blocks=3 with its settings, or several, as maf,nsf:",
            "Architecture",
            choices=("auto", FLOWS),
            default="auto, a race of all, for vectors; nsf for maps and grids",
        ),
    ] = None
    effort: Annotated[
        str | None,
        option(
            "How many candidates and members a training may cost:",
            "Architecture",
            choices=("models.flow.menu:EFFORTS",),
            default="{models.flow.recipe:FlowRecipe.effort}",
            rare=True,
        ),
    ] = None
    support: Annotated[
        str | None,
        option(
            "Maps of bounded parameters to the real line, or several, as soft,truncate:",
            "Architecture",
            choices=("auto", "supports:SUPPORTS"),
            default="auto, a race, for vectors; soft for maps and grids",
        ),
    ] = None
    embedding: Annotated[
        str | None,
        option(
            "Network between data and flow, cnn:hidden=8,kernel=3 with its settings:",
            "Architecture",
            choices=("auto", "none", NETWORKS),
            default="auto",
        ),
    ] = None
    observation: Annotated[
        str | None,
        option(
            "One observation is a row, or all rows of a simulation:",
            "Architecture",
            choices=("models.flow.recipe:OBSERVATIONS",),
            default="{models.flow.recipe:FlowRecipe.observation}",
            rare=True,
        ),
    ] = None


@dataclass(frozen=True)
class DensityOptions:
    """Settings of densities of the data alone."""

    flow: Annotated[
        str | None,
        option(
            f"Flow of vectors: {choices_text((FLOWS,))}; of maps: {choices_text((MAP_FLOWS,))}.",
            "Architecture",
            choices=(FLOWS, MAP_FLOWS),
            default="maf; glow for maps",
        ),
    ] = None
    unconditional: Annotated[bool, option("Learn p(x), not p(x | theta).", "Architecture", "--unconditional")] = False
    levels: Annotated[
        int | None,
        option("Levels of a flow of maps.", "Architecture", default="as many as fit", rare=True),
    ] = None
    blocks: Annotated[int | None, option("Residual blocks of a layer's network.", "Architecture", rare=True)] = None
    kernel: Annotated[int | None, option("Kernel size of a flow of maps.", "Architecture", rare=True)] = None
    bins: Annotated[
        int | None,
        option("Bins of a spline (nsf, nsf-ar).", "Architecture", default="{flows.nsf:NSF.bins}", rare=True),
    ] = None
