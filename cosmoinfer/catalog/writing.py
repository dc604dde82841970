"""A catalog written in our layout."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.catalog import Catalog, Observable
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters
from cosmoinfer.priors import UNDECLARED

SLAB_BYTES = 1 << 24  # read and written at once, about


class DataDescription(Protocol):
    """What a file says of its data: ``kind``, and ``periodic``, whether opposite edges touch."""

    @property
    def kind(self) -> str: ...

    @property
    def periodic(self) -> bool: ...


def write(
    path: Path,
    data: np.ndarray,
    description: DataDescription,
    parameters: Parameters | None,
    theta: Any,
    meta: storage.JSONObject,
    force: bool = False,
) -> None:
    """Write N simulations of one row each.

    data: (N, ...).
    theta: (P,), the same for all simulations, or None.
    meta: JSON that says from what they were made.

    Raises UserError when the file cannot be written.
    """
    arrays = {"data": np.asarray(data, np.float64), "simulation": np.arange(len(data))}
    attributes: dict[str, storage.Attributes] = {"data": {"kind": description.kind, "periodic": description.periodic}}
    if parameters is not None:
        arrays["parameters"] = np.tile(np.asarray(theta, np.float64), (len(data), 1))
        attributes["parameters"] = parameters.attributes()
    storage.write(path, storage.FileContents("catalog", meta, arrays, attributes), force)


def write_catalog(path: Path, catalog: Catalog, contents: storage.FileContents, force: bool = False) -> None:
    """Write a catalog of any layout, slab by slab; rows, ids and fingerprint stay the same.

    contents: /meta, datasets that are no part of the rows, attributes of the file, and of data beside kind and edges.

    Raises UserError when the file cannot be written.
    """
    arrays, attributes = dict(contents.arrays), dict(contents.attributes)
    names = data_names(catalog)
    for name, observable in zip(names, catalog.observables, strict=True):
        declared: storage.Attributes = {"kind": observable.kind, "periodic": observable.periodic}
        attributes[name] = declared | dict(attributes.get(name, {}))
    if catalog.theta is not None and catalog.parameters is not None and not catalog.classes:
        arrays["parameters"] = catalog.theta
        attributes["parameters"] = _parameter_attributes(catalog)
    if (catalog.simulation != np.arange(len(catalog)).astype(str)).any():
        arrays["simulation"] = catalog.simulation
    if catalog.split_labels is not None:
        arrays["split"] = catalog.split_labels
    if catalog.weights is not None:
        arrays["weights"] = catalog.weights
    if catalog.classes and catalog.parameters is not None and catalog.theta is not None:
        name = f"classes/{catalog.parameters.names[0]}"
        arrays[name], attributes[name] = catalog.theta[:, 0].astype(np.int64), {"names": catalog.classes}
    streams = {name: _stream(observable) for name, observable in zip(names, catalog.observables, strict=True)}
    storage.write_streamed(path, replace(contents, arrays=arrays, attributes=attributes), streams, force)


def data_names(catalog: Catalog) -> list[str]:
    """Paths of the observables in a file of our layout."""
    if len(catalog.observables) == 1:
        return ["data"]
    return [f"data/{observable.name.removeprefix('data/').replace('/', '_')}" for observable in catalog.observables]


def _stream(observable: Observable) -> storage.StreamedDataset:
    shape, dtype = observable.values.shape, observable.values.dtype
    row_bytes = max(1, int(np.prod(observable.row_shape)) * dtype.itemsize)
    slab_rows = max(1, SLAB_BYTES // row_bytes)
    slabs = (observable.read(np.arange(rows.start, rows.stop)) for rows in slices(shape[0], slab_rows))
    return storage.StreamedDataset(shape, dtype, slabs)


def _parameter_attributes(catalog: Catalog) -> storage.Attributes:
    """Box, labels and what is declared of the prior: other priors are recognised from the rows."""
    assert catalog.parameters is not None
    names, priors = catalog.parameters.names, catalog.parameters.prior
    declared = [name in catalog.declared_priors for name in names]
    kept = tuple(prior if is_kept else UNDECLARED for prior, is_kept in zip(priors, declared, strict=True))
    return catalog.parameters.attributes() | {"prior": kept if any(declared) else None}
