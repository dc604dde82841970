"""Coordinates: what the features of vectors and profiles lie at, wavenumbers or redshifts."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from cosmoinfer import storage
from cosmoinfer.catalog.catalog import Catalog, Observable
from cosmoinfer.catalog.packing import load_unpacked
from cosmoinfer.errors import UserError

UNITS = ("units", "unit")  # attributes of a dataset


@dataclass(frozen=True)
class Coordinate:
    """name: of its dataset. values: (K,), rising or falling. unit: as its file declares it; else empty."""

    name: str
    values: np.ndarray
    unit: str = ""


def find_coordinate(catalog: Catalog, observable: Observable) -> Coordinate | None:
    """What the features of an observable lie at: the only coordinate of the catalog with as many values.

    None where there are several, or none that rises or falls throughout and is the same in all files; of data within
    scale cuts; and where features are as many as rows, so that a dataset may be of either.
    """
    n_features = observable.row_shape[-1]
    names = {name: "" for name, values in catalog.coordinates.items() if values.shape == (n_features,)}
    if catalog.files and storage.begins_as_hdf5(catalog.first_file) and n_features != catalog.files[0].rows:
        contents = storage.describe_datasets(catalog.first_file, catalog.read_options.follow_links)
        for name, dataset in contents.items():
            if dataset.shape == (n_features,) and not dataset.problem and dataset.dtype.kind in "fiu":
                names[name] = next((str(dataset.attributes[unit]) for unit in UNITS if unit in dataset.attributes), "")
    coordinates = []
    for name, unit in names.items():
        with suppress(UserError):
            values = read_coordinate(catalog, name, n_features, catalog.read_options.follow_links)
            steps = np.diff(np.asarray(values, np.float64))
            if (steps > 0).all() or (steps < 0).all():
                coordinates.append(Coordinate(name, values, unit))
    return coordinates[0] if len(coordinates) == 1 else None


def read_coordinate(catalog: Catalog, name: str, n_features: int, follow_links: bool) -> np.ndarray:
    """The coordinate of each feature, (K,), which must be the same in all files of a catalog.

    Raises UserError where it is not, or is no dataset of numbers of that length.
    """
    paths = [file.path for file in catalog.files]
    if name in catalog.coordinates and catalog.coordinates[name].dtype.kind in "fiu":
        return catalog.coordinates[name]
    if not paths:
        raise UserError(f"needs a file with a dataset /{name}; of arrays, features are cut by number", "scale_cut")
    coordinate = load_unpacked(paths[0], name, follow_links)
    if coordinate.dtype.kind not in "fiub":
        raise UserError(f"{paths[0]}: /{name} holds no numbers ({coordinate.dtype})")
    if coordinate.shape != (n_features,):
        raise UserError(f"{paths[0]}: /{name} has shape {coordinate.shape}; expected ({n_features},), one a feature")
    for path in paths[1:]:
        repeated = load_unpacked(path, name, follow_links)
        if repeated.shape != coordinate.shape or not np.allclose(repeated, coordinate, rtol=1e-6, atol=0):
            raise UserError(f"{path}: /{name} differs from that of {paths[0]}; the features are not the same")
    return coordinate
