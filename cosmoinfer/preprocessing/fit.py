"""From a catalog and its split to what a model knows of them: scalings, compressions, and what was assumed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.parameters import Parameters, recognise_priors
from cosmoinfer.preprocessing.compression import fit_compression, parse_compression
from cosmoinfer.preprocessing.judging_rows import select_judging_rows
from cosmoinfer.preprocessing.noise import Noise, add_noise
from cosmoinfer.preprocessing.standardizer import fit_standardizer
from cosmoinfer.preprocessing.state import Input, Preprocessing
from cosmoinfer.ridge_regression import MAX_FEATURES, Ridge, fit_ridge
from cosmoinfer.split import Split
from cosmoinfer.training.settings import TrainingContext

RIDGE_MEMORY_FACTOR = 16  # times the features of all its rows, that a regression may take of the memory


def check_noise(catalog: Catalog, noise: Noise | None) -> None:
    """Raises UserError where noise cannot be added to the data of a catalog."""
    if noise is None:
        return
    catalog.require_in_memory("`noise`")
    if catalog.includes_noise:
        raise UserError(
            "has no effect beside `data_include_noise`, which says that the data contain their noise", setting="noise"
        )


def check_compression(catalog: Catalog, split: Split, text: str) -> int:
    """The size of a code.

    Raises UserError where a catalog has no vector, and for a text that is not understood or asks for too much.
    """
    catalog.require_in_memory(f"`compress={text}`")
    vectors = [observable for observable in catalog.observables if observable.kind == "vector"]
    if not vectors:
        raise UserError("expected a vector among the observables, found none", setting="compress", value=text)
    n_rows = len(split.select_rows(catalog.simulation, "train"))
    sizes = [observable.row_shape[0] * (2 if observable.masked else 1) for observable in vectors]  # a mask beside it
    return min(parse_compression(text, size, n_rows)[1] for size in sizes)


def fit_preprocessing(
    catalog: Catalog, split: Split, read_options: ReadOptions, transform: str, noise: Noise | None = None
) -> Preprocessing:
    """All scalings from the training rows of a split, all of them, and from nothing else.

    Raises UserError where parameters or data never vary, where noise cannot be added, and where a row of any partition
    holds numbers that are not finite once they are scaled.
    """
    check_noise(catalog, noise)
    if read_options.target and catalog.theta is None:
        raise UserError(
            f"{catalog.path}: has no /classes/{read_options.target}; expected labelled rows, found observations"
        )
    parameters, theta = Parameters.from_names(()), np.zeros((len(catalog), 0))  # for a density of data without any
    if catalog.theta is not None:
        parameters, theta = catalog.require_parameters()
    rows = split.select_rows(catalog.simulation, "train")
    parameters = recognise_priors(parameters, theta[rows], catalog.declared_priors)
    _check_variation(catalog, parameters, theta[rows], rows)
    masked = [
        observable.masked and any(np.isnan(block).any() for block in observable.blocks(rows))
        for observable in catalog.observables
    ]
    if any(observable.masked for observable in catalog.observables) and not any(masked):
        raise UserError(
            f"{catalog.path}: `missing=mask`: no training row of "
            f"{join_first([f'/{observable.name}' for observable in catalog.observables])} has a gap, so that a network "
            "would not learn what one means"
        )
    standardizers = [
        fit_standardizer(
            partial(_training_blocks, catalog, rows, noise, number), observable.kind == "vector", transform
        )
        for number, observable in enumerate(catalog.observables)
    ]
    preprocessing = Preprocessing(
        parameters,
        tuple(
            replace(Input.of(observable, scale), masked=has_gaps)
            for observable, scale, has_gaps in zip(catalog.observables, standardizers, masked, strict=True)
        ),
        read_options,
        Ridge(np.zeros((0, len(parameters))), np.zeros(len(parameters))),
        noise,
        catalog.classes,
    )
    for _ in preprocessing.chunks(catalog, np.arange(len(catalog))):
        pass  # no row, of any partition, holds numbers that cannot be scaled
    if catalog.is_streamed:  # a regression holds its features: of as many rows, evenly spread, as memory takes
        size = sum(min(MAX_FEATURES, int(np.prod(summary_input.shape))) for summary_input in preprocessing.inputs)
        rows = rows[:: max(1, len(rows) * size * 8 * RIDGE_MEMORY_FACTOR // catalog.memory_limit)]
    return replace(preprocessing, ridge_estimate=fit_ridge(preprocessing.chunks(catalog, rows), theta[rows]))


def with_compression(
    preprocessing: Preprocessing, catalog: Catalog, split: Split, text: str, context: TrainingContext
) -> Preprocessing:
    """With the vectors in fewer numbers: ``pca:20`` or ``autoencoder:8``.

    Raises UserError where there is no vector, and for a text that is not understood.
    """
    check_compression(catalog, split, text)
    rows = [split.select_rows(catalog.simulation, partition) for partition in ("train", "validation")]
    rows[1] = select_judging_rows(preprocessing, catalog, rows[1])
    pairs = list(
        zip(preprocessing.inputs, *(preprocessing.data(catalog, positions) for positions in rows), strict=True)
    )
    inputs = tuple(
        replace(observable, compression=fit_compression(observable.name, text, train, validation, context))
        if observable.kind == "vector"
        else observable
        for observable, train, validation in pairs
    )
    preprocessing = replace(preprocessing, inputs=inputs)
    _, theta = catalog.require_parameters()
    return replace(preprocessing, ridge_estimate=fit_ridge(preprocessing.chunks(catalog, rows[0]), theta[rows[0]]))


def with_compression_of(
    source: Preprocessing, preprocessing: Preprocessing, catalog: Catalog, split: Split
) -> Preprocessing:
    """With the compressions of another model, and the scalings that go before them: a code is not refitted.

    What is not compressed is scaled by its own training rows, to the same kind of numbers. Raises
    UserError where the two see other summaries.
    """
    if len(source.inputs) != len(preprocessing.inputs):
        raise UserError(
            f"the flow sees {len(source.inputs)} observables a row, this catalog has {len(preprocessing.inputs)}",
            setting="fine_tune",
        )
    for source_input, observable in zip(source.inputs, preprocessing.inputs, strict=True):
        if source_input.shape == observable.shape and not np.array_equal(
            source_input.standardizer.log, observable.standardizer.log
        ):
            raise UserError(
                f"/{observable.name} is transformed to log10 by one of the two models only; set `transform`",
                setting="fine_tune",
            )
    pairs = zip(source.inputs, preprocessing.inputs, strict=True)
    inputs = tuple(
        source_input if source_input.compression is not None else observable for source_input, observable in pairs
    )
    preprocessing, (_, theta) = replace(preprocessing, inputs=inputs), catalog.require_parameters()
    rows = split.select_rows(catalog.simulation, "train")
    return replace(preprocessing, ridge_estimate=fit_ridge(preprocessing.chunks(catalog, rows), theta[rows]))


def _training_blocks(catalog: Catalog, rows: np.ndarray, noise: Noise | None, number: int) -> Iterator[np.ndarray]:
    """The data of one observable, of training rows (n,)."""
    return add_noise(catalog, rows, noise)[number]


def _check_variation(catalog: Catalog, parameters: Parameters, theta: np.ndarray, rows: np.ndarray) -> None:
    """A parameter that never varies has a density without bound; data that never vary teach nothing."""
    constant = [name for name, varies in zip(parameters.names, np.ptp(theta, axis=0) > 0, strict=True) if not varies]
    if constant and catalog.classes:
        raise UserError(f"{catalog.path}: the training rows are all of one class; a classifier needs two")
    if constant:
        mend = "`infer` leaves it out" if len(constant) < len(parameters) else "there is nothing to infer"
        raise UserError(f"{catalog.path}: {join_first(constant)} never varies in the training rows; {mend}")
    first = [observable.read(rows[:1]) for observable in catalog.observables]
    if all(
        (block == first_row).all()
        for observable, first_row in zip(catalog.observables, first, strict=True)
        for block in observable.blocks(rows)
    ):
        raise UserError(f"{catalog.path}: the data are the same in every training row")


def describe_choices(preprocessing: Preprocessing, catalog: Catalog, split: Split) -> list[str]:
    """What was assumed and chosen about the data, a line each."""
    lines = list(catalog.notes)
    recognised: dict[str, list[str]] = {}
    for name, prior in zip(preprocessing.parameters.names, preprocessing.parameters.priors, strict=True):
        if prior.may_be_recognised() and name not in catalog.declared_priors:
            recognised.setdefault(prior.name, []).append(name)
    for prior_name, names in recognised.items():
        lines.append(f"taken as {prior_name}, as the training rows prefer it: {', '.join(names)}")
    without_prior = np.array(preprocessing.parameters.names)[~preprocessing.parameters.has_prior]
    if len(without_prior) and not preprocessing.classes:
        lines.append(
            f"no prior box: {join_first(without_prior)}; no limit confines the posterior there, and what compares it "
            "with the prior is null (log_prob_gain, contraction, tarp_p)"
        )
    for observable in preprocessing.inputs:
        if observable.standardizer.log.any():
            note = f"/{observable.name}: taken to log10"
            if observable.standardizer.n_floored:
                count = observable.standardizer.n_floored
                note += f"; {count} training values floored at the feature's smallest positive one"
            lines.append(note)
        if observable.compression is not None:
            lines.append(f"/{observable.name}: {observable.compression.description}")
    if preprocessing.noise is not None:
        lines.append("noise is drawn anew for every epoch; validation and test rows have one fixed draw each")
    rows = split.select_rows(catalog.simulation, "validation")
    left_out = np.setdiff1d(rows, select_judging_rows(preprocessing, catalog, rows))
    if len(left_out):
        lines.append(
            f"{len(left_out)} validation rows judge nothing, as data of their simulations lie beyond all that trains "
            f"({catalog.describe_rows(left_out)})"
        )
    train, validation, test = split.sizes
    lines.append(f"{train} simulations train, {validation} validate, {test} test")
    return lines
