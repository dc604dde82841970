"""Files on disk: those that this tool writes, and any that are read. The only package that imports h5py.

It knows arrays, attributes and JSON, and nothing of what they mean.
"""

from cosmoinfer.storage import out_of_core
from cosmoinfer.storage.atomic import atomic_write, check_folder, is_abandoned, locked, make_folder, remove_leftovers
from cosmoinfer.storage.attributes import Attributes
from cosmoinfer.storage.contents import FileContents
from cosmoinfer.storage.encoding import Encoding
from cosmoinfer.storage.existing import (
    Standing,
    begins_as_hdf5,
    check_replaceable,
    describe_file,
    differences,
    examine,
    file_kind,
    has_dataset,
    is_complete,
    is_kind,
    read_meta,
    refuse_existing,
)
from cosmoinfer.storage.formats import CHECKPOINT_SUFFIX, FORMATS
from cosmoinfer.storage.hdf5 import (
    DatasetHandle,
    DatasetInfo,
    describe_dataset,
    describe_datasets,
    file_attribute,
    file_attributes,
    file_digest,
    group_attributes,
    load,
)
from cosmoinfer.storage.netcdf import Variable, write_netcdf
from cosmoinfer.storage.npy_rows import NpyRows, StoredRows, load_npy, open_npy
from cosmoinfer.storage.opening import require_file, require_name
from cosmoinfer.storage.out_of_core import OnDiskArray, ScratchArray, StreamedDataset, check_free_space
from cosmoinfer.storage.plain_files import JSONObject, load_json, load_npz, load_text, parse_object
from cosmoinfer.storage.reading import read, read_contents, read_document, verify
from cosmoinfer.storage.schema import Attribute, Dataset, Schema, interpreted
from cosmoinfer.storage.text_tables import TextTable, load_table, without_units
from cosmoinfer.storage.writing import write, write_streamed

__all__ = [
    "CHECKPOINT_SUFFIX",
    "FORMATS",
    "Attribute",
    "Attributes",
    "Dataset",
    "DatasetHandle",
    "DatasetInfo",
    "Encoding",
    "FileContents",
    "JSONObject",
    "NpyRows",
    "OnDiskArray",
    "Schema",
    "ScratchArray",
    "Standing",
    "StoredRows",
    "StreamedDataset",
    "TextTable",
    "Variable",
    "atomic_write",
    "begins_as_hdf5",
    "check_folder",
    "check_free_space",
    "check_replaceable",
    "describe_dataset",
    "describe_datasets",
    "describe_file",
    "differences",
    "examine",
    "file_attribute",
    "file_attributes",
    "file_digest",
    "file_kind",
    "group_attributes",
    "has_dataset",
    "interpreted",
    "is_abandoned",
    "is_complete",
    "is_kind",
    "load",
    "load_json",
    "load_npy",
    "load_npz",
    "load_table",
    "load_text",
    "locked",
    "make_folder",
    "open_npy",
    "out_of_core",
    "parse_object",
    "read",
    "read_contents",
    "read_document",
    "read_meta",
    "refuse_existing",
    "remove_leftovers",
    "require_file",
    "require_name",
    "verify",
    "without_units",
    "write",
    "write_netcdf",
    "write_streamed",
]
