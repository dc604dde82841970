"""A catalog from arrays in memory, with the checks and the fingerprint of one that was read from a file."""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cosmoinfer import memory, storage
from cosmoinfer.catalog import layout
from cosmoinfer.catalog.catalog import ARRAYS, Catalog
from cosmoinfer.catalog.datasets import Layout
from cosmoinfer.catalog.kinds import join_words
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.selection import validated
from cosmoinfer.errors import UserError
from cosmoinfer.quoting import split_names
from cosmoinfer.settings import convert


def from_arrays(
    theta: ArrayLike | None = None,
    x: ArrayLike | Mapping[str, ArrayLike] | None = None,
    names: Sequence[str] | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    prior: str | Sequence[str] | None = None,
    simulation: ArrayLike | None = None,
    kind: str | Mapping[str, str] | None = None,
    *,
    prior_mean: ArrayLike | None = None,
    prior_std: ArrayLike | None = None,
    prior_correlation: ArrayLike | None = None,
    where: str | Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    split: ArrayLike | None = None,
    missing: str = "",
    drop_nonfinite: bool = False,
    channels: str | Mapping[str, str] | None = None,
    transpose: bool = False,
    complex: str = "",
) -> Catalog:
    """N rows of parameters and data.

    theta: (N, P) parameters, or (N,) of a single one, or a table with a column a parameter (a structured array, a
        frame of pandas); None for observations. With ``classes``: (N,) class numbers.
    x: the data, (N, K) a vector, (N, C, L) a profile, (N, H, W) or (N, C, H, W) a map, (N, D, H, W) or
        (N, C, D, H, W) a grid; or several such arrays by name.
    names: (P,) names of the parameters, or the columns of a table that are parameters; by default all its columns, or
        parameter_0, parameter_1, ...
    low, high: (P,) the prior box, -inf and inf where it is unbounded (the default).
    prior: (P,) of uniform, log-uniform, normal, log-normal or unknown, or one word for all; by default uniform
        inside a finite box.
    simulation: (N,) integers or strings, the simulation of each row; by default the row number.
    kind: vector, profile, map or grid, for all data or by name; by default by the number of axes: 2 vector, 3 or 4
        map, 5 grid. A vector may have any axes.
    prior_mean, prior_std: (P,) of normal priors before the box truncates them; of a log-normal, those of its logarithm.
    prior_correlation: (P, P) of normal priors.
    where: conditions that hold in the region to which the prior is cut, ``w0 + wa < 0``.
    labels: (P,) LaTeX names of the parameters.
    classes: (C,) names of the classes, when theta is a class number.
    split: (N,) 0 train, 1 validation, 2 test.
    missing: ``mask`` when NaN marks an entry that was not measured.
    drop_nonfinite: leave out rows with NaN or infinity, which are refused otherwise.
    channels: ``first`` (the default) or ``last``, the axis of a row where its channels stand, for all data or by name.
    transpose: the axes of theta and x are in reverse order, with the rows last.
    complex: what stands for complex data: ``parts`` (real and imaginary) or ``amplitude``.

    Raises UserError, which names the argument, when shapes do not agree; and, with the dataset of a catalog file that
    the array stands for, when the meaning of axes must be declared, values are not finite, or parameters lie outside
    their box.
    """
    if x is None:
        raise UserError("x: expected an array, or arrays by name, with one row a simulation")
    names = None if names is None else split_names(convert(names, str | tuple[str, ...]))
    data = {_dataset_path(name): array for name, array in x.items()} if isinstance(x, Mapping) else {"data": x}
    to_records = getattr(theta, "to_records", None)  # of a frame of pandas
    theta = theta if to_records is None else to_records(index=False)
    columns = np.asarray(theta).dtype.names or ()
    renames = bool(names is not None and columns and not set(names) <= set(columns))
    arrays = dict(data)
    attributes: dict[str, storage.Attributes] = {}
    target = ""
    described = {
        "names": None if renames else names,
        "low": low,
        "high": high,
        "prior": prior,
        "labels": labels,
        "where": where,
        "prior_mean": prior_mean,
        "prior_std": prior_std,
        "prior_correlation": prior_correlation,
    }
    if classes is not None and theta is not None:
        target = f"classes/{names[0] if names else 'class'}"
        arrays[target], attributes[target] = theta, {"names": convert(classes, tuple[str, ...])}
    elif theta is not None:
        arrays["parameters"], attributes["parameters"] = theta, _parameter_attributes(theta, described, transpose)
    elif any(setting is not None for setting in described.values()):
        raise UserError("names, low, high, prior and labels describe theta, which is missing")
    if simulation is not None:
        arrays["simulation"] = simulation
    if split is not None:
        arrays["split"] = split
    values = {name: unmasked(array) for name, array in arrays.items()}
    if not transpose:
        _check_lengths(values, None if columns or target else names)
    contents = {
        name: storage.DatasetInfo(name, array.shape, array.dtype, None, None, attributes.get(name, {}))
        for name, array in values.items()
    }
    read_options = ReadOptions(
        data=tuple(sorted(data)),
        kind=join_words(kind),
        channels=join_words(channels),
        target=target,
        missing=missing,
        drop_nonfinite=drop_nonfinite,
        names=tuple(names or ()) if renames else (),
        transpose=transpose,
        complex=complex,
    )
    array_layout = Layout(ARRAYS, read_options, contents, tuple(contents[name] for name in read_options.data), values)
    catalog = layout.build_catalog(array_layout, streamed=False)
    return validated(replace(catalog, memory_limit=memory.available_bytes()), read_options)


def unmasked(array: ArrayLike) -> np.ndarray:
    """The array, of any shape, with NaN where it is masked; whole numbers are then floats.

    Raises UserError for masked text and masked tables.
    """
    if not np.ma.is_masked(array):
        return np.asarray(array)
    masked: Any = array
    values, mask = np.ma.getdata(masked), np.ma.getmaskarray(masked)
    if values.dtype.kind not in "fiubc":
        raise UserError(f"a masked array of type {values.dtype} is not understood; expected numbers")
    return np.where(mask, np.nan, values)


def _check_lengths(values: Mapping[str, np.ndarray], names: Sequence[str] | None) -> None:
    """values: by the path of the dataset that each stands for. names: of the columns of theta.

    Raises UserError, which names the arguments, where arrays have different numbers of rows, or names and columns
    different counts. Parameters may have one row a simulation.
    """
    rows = {_argument(path): len(array) for path, array in values.items() if array.ndim}
    if "simulation" in rows:
        rows.pop("theta", None)
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise UserError(f"expected the same number of rows, found {counts}")
    theta = values.get("parameters", np.empty(0))
    columns = theta.shape[1] if theta.ndim == 2 else 1
    if names is not None and len(names) != columns:
        raise UserError(f"expected one name a column of theta, {columns}, found {len(names)}", setting="names")


def _argument(path: str) -> str:
    """The argument that stands for a dataset, as ``x['maps']`` for data/maps."""
    if path.startswith("data"):
        return "x" if path == "data" else f"x[{path.removeprefix('data/')!r}]"
    return path if path in ("simulation", "split") else "theta"


def _dataset_path(name: str) -> str:
    """The path in a catalog file of the data of that name."""
    return name if name == "data" or name.startswith("data/") else f"data/{name}"


def _parameter_attributes(theta: ArrayLike, described: Mapping[str, Any], transpose: bool) -> storage.Attributes:
    """The attributes of /parameters, as in a file; described: what is known of them, by the name of the attribute."""
    columns = np.asarray(theta).dtype.names or ()
    count = len(columns) or (1 if np.ndim(theta) < 2 else np.shape(theta)[0 if transpose else 1])
    attributes: storage.Attributes = {}
    for name, setting in described.items():
        if setting is None:
            continue
        if name in ("names", "labels", "where", "prior"):
            texts = convert(setting, tuple[str, ...])
            attributes[name] = texts * count if name == "prior" and isinstance(setting, str) else texts
        else:
            attributes[name] = _numbers(name, setting)
    return attributes


def _numbers(name: str, setting: ArrayLike) -> np.ndarray:
    """(P,) or, of a correlation, (P, P). Raises UserError, which names the argument, if these are no numbers."""
    try:
        return np.atleast_1d(np.asarray(setting, np.float64))
    except (TypeError, ValueError) as error:
        raise UserError(f"expected one number a parameter, found {setting!r}", setting=name) from error
