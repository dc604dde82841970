"""Whether what was read from a model's file fits together: numbers of members, shapes of data, names, temperatures.

The schema compares datasets; here is what depends on the JSON too. A model that was trained fits by construction.
"""

from math import isfinite, prod
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.models.density import DensityModel
from cosmoinfer.models.flow import FlowModel
from cosmoinfer.models.regressor import ClassifierModel, RegressorModel
from cosmoinfer.ood.detector import OutOfDistribution
from cosmoinfer.ood.distances import COMPONENTS_BY_TERMS
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.supports import SUPPORTS, Support

MAX_TEMPERATURE = 1e6  # and its inverse the least
SUM_TOLERANCE = 1e-9  # by which rounding lets weights miss a sum of one


def check(model: Any) -> None:
    """Raises UserError, on one line, where something of a model does not fit the rest."""
    _check_mixture(model)
    _check_preprocessing(model.preprocessing)
    if isinstance(model, DensityModel):
        _check_density(model)
    else:
        _check_temperature(model)
        shape, count = model.preprocessing.ridge_estimate.offset.shape, len(model.preprocessing.parameters)
        _require(shape == (count,), "ridge_estimate/offset", f"shape ({count},)", shape)
        if model.ood is not None:
            _check_detector(model.ood)
    if isinstance(model, FlowModel):
        _check_flow(model)
    elif isinstance(model, RegressorModel):
        loss, count = _loss(model.loss, LOSSES), len(model.preprocessing.parameters)
        _check_networks(model, loss.n_outputs(count), loss.output_head)
    elif isinstance(model, ClassifierModel):
        loss, count = _loss(model.loss, CLASSIFICATION_LOSSES), len(model.preprocessing.classes)
        _require(count > 1 and len(model.preprocessing.parameters) == 1, "classes", "two or more of one target", count)
        _check_networks(model, loss.n_outputs(count), "point")


def _require(holds: Any, place: str, expected: Any, found: Any) -> None:
    if not holds:
        raise UserError(f"{place}: expected {expected}, found {found}")


def _check_mixture(model: Any) -> None:
    """A weight for each member of each stack."""
    _require(model.stacks, "stacks", "one or more", "none")
    members = sum(stack.members for stack in model.stacks)
    shape, weights = model.weights.shape, model.weights
    _require(shape == (members,), "mixture_weights", f"shape ({members},), one a member", shape)
    is_distribution = (weights >= 0).all() and abs(float(weights.sum()) - 1) <= SUM_TOLERANCE
    _require(is_distribution, "mixture_weights", "numbers that are not negative and add to one", "others")


def _check_temperature(model: Any) -> None:
    """Of the noise or the logits, and that which the validation rows ask for."""
    recalibration = getattr(model, "recalibration", None)
    temperatures = (model.temperature, *([] if recalibration is None else [recalibration.temperature]))
    for temperature in temperatures:
        valid = isfinite(temperature) and 1 / MAX_TEMPERATURE <= temperature <= MAX_TEMPERATURE
        _require(valid, "temperature", f"{1 / MAX_TEMPERATURE:g} to {MAX_TEMPERATURE:g}", f"{temperature:g}")


def _check_preprocessing(preprocessing: Preprocessing) -> None:
    """The scaling of each observable, what compresses it, and noise, are of its shape."""
    _require(preprocessing.inputs, "inputs", "one or more", "none")
    for observable in preprocessing.inputs:
        shape, scaling = observable.shape, observable.standardizer.mean.shape
        expected = shape if observable.kind == "vector" else (*shape[:1], *(1 for _ in shape[1:]))
        _require(scaling == expected, f"/{observable.name}, scaling", f"shape {expected}", scaling)
        size = prod(shape) * (2 if observable.masked else 1)
        compression = observable.compression
        if compression is not None:
            _require(
                compression.inputs == size, f"/{observable.name}, compression", f"{size} numbers", compression.inputs
            )
    if preprocessing.noise is not None:
        size, shape = prod(preprocessing.inputs[0].shape), preprocessing.noise.root.shape
        _require(shape == (size, size), "noise/root", f"shape {(size, size)}", shape)


def _check_networks(model: Any, outputs: int, head: str) -> None:
    """They take what the preprocessing makes, and give what the loss needs."""
    expected = {"shapes": [list(shape) for shape in model.preprocessing.shapes], "outputs": outputs, "head": head}
    for stack in model.stacks:
        for name, value in expected.items():
            _require(stack.config[name] == value, f"stacks, {name}", value, stack.config[name])


def _loss(name: str, losses: Any) -> Any:
    if name not in losses:
        raise UserError(f"loss: {name!r} is not known; {list_choices(name, losses)}")
    return losses[name]


def _check_flow(model: FlowModel) -> None:
    """Its stacks take rows, or sets of them, as the preprocessing or the summary gives them."""
    sizes = {stack.config.get("rows", 0) for stack in model.stacks}
    size = sizes.pop()
    _require(not sizes and isinstance(size, int) and size >= 0, "stacks, rows", "one number of rows", size)
    shapes = model.preprocessing.shapes if model.summary is None else (model.summary.summary_shape,)
    for stack in model.stacks:
        expected = [[size, *shape] if size else [*shape] for shape in shapes]
        _require(stack.config["shapes"] == expected, "stacks, shapes", expected, stack.config["shapes"])
        _check_support(stack.support, len(model.preprocessing.parameters))
        _require(
            stack.config["parameters"] == len(stack.support.parameters),
            "stacks, parameters",
            len(stack.support.parameters),
            stack.config["parameters"],
        )
    for source in (model.summary, model.initialised_from):
        if source is not None:
            check(source)


def _check_support(support: Support, n_parameters: int) -> None:
    """Its name, and of which parameters it is."""
    if support.name not in SUPPORTS:
        raise UserError(f"support: {support.name!r} is not known; {list_choices(support.name, SUPPORTS)}")
    names = support.parameters.names
    _require(len(names) == n_parameters, "support", f"{n_parameters} parameters", len(names))
    for name, array in (("shift", support.shift), ("scale", support.scale)):
        _require(array.shape == (n_parameters,), f"support/{name}", f"shape {(n_parameters,)}", array.shape)
    _require(support.probit_only <= set(names), "support, probit_only", "names of parameters", "others")


def _check_density(model: DensityModel) -> None:
    """Its flows take rows of one observable, under as many parameters as are scaled for them."""
    _require(len(model.preprocessing.inputs) == 1, "inputs", "one", len(model.preprocessing.inputs))
    shape = model.preprocessing.shapes[0]
    context = 0 if model.condition is None else len(model.preprocessing.parameters)
    if model.condition is not None:
        _check_support(model.condition, context)
    for stack in model.stacks:
        takes = (stack.config["shape"], stack.config["context"])
        _require(takes == ([*shape], context), "stacks, shape and context", f"{[*shape]} and {context}", takes)
    if model.null_mode_noise is not None:
        std, basis = model.null_mode_noise.std.shape, model.null_mode_noise.basis.shape
        _require(std == shape, "null_mode_noise/std", f"shape {shape}", std)
        axes = 2 * shape if len(shape) == 1 else (0, 0)
        _require(basis == axes, "null_mode_noise/basis", f"shape {axes}", basis)
        _require((model.null_mode_noise.std >= 0).all(), "null_mode_noise/std", "no negative number", "one")
    n_terms = {1, 1 + context + context * (context + 1) // 2}
    for typicality in (model.typicality, model.kurtosis_typicality):
        count = len(typicality.coefficients)
        _require(count in n_terms, "typicality/coefficients", f"{max(n_terms)} or 1", count)


def _check_detector(detector: OutOfDistribution) -> None:
    """Its fits, their statistics, and the views of the validation rows that its test compares."""
    gaussians, test = detector.gaussians, detector.mmd_test
    count = sum(gaussian.n_statistics for gaussian in gaussians)
    _require(gaussians, "ood/gaussians", "one or more", "none")
    for gaussian in gaussians:
        if gaussian.expected.size:
            components = COMPONENTS_BY_TERMS.get(len(gaussian.expected), np.inf)
            fits = components <= len(gaussian.mean) and len(gaussian.level) == 1
            _require(fits, "ood/gaussians, expected", "terms of its features", gaussian.expected.shape)
    _require(detector.location.shape == (count,), "ood/location", f"shape {(count,)}", detector.location.shape)
    _require(((detector.shares > 0) & (detector.shares <= 1)).all(), "ood/shares", "numbers in 0 to 1", "others")
    sizes = (len(gaussians[0].mean), *(len(gaussian.mean) for gaussian in gaussians), count)
    views = tuple(view.shape[1] for view in test.views)
    _require(views == sizes, "ood/mmd_test/views", f"features {sizes}", views)
    _require(len(test.widths) == len(sizes), "ood/mmd_test/widths", f"{len(sizes)} numbers", len(test.widths))
    numbers = np.unique(test.simulation)
    _require((numbers == np.arange(len(numbers))).all(), "ood/mmd_test/simulation", "0, 1, 2, ...", "others")
