"""Options of reading a catalog and splitting it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cosmoinfer.cli.options.declare import option


@dataclass(frozen=True)
class DataOptions:
    """How to read a catalog: the fields of ``catalog.ReadOptions`` but for ``parameters`` and target; the memory."""

    data: Annotated[
        list[str] | None,
        option(
            "Dataset of an observable; repeatable.", "Catalog", default="all of /data", value="<dataset>", is_name=True
        ),
    ] = None
    kind: Annotated[
        str | None,
        option(
            "Kind of the data, of all or as pk@vector,maps@map:",
            "Catalog",
            choices=("catalog.kinds:AXES_OF_KIND",),
            rare=True,
            default="by the number of axes",
        ),
    ] = None
    channels: Annotated[
        str | None,
        option(
            "Axis of a row on which its channels stand, of all data or as maps@last:",
            "Catalog",
            choices=("catalog.kinds:CHANNEL_ORDERS",),
            rare=True,
            default="first",
        ),
    ] = None
    simulation: Annotated[
        str | None,
        option(
            "Dataset of simulation ids, or their file.",
            "Catalog",
            default="/simulation",
            value="<dataset>",
            rare=True,
            is_name=True,
        ),
    ] = None
    rows_per_simulation: Annotated[
        int | None, option("Number of consecutive rows that share a simulation.", "Catalog", rare=True)
    ] = None
    columns: Annotated[
        str | None,
        option("Columns of a table of text: 'parameters=0:2,data=2:'.", "Catalog", value="<columns>", rare=True),
    ] = None
    names: Annotated[str | None, option("Parameter names: a,b,c.", "Catalog", value="<names>")] = None
    bounds: Annotated[str | None, option("Prior box: 'a=0.1:0.5,b=0.25:4:log'.", "Catalog", value="<bounds>")] = None
    where: Annotated[
        list[str] | None,
        option("Region of the prior within its box: 'w0+wa<0'; repeatable.", "Catalog", value="<condition>", rare=True),
    ] = None
    infer: Annotated[
        str | None, option("Parameters to infer, marginalising over all others: a,b.", "Catalog", value="<names>")
    ] = None
    scale_cut: Annotated[
        list[str] | None, option("Scale cut: 0:40, or 'k<0.3' by the dataset /k.", "Catalog", value="<range>")
    ] = None
    missing: Annotated[
        str | None,
        option(
            "Meaning of NaN: missing data, passed on as a",
            "Catalog",
            choices=("catalog.read_options:MISSING_MODES",),
            rare=True,
        ),
    ] = None
    drop_nonfinite: Annotated[
        bool, option("Leave out rows with NaN or infinity.", "Catalog", "--drop-nonfinite", rare=True)
    ] = False
    data_include_noise: Annotated[
        bool,
        option("The simulations contain their noise; add none.", "Catalog", "--data-include-noise", rare=True),
    ] = False
    transpose: Annotated[
        bool, option("Reverse the axes: rows are last, as Julia and MATLAB write.", "Catalog", "--transpose", rare=True)
    ] = False
    complex: Annotated[
        str | None,
        option("Take complex data as", "Catalog", choices=("catalog.read_options:COMPLEX_FORMS",), rare=True),
    ] = None
    follow_links: Annotated[
        bool, option("Read other files that a file links to, or has values in.", "Catalog", "--follow-links", rare=True)
    ] = False
    memory: Annotated[
        str | None,
        option(
            "Largest data held in memory: 2GB; larger data are streamed from their file.",
            "Catalog",
            default="half of the memory",
            value="<size>",
            rare=True,
        ),
    ] = None


@dataclass(frozen=True)
class ReadOptions:
    """How to read a catalog, and where its parameters are."""

    parameters: Annotated[
        str | None,
        option(
            "Dataset of the parameters, or their file.",
            "Catalog",
            default="/parameters",
            value="<dataset>",
            is_name=True,
        ),
    ] = None
    data_options: DataOptions = field(default_factory=DataOptions)


@dataclass(frozen=True)
class TargetOptions:
    """A class as target."""

    target: Annotated[
        str | None,
        option("Predict the class /classes/NAME in place of the parameters.", "Catalog", value="<name>", is_name=True),
    ] = None


@dataclass(frozen=True)
class SplitOptions:
    """Which simulations train, validate and test."""

    fractions: Annotated[
        tuple[float, float, float] | None,
        option(
            "Fractions of train, validation and test.",
            "Split",
            default="{split:DEFAULT_FRACTIONS}",
            value="<train> <validation> <test>",
            rare=True,
        ),
    ] = None
    split_seed: Annotated[
        int,
        option(
            "Seed of the split, which --seed never changes.",
            "Split",
            default="{tasks.settings:SplitSettings.split_seed}",
            rare=True,
        ),
    ] = 0
    split_file: Annotated[
        Path | None,
        option("Split file, or a list of test simulations (text, JSON, .npy, HDF5).", "Split", rare=True),
    ] = None
