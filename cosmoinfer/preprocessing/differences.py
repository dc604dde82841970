"""Whether two models take their data and parameters alike, and if not, which settings of their trainings differ."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from math import isclose
from typing import Any

import numpy as np
import torch
from torch import nn

from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.state import Input, Preprocessing

PRECISION = 1e-6  # of the largest number, to which equal fits on two machines agree


def preprocessing_differences(first: Preprocessing, second: Preprocessing) -> Iterator[str]:
    """What the second model does otherwise than the first, a clause each, with the settings that decide it.

    How their catalogs were read may differ where the rows are the same, and so may the ridge estimate by rounding.
    """
    if second.parameters.names != first.parameters.names:
        names = (", ".join(model.parameters.names) for model in (second, first))
        yield "it infers {}, not {} (`infer`, `names`)".format(*names)
    if not equal_contents(_prior(second.parameters), _prior(first.parameters)):
        yield "it has another prior (`bounds`, `where`)"
    if not equal_contents(second.noise, first.noise):
        yield "it was trained with other noise (`noise`, of which `seed` keys the draws)"
    inputs, first_inputs = second.inputs, first.inputs
    if list(map(_layout, inputs)) != list(map(_layout, first_inputs)):
        yield "it takes other data (`data`, `kind`, `scale_cut`, `missing`)"
    if not equal_contents([entry.standardizer for entry in inputs], [entry.standardizer for entry in first_inputs]):
        yield "it scales the data otherwise (`transform`, `scale_cut`)"
    if not equal_contents([entry.compression for entry in inputs], [entry.compression for entry in first_inputs]):
        yield "it compresses the data otherwise (`compress`; an autoencoder depends on `seed` too)"


def equal_contents(first: Any, second: Any) -> bool:
    """Whether two contents of models are the same, numbers but for rounding."""
    if isinstance(first, nn.Module) and isinstance(second, nn.Module):
        first, second = dict(first.state_dict()), dict(second.state_dict())
    if type(first) is not type(second):
        return False
    if is_dataclass(first):
        return all(equal_contents(getattr(first, entry.name), getattr(second, entry.name)) for entry in fields(first))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal_contents(first[key], second[key]) for key in first)
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(equal_contents, first, second))
    if isinstance(first, torch.Tensor):
        first, second = first.cpu().numpy(), second.cpu().numpy()
    if isinstance(first, np.ndarray):
        return _equal_arrays(first, second)
    return isclose(first, second, rel_tol=PRECISION) if isinstance(first, float) else bool(first == second)


def _prior(parameters: Parameters) -> Mapping[str, Any]:
    """What the prior is, whatever the parameters are labelled with."""
    return {name: value for name, value in parameters.attributes().items() if name != "labels"}


def _layout(entry: Input) -> tuple[Any, ...]:
    """Of an observable: all but the numbers that were fitted."""
    return entry.name, entry.kind, entry.shape, entry.periodic, entry.masked, entry.channels_last


def _equal_arrays(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape or first.dtype.kind != "f" or second.dtype.kind != "f":
        return np.array_equal(first, second)
    largest = np.abs(first[np.isfinite(first)]).max(initial=0)
    return np.allclose(first, second, rtol=0, atol=PRECISION * largest, equal_nan=True)
