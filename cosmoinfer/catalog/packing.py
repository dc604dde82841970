"""A catalog anew, as trainings like to read it: one file in our layout, the data in whole rows of about a megabyte."""

from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.many import assemble
from cosmoinfer.catalog.reading import Reading
from cosmoinfer.catalog.rows import Catalog, Summary
from cosmoinfer.errors import UserError

CHUNK_BYTES = 1 << 20  # of a chunk, about
STREAMED = 1  # byte of memory: nothing is held


def repack(path: Path, reading: Reading, output: Path, meta: dict[str, Any], force: bool = False) -> Catalog:
    """Write it, block by block; the rows, their order, their ids and so the fingerprint stay. Gives what was read."""
    catalog = assemble(path, reading, STREAMED)
    if any(output.exists() and output.samefile(one.path) for one in catalog.files):
        raise UserError(f"{output}: is a file of the catalog that is read; name another output")
    names = _data_names(catalog)
    attributes: dict[str, dict[str, Any]] = {
        name: {"kind": one.kind, "periodic": one.periodic} for name, one in zip(names, catalog.summaries, strict=True)
    }
    arrays = _beside(catalog, reading)
    if catalog.theta is not None and catalog.parameters is not None and not catalog.classes:
        arrays["parameters"] = catalog.theta
        attributes["parameters"] = _declared(catalog)
    if (catalog.simulation != np.arange(len(catalog)).astype(str)).any():
        arrays["simulation"] = catalog.simulation
    if catalog.label is not None:
        arrays["split"] = catalog.label
    if catalog.classes and catalog.parameters is not None and catalog.theta is not None:
        name = f"classes/{catalog.parameters.names[0]}"
        arrays[name], attributes[name] = catalog.theta[:, 0].astype(np.int64), {"names": catalog.classes}
    of_file = storage.file_attributes(catalog.first)
    if len(catalog.files) > 1:
        of_file.pop("suite", None)  # it stands in the ids
    record = storage.Record("catalog", meta, arrays, attributes, of_file)
    streams = {name: _coming(one, len(catalog)) for name, one in zip(names, catalog.summaries, strict=True)}
    storage.write_streamed(output, record, streams, force)
    return catalog


def _data_names(catalog: Catalog) -> list[str]:
    if len(catalog.summaries) == 1:
        return ["data"]
    return [f"data/{one.name.removeprefix('data/').replace('/', '_')}" for one in catalog.summaries]


def _coming(summary: Summary, rows: int) -> storage.Coming:
    row = max(1, int(np.prod(summary.shape)) * summary.values.dtype.itemsize)
    chunk = max(1, CHUNK_BYTES // row)
    step = chunk * max(1, 16 * CHUNK_BYTES // (chunk * row))
    blocks = (summary.read(np.arange(start, min(start + step, rows))) for start in range(0, rows, step))
    return storage.Coming(summary.values.shape, summary.values.dtype, chunk, blocks)


def _declared(catalog: Catalog) -> dict[str, Any]:
    """Box and labels; the priors only where all of them were declared, since what is not is told from the rows."""
    assert catalog.parameters is not None
    known = catalog.parameters.attributes()
    return known if catalog.declared >= set(catalog.parameters.names) else known | {"prior": None}


def _beside(catalog: Catalog, reading: Reading) -> dict[str, np.ndarray]:
    """What else the first file holds that is not a row each: coordinates of scale cuts, say."""
    taken = {reading.parameters.strip("/"), reading.simulation.strip("/"), "parameters", "simulation", "split", "meta"}
    taken |= {one.name for one in catalog.summaries}
    found = {}
    for name, one in storage.contents(catalog.first).items():
        rows = one.shape[:1] == (catalog.files[0].rows,)
        if name not in taken and one.shape and not rows and not name.startswith(("data/", "classes/")):
            found[name] = storage.load(catalog.first, name)
    return found
