"""A catalog anew, as trainings like to read it: one file in our layout, the data in whole rows of about a megabyte."""

from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.reading import ReadOptions
from cosmoinfer.catalog.rows import Catalog, Observable

CHUNK_BYTES = 1 << 20  # of a chunk, about
MOST_BESIDE = 1 << 26  # bytes of one dataset beside the data that are copied


def repack(
    catalog: Catalog, reading: ReadOptions, output: Path, meta: dict[str, Any], force: bool = False
) -> list[str]:
    """Write it, block by block; the rows, their order, their ids and so the fingerprint stay.

    What else its files hold is copied, rows after rows, unless it is large: gives the names of what is left out.
    """
    arrays, attributes, left_out = _beside(catalog, reading)
    names = _data_names(catalog)
    known = storage.describe_datasets(catalog.first_file)
    for name, one in zip(names, catalog.observables, strict=True):
        attributes[name] = known[one.name].attributes | {"kind": one.kind, "periodic": one.periodic}
    if catalog.theta is not None and catalog.parameters is not None and not catalog.classes:
        arrays["parameters"] = catalog.theta
        attributes["parameters"] = _declared(catalog)
    if (catalog.simulation != np.arange(len(catalog)).astype(str)).any():
        arrays["simulation"] = catalog.simulation
    if catalog.split_labels is not None:
        arrays["split"] = catalog.split_labels
    if catalog.classes and catalog.parameters is not None and catalog.theta is not None:
        name = f"classes/{catalog.parameters.names[0]}"
        arrays[name], attributes[name] = catalog.theta[:, 0].astype(np.int64), {"names": catalog.classes}
    of_file = storage.file_attributes(catalog.first_file)
    if len(catalog.files) > 1:
        of_file.pop("suite", None)  # it stands in the ids
    record = storage.FileContents("catalog", meta, arrays, attributes, of_file)
    streams = {name: _coming(one, len(catalog)) for name, one in zip(names, catalog.observables, strict=True)}
    storage.write_streamed(output, record, streams, force)
    return left_out


def _data_names(catalog: Catalog) -> list[str]:
    if len(catalog.observables) == 1:
        return ["data"]
    return [f"data/{one.name.removeprefix('data/').replace('/', '_')}" for one in catalog.observables]


def _coming(summary: Observable, rows: int) -> storage.StreamedDataset:
    row = max(1, int(np.prod(summary.row_shape)) * summary.values.dtype.itemsize)
    chunk = max(1, CHUNK_BYTES // row)
    step = chunk * max(1, 16 * CHUNK_BYTES // (chunk * row))
    parts = (slice(start, min(start + step, rows)) for start in range(0, rows, step))
    pieces = ((part, summary.read(np.arange(part.start, part.stop))) for part in parts)
    shape = summary.values.shape
    return storage.StreamedDataset(shape, summary.values.dtype, (min(chunk, shape[0]), *shape[1:]), pieces)


def _declared(catalog: Catalog) -> dict[str, Any]:
    """Box and labels; the priors only where all of them were declared, since what is not is told from the rows."""
    assert catalog.parameters is not None
    known = catalog.parameters.attributes()
    return known if catalog.declared_priors >= set(catalog.parameters.names) else known | {"prior": None}


def _beside(
    catalog: Catalog, reading: ReadOptions
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]], list[str]]:
    """What else the files hold, with its attributes; and what is too large to be held.

    Something for each row (classes, weights) in every file is put together; the rest is that of the first file.
    """
    taken = {reading.parameters.strip("/"), reading.simulation.strip("/"), "parameters", "simulation", "split", "meta"}
    taken |= {one.name for one in catalog.observables}
    inside = [storage.describe_datasets(one.path) for one in catalog.files]
    arrays, attributes, left_out = {}, {}, []
    for name, one in inside[0].items():
        holders = [file for file, there in zip(catalog.files, inside, strict=True) if name in there]
        if name in taken or not one.shape:
            continue
        if len(holders) * int(np.prod(one.shape)) * one.dtype.itemsize > MOST_BESIDE:
            left_out.append(name)
            continue
        found = [storage.load(file.path, name) for file in holders]
        rows = len(holders) == len(inside) and all(
            len(part) == file.rows for part, file in zip(found, holders, strict=True)
        )
        alike = len(found) > 1 and all(np.array_equal(found[0], other) for other in found[1:])
        shared = alike and not name.startswith("classes/")  # a coordinate, as many features as rows
        arrays[name] = np.concatenate(found) if rows and not shared else found[0]
        attributes[name] = one.attributes
    return arrays, attributes, left_out
