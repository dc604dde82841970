"""Filters that compress datasets: whether this process has those that a dataset needs, and what brings others."""

from contextlib import suppress

import h5py

PACKAGE = "hdf5plugin"  # the filters that HDF5 itself lacks, for Python


def filter_problem(dataset: h5py.Dataset) -> str:
    """Which filters a dataset that could not be read needs, in words; empty if none is missing."""
    if not (missing := _missing_filters(dataset)):
        return ""
    return f"is compressed by {' and '.join(missing)}, which HDF5 lacks here; `pip install {PACKAGE}` brings it"


def register_filters(dataset: h5py.Dataset) -> None:
    """Make the filters of PACKAGE known to HDF5, if it is installed and the dataset needs them."""
    if _missing_filters(dataset):
        with suppress(ImportError):
            import hdf5plugin  # noqa: F401


def _missing_filters(dataset: h5py.Dataset) -> list[str]:
    """Name and number of each."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(position) for position in range(properties.get_nfilters())]
    return [
        f"the filter {number} ({text.split(';')[0]})" if (text := name.decode(errors="replace")) else f"filter {number}"
        for number, _, _, name in filters
        if not h5py.h5z.filter_avail(number)
    ]
