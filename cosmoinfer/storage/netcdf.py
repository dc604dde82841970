"""netCDF-4, which is HDF5 with dimension scales: variables along named dimensions, in groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np


@dataclass(frozen=True)
class Variable:
    """dimensions: the name of each axis; a variable along one dimension of its own name is a coordinate.

    values: numbers. attributes: text.
    """

    dimensions: tuple[str, ...]
    values: np.ndarray
    attributes: Mapping[str, str] = field(default_factory=dict)


def write_netcdf(path: Path, groups: Mapping[str, Mapping[str, Variable]]) -> None:
    """Fill a file. groups: variables by name, by group; every dimension has its coordinate, before what uses it."""
    with h5py.File(
        path, "w", libver=("earliest", "v110"), track_order=True, locking=False
    ) as file:  # is locked already
        for group_name, variables in groups.items():
            group = file.create_group(group_name, track_order=True)
            for name, variable in variables.items():
                dataset = group.create_dataset(name, data=variable.values, track_times=False)
                for key, text in variable.attributes.items():
                    dataset.attrs[key] = text
                if variable.dimensions == (name,):
                    dataset.make_scale(name)
                    continue
                for axis, dimension in enumerate(variable.dimensions):
                    dataset.dims[axis].attach_scale(group[dimension])
