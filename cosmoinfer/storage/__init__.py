"""Files on disk: HDF5 of ours and of anybody. It knows arrays, attributes and JSON, and nothing of what they mean.

The only door to h5py.
"""

from cosmoinfer.storage import filed
from cosmoinfer.storage.anybody import Dataset, Stored, attribute, contents, file_attributes, load
from cosmoinfer.storage.filed import Filed, Spill
from cosmoinfer.storage.ours import (
    FORMATS,
    Coming,
    Record,
    command_of,
    digest,
    is_kind,
    kind_of,
    read,
    refuse_existing,
    same_run,
    write,
    write_streamed,
)
from cosmoinfer.storage.whole import check_free, whole_or_absent

__all__ = [
    "FORMATS",
    "Coming",
    "Dataset",
    "Filed",
    "Record",
    "Spill",
    "Stored",
    "attribute",
    "check_free",
    "command_of",
    "contents",
    "digest",
    "file_attributes",
    "filed",
    "is_kind",
    "kind_of",
    "load",
    "read",
    "refuse_existing",
    "same_run",
    "whole_or_absent",
    "write",
    "write_streamed",
]
