"""Files on disk: HDF5 of ours and of anybody. It knows arrays, attributes and JSON, and nothing of what they mean.

The only door to h5py.
"""

from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.atomic import check_free, whole_or_absent
from cosmoinfer.storage.format import (
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
from cosmoinfer.storage.out_of_core import Filed, Spill
from cosmoinfer.storage.reader import Dataset, Stored, attribute, contents, file_attributes, load

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
    "is_kind",
    "kind_of",
    "load",
    "out_of_core",
    "read",
    "refuse_existing",
    "same_run",
    "whole_or_absent",
    "write",
    "write_streamed",
]
