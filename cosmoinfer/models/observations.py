"""Observations that a Python user hands in as arrays, as the catalog that a model reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cosmoinfer.catalog import Catalog, from_arrays, unmasked
from cosmoinfer.catalog.selection import is_nonfinite
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.preprocessing.state import Input, Preprocessing

Data = ArrayLike | Mapping[str, ArrayLike]  # of one observable, or several by name


@dataclass(frozen=True)
class Observations:
    """catalog: their rows. rows: (n,) positions, one an observation. single: whether one was given without an axis."""

    catalog: Catalog
    rows: np.ndarray
    single: bool

    def pair(self, theta: ArrayLike, n_parameters: int) -> np.ndarray:
        """Points (n, P) or, of one observation, (k, P), at which a density is asked for: theta (P,), (k, P) or (n, P).

        Raises UserError where the shapes do not go together.
        """
        points = unmasked(theta).astype(np.float64)
        if points.ndim not in (1, 2) or points.shape[-1] != n_parameters:
            raise UserError(f"theta: expected shape ({n_parameters},) or (n, {n_parameters}), found {points.shape}")
        count = len(self.rows)
        if points.ndim == 1:
            return np.broadcast_to(points, (count, n_parameters))
        if count > 1 and len(points) != count:
            raise UserError(f"theta: has {len(points)} rows, and x holds {count} observations")
        return points


def observations(
    preprocessing: Preprocessing,
    x: Data,
    theta: ArrayLike | None = None,
    row_numbers: Sequence[int] | None = None,
    set_size: int = 0,
) -> Observations:
    """Rows as of a catalog that was read for the model.

    x: of the shape of a row of the training catalog (after its scale cuts), or (n, ...) of n such; several observables
        as a mapping by name. Channels are first, or also last where the training catalog had them. With set_size R an
        observation is (R, ...), all rows of a simulation.
    theta: (P,) or (n, P), for a density of the data at these parameters.
    row_numbers: (n,) of the observations in their catalog, which key their draws; by default 0, 1, 2, ...

    Raises UserError for other shapes or names, numbers that are not finite, and parameters outside their box.
    """
    mapping = x if isinstance(x, Mapping) else None
    inputs = {_short_name(observable.name): observable for observable in preprocessing.inputs}
    if mapping is None:
        if len(inputs) > 1:
            raise UserError(f"x: the model takes several arrays, by name: {', '.join(inputs)}")
        mapping = dict.fromkeys(inputs, x)  # type: ignore[arg-type]
    named = {_short_name(name): unmasked(array) for name, array in mapping.items()}
    if named.keys() != inputs.keys():
        raise UserError(f"x: expected {', '.join(inputs)}, found {', '.join(named) or 'nothing'}")
    data = {name: _as_rows(observable, named[name], set_size) for name, observable in inputs.items()}
    counts = {name: len(array) for name, (array, _) in data.items()}
    if len(set(counts.values())) > 1:
        raise UserError("x: has different numbers of rows: " + ", ".join(f"{key} {n}" for key, n in counts.items()))
    count, size = next(iter(counts.values())), set_size or 1
    for name, observable in inputs.items():
        _check_finite(name, data[name][0], observable.masked, size)
    described = {} if theta is None else _describe_parameters(preprocessing, theta, count)
    catalog = from_arrays(
        x={preprocessing.inputs[number].name: array for number, (array, _) in enumerate(data.values())},
        kind={observable.name: observable.kind for observable in preprocessing.inputs},
        channels="first",
        simulation=np.repeat(np.arange(count // size), size),
        missing="mask" if any(observable.masked for observable in preprocessing.inputs) else "",
        **described,
    )
    names = [observable.name for observable in catalog.observables]
    ordered = tuple(catalog.observables[names.index(observable.name)] for observable in preprocessing.inputs)
    catalog = replace(catalog, observables=ordered)
    if row_numbers is not None:
        catalog = replace(catalog, index=_row_numbers(row_numbers, count, size))
    preprocessing.check_catalog(catalog)
    return Observations(catalog, np.arange(0, count, size), all(single for _, single in data.values()))


def _short_name(name: str) -> str:
    return name.removeprefix("data/")


def _as_rows(observable: Input, array: np.ndarray, set_size: int) -> tuple[np.ndarray, bool]:
    """(n, ...) with the channel axis, and whether a single observation was given; sets are unfolded into rows.

    Channels may be last, too, where the training catalog had them there.
    """
    turned = (*observable.shape[1:], observable.shape[0])
    if observable.channels_last and observable.kind != "vector" and array.shape[-len(turned) :] == turned:
        array = np.moveaxis(array, -1, -len(turned))
    shapes = [observable.shape]
    if observable.kind != "vector" and observable.shape[0] == 1:
        shapes.append(observable.shape[1:])  # without the axis of the only channel, as in a file
    for shape in shapes:
        row = (set_size, *shape) if set_size else shape
        if array.shape == row or (array.ndim == len(row) + 1 and array.shape[1:] == row):
            return array.reshape(-1, *observable.shape), array.shape == row
    row = (set_size, *observable.shape) if set_size else observable.shape
    several = ", ".join(map(str, row))
    raise UserError(
        f"x: expected shape {row} or (n, {several}) for {_short_name(observable.name)}, found {array.shape}"
    )


def _check_finite(name: str, array: np.ndarray, masked: bool, size: int) -> None:
    """array: (n, ...), sets of ``size`` rows. Raises UserError where the model cannot take an observation."""
    if array.dtype.kind not in "fiubc":
        raise UserError(f"x: {name} is of type {array.dtype}; expected numbers")
    bad = np.unique(np.flatnonzero(is_nonfinite(array, masked)) // size)
    if len(bad):
        content = "infinity, or nothing but NaN" if masked else "NaN or infinity"
        expected = "NaN marks an entry that was not measured, and some must be" if masked else "expected finite numbers"
        raise UserError(f"x: {name} holds {content} in observation {join_first(bad)} (counted from 0); {expected}")


def _describe_parameters(preprocessing: Preprocessing, theta: ArrayLike, count: int) -> dict[str, Any]:
    """theta (count, P) with its box and priors, as ``from_arrays`` takes them."""
    parameters = preprocessing.parameters
    values = unmasked(theta).astype(np.float64)
    if values.ndim not in (1, 2) or values.shape[-1] != len(parameters):
        raise UserError(f"theta: expected shape ({len(parameters)},) or (n, {len(parameters)}), found {values.shape}")
    if not np.isfinite(values).all():
        raise UserError("theta: holds NaN or infinity; expected finite numbers")
    return {
        "theta": np.broadcast_to(values, (count, len(parameters))) if values.ndim == 1 else values,
        "names": parameters.names,
        "low": parameters.low,
        "high": parameters.high,
        "prior": parameters.prior,
        "prior_mean": parameters.mean,
        "prior_std": parameters.std,
        "prior_correlation": parameters.correlation,
        "where": parameters.where or None,
    }


def _row_numbers(row_numbers: Sequence[int], count: int, size: int) -> np.ndarray:
    """(count,) row numbers, of a set those from its first on."""
    numbers = np.asarray(row_numbers)
    if numbers.shape != (count // size,) or numbers.dtype.kind not in "iu":
        raise UserError(f"row_numbers: expected {count // size} whole numbers, found shape {numbers.shape}")
    return (numbers[:, None] + np.arange(size)).ravel().astype(np.int64)
