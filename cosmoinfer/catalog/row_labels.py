"""What the rows of a catalog are labelled with: the simulation of each, or its class."""

import numpy as np

from cosmoinfer.catalog.datasets import Layout
from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.parameters import Parameters

MAX_UNNAMED_CLASSES = 10_000  # a larger number is an id, or a code for none


def read_simulation(layout: Layout, count: int) -> np.ndarray:
    """(N,) ids as text. Raises UserError if there is not one a row, or they are no integers or strings."""
    path, read_options = layout.path, layout.read_options
    if per_simulation := read_options.rows_per_simulation:
        if count % per_simulation:
            raise UserError(f"{path}: {count} rows are no multiple of `rows_per_simulation={per_simulation}`")
        return (np.arange(count) // per_simulation).astype(str)
    name = layout.simulation_name
    if name not in layout.contents and not read_options.simulation:
        return np.arange(count).astype(str)
    ids = _load_column(layout, name)
    if ids.shape != (count,):
        raise UserError(f"{path}: /{name} has shape {ids.shape}; expected ({count},), one id a row")
    if ids.dtype.kind not in "biuU":
        raise UserError(f"{path}: /{name} has type {ids.dtype}; expected integers or strings")
    return ids.astype(str)


def read_split_labels(layout: Layout, count: int) -> np.ndarray | None:
    """(N,) 0 train, 1 validation, 2 test; None where the file has no split of its own.

    Raises UserError if there is not one a row, or they are no numbers.
    """
    if "split" not in layout.contents:
        return None
    labels = _load_column(layout, "split")
    if labels.ndim != 1:
        raise UserError(f"{layout.path}: /split has shape {labels.shape}; expected ({count},), one number a row")
    if len(labels) != count:
        raise UserError(f"{layout.path}: /split has {len(labels)} rows, the data have {count}")
    if labels.dtype.kind not in "biuf":
        raise UserError(f"{layout.path}: /split has type {labels.dtype}; expected 0, 1 and 2")
    return labels


def read_weights(layout: Layout, count: int) -> np.ndarray | None:
    """(N,) of the rows, as of the points of a chain; None where each counts the same, or /weights is something else.

    Raises UserError for weights that are negative or not finite.
    """
    dataset = layout.contents.get("weights")
    if dataset is None or dataset.shape != (count,) or dataset.dtype.kind not in "fiu":
        return None
    weights = layout.load("weights").astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise UserError(f"{layout.path}: /weights must be finite and not negative")
    return weights if np.ptp(weights) > 0 else None


def _load_column(layout: Layout, name: str) -> np.ndarray:
    """All values, on one axis where the others are of length 1: MATLAB has no single axis."""
    values = layout.load(name)
    return values.reshape(-1) if values.ndim and values.size == max(values.shape) else values


def read_classes(
    layout: Layout, target: str, count: int
) -> tuple[Parameters | None, np.ndarray | None, tuple[str, ...]]:
    """A categorical target in the place of the parameters: its class numbers, (N, 1), and the names of the classes.

    Raises UserError if the catalog has other targets only, or the class numbers are not from 0 to so many names.
    """
    path, contents = layout.path, layout.contents
    name = target.strip("/") if target.strip("/") in contents else f"classes/{target}"
    if name not in contents:
        targets = [dataset.removeprefix("classes/") for dataset in contents if dataset.startswith("classes/")]
        if not targets:
            return None, None, ()  # observations
        raise UserError(f"{path}: has no /classes/{target}; {list_choices(target, targets)}")
    labels = layout.load(name)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise UserError(f"{path}: /{name} has shape {labels.shape} of {labels.dtype}; expected ({count},) integers")
    if labels.min() < 0:
        raise UserError(f"{path}: /{name}: class numbers count from 0, found {labels.min()}")
    names = layout.declarations(name).texts("names")
    if not names and labels.max() >= MAX_UNNAMED_CLASSES:
        raise UserError(
            f"{path}: /{name} has class numbers up to {labels.max()}, and no attribute names of the classes"
        )
    classes = names or tuple(str(number) for number in range(int(labels.max()) + 1))
    if len(classes) < 2:
        raise UserError(f"{path}: /{name} has a single class; a classifier needs two")
    if labels.max() >= len(classes):
        raise UserError(f"{path}: /{name} has class numbers up to {labels.max()}, and {len(classes)} names of classes")
    return Parameters.from_names((name.rpartition("/")[2],)), labels[:, None].astype(np.float64), classes
