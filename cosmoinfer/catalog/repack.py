"""A catalog rewritten for fast reading: one file in our layout, row after row."""

from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.catalog import Catalog
from cosmoinfer.catalog.kinds import CHANNEL_ORDERS
from cosmoinfer.catalog.packing import declares_packing, load_unpacked, without_packing
from cosmoinfer.catalog.read_options import ReadOptions
from cosmoinfer.catalog.selection import require_clear_axes
from cosmoinfer.catalog.writing import data_names, write_catalog

MAX_COPIED_BYTES = 1 << 26  # of a dataset that is no part of the catalog


def repack(
    catalog: Catalog, read_options: ReadOptions, output: Path, meta: storage.JSONObject, force: bool = False
) -> list[str]:
    """Write a catalog anew, slab by slab; rows, their order, ids and fingerprint stay the same.

    Datasets of its files that are no part of it are copied, unless they are large, or hold references or values of
    variable length.

    Returns the names of datasets that are left out. Raises UserError when the output cannot be written, and for axes
    whose meaning must be declared, as the new file declares it.
    """
    require_clear_axes(catalog)
    arrays, attributes, left_out = _extra_datasets(catalog, read_options)
    names = data_names(catalog)
    datasets = storage.describe_datasets(catalog.first_file, read_options.follow_links)
    for name, observable in zip(names, catalog.observables, strict=True):
        declared = {"kind": observable.kind, "periodic": observable.periodic}
        source = without_packing(datasets[observable.name].attributes)
        if observable.kind != "vector" and str(source.get("channels", "last")) in CHANNEL_ORDERS:
            declared["channels"] = "first"  # where they stand now
        attributes[name] = source | declared
    file_attributes = storage.file_attributes(catalog.first_file)
    if len(catalog.files) > 1:
        file_attributes.pop("suite", None)  # the ids hold it
    write_catalog(output, catalog, storage.FileContents("catalog", meta, arrays, attributes, file_attributes), force)
    return left_out


def _extra_datasets(
    catalog: Catalog, read_options: ReadOptions
) -> tuple[dict[str, np.ndarray], dict[str, storage.Attributes], list[str]]:
    """Datasets that are no part of the catalog, their attributes, and the names of those that cannot be copied.

    A dataset with a value for each row in every file (classes, weights) is concatenated; others are of the first file.
    """
    used = {
        read_options.parameters.strip("/"),
        read_options.simulation.strip("/"),
        "parameters",
        "simulation",
        "split",
        "meta",
    }
    if catalog.weights is not None:
        used.add("weights")
    used |= {observable.name for observable in catalog.observables}
    datasets_of_files = [storage.describe_datasets(file.path, read_options.follow_links) for file in catalog.files]
    arrays, attributes, left_out = {}, {}, []
    for name, dataset in datasets_of_files[0].items():
        files = [file for file, datasets in zip(catalog.files, datasets_of_files, strict=True) if name in datasets]
        is_column = name.startswith(f"{read_options.parameters.strip('/') or 'parameters'}/")
        if name in used or is_column or not (dataset.shape or dataset.problem):
            continue
        if (
            dataset.problem
            or dataset.holds_objects
            or len(files) * int(np.prod(dataset.shape)) * dataset.dtype.itemsize > MAX_COPIED_BYTES
        ):
            left_out.append(name)
            continue
        values = [load_unpacked(file.path, name, read_options.follow_links) for file in files]
        by_row = len(files) == len(datasets_of_files) and all(
            len(array) == file.rows for array, file in zip(values, files, strict=True)
        )
        identical = len(values) > 1 and all(np.array_equal(values[0], array) for array in values[1:])
        is_coordinate = identical and not name.startswith("classes/")  # with as many features as rows
        arrays[name] = np.concatenate(values) if by_row and not is_coordinate else values[0]
        attributes[name] = without_packing(dataset.attributes) if declares_packing(dataset) else dataset.attributes
    return arrays, attributes, left_out
