"""Filters that compress datasets: whether this process has those that a dataset needs, and what brings others."""

import h5py

PACKAGE = "hdf5plugin"  # the filters that HDF5 itself lacks, for Python


def filter_problem(dataset: h5py.Dataset) -> str:
    """Why a dataset cannot be decompressed, in words; empty if it can be. Filters of PACKAGE are used if installed."""
    missing = _missing_filters(dataset)
    if missing and _register_filters():
        missing = _missing_filters(dataset)
    if not missing:
        return ""
    return f"is compressed by {' and '.join(missing)}, which HDF5 lacks here; `pip install {PACKAGE}` brings it"


def _missing_filters(dataset: h5py.Dataset) -> list[str]:
    """Name and number of each."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(position) for position in range(properties.get_nfilters())]
    return [
        f"the filter {number} ({text.split(';')[0]})" if (text := name.decode(errors="replace")) else f"filter {number}"
        for number, _, _, name in filters
        if not h5py.h5z.filter_avail(number)
    ]


def _register_filters() -> bool:
    """Whether PACKAGE is installed, which makes its filters known to HDF5 as it is imported."""
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return True
