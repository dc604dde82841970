"""Text and attributes of HDF5 files, as Python has them.

Text of other tools may be in Latin-1. An attribute that cannot be read is an error for those who need it only.
"""

from typing import Any

import h5py
import numpy as np

NO_NUMBERS = {
    h5py.h5t.REFERENCE: "object references",
    h5py.h5t.OPAQUE: "opaque bytes",
    h5py.h5t.BITFIELD: "bit fields",
    h5py.h5t.ENUM: "words of an enumeration",
    h5py.h5t.VLEN: "sequences of variable length",
    h5py.h5t.ARRAY: "an array in each value",
}  # by class of an HDF5 type; times are those that h5py cannot read
Attributes = dict[str, Any]  # of a file or a dataset: what HDF5 holds, with text as str


def read_attributes(node: h5py.HLObject) -> tuple[Attributes, dict[str, str]]:
    """Of a file, group or dataset, by name: the attributes that can be read, and why others cannot.

    An empty attribute declares nothing, and is left out.
    """
    attributes: Attributes = {}
    unreadable: dict[str, str] = {}
    for name in node.attrs:
        try:
            if problem := type_problem(node.attrs.get_id(name).get_type()):
                unreadable[name] = problem
                continue
            value = node.attrs[name]
        except (TypeError, ValueError, OSError, RuntimeError, KeyError) as error:
            unreadable[name] = f"is of a type that cannot be read ({str(error).splitlines()[0]})"
            continue
        if isinstance(value, h5py.Empty):
            continue
        if _is_object(value):
            unreadable[name] = "holds object references; expected text or numbers"
        else:
            attributes[name] = decode_attribute(value, fallback="latin-1")
    return attributes, unreadable


def type_problem(stored_type: h5py.h5t.TypeID) -> str:
    """Why values of a type are neither numbers, text nor tables of them, in words; empty if they are.

    The numbers of an enumeration stand for its words, which another tool may number otherwise.
    """
    kind = stored_type.get_class()
    is_truth = kind == h5py.h5t.ENUM and stored_type.dtype.kind == "b"
    words = "" if is_truth else NO_NUMBERS.get(kind, "")
    return f"holds {words}; expected text or numbers" if words else ""


def text_attribute(node: h5py.HLObject, name: str) -> str:
    """Of a file, group or dataset; empty where it has none of that name, or one that is no text."""
    value = read_attributes(node)[0].get(name, "")
    return value if isinstance(value, str) else ""


def _is_object(value: Any) -> bool:
    """Whether an attribute is neither text nor numbers."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "O":
        return not isinstance(value, str | bytes | np.ndarray | np.generic)
    return not all(isinstance(item, str | bytes) for item in value.ravel())


def decode_attribute(value: Any, fallback: str = "") -> Any:
    """An attribute with its text as str, or a tuple of str. fallback: as of ``decode_text``."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return tuple(decode_text(item, fallback) for item in value.ravel())
    return decode_text(value, fallback) if isinstance(value, bytes | str) else value


def encode_attribute(attribute: Any) -> Any:
    """An attribute as HDF5 holds it: the inverse of ``decode_attribute``."""
    first = attribute[0] if isinstance(attribute, tuple | list) and attribute else attribute
    return encode_text(attribute) if isinstance(first, str) else attribute


def encode_text(text: Any) -> np.ndarray:
    """One or several str, of any shape, as UTF-8 of fixed length, which HDF5 keeps where the values are.

    Text of variable length lies on a heap of its own, where a damaged byte crashes the library or never ends it.
    """
    array = np.asarray(text)
    encoded = [str(item).encode() for item in array.ravel().tolist()]
    dtype = h5py.string_dtype("utf-8", max([1, *map(len, encoded)]))
    return np.array(encoded, dtype=dtype).reshape(array.shape)


def decode_text(value: Any, fallback: str = "") -> str:
    """UTF-8 as str. fallback: the encoding of what is no UTF-8; without it, that is an error.

    Raises UnicodeError.
    """
    if isinstance(value, bytes):
        encoded: bytes = value
    else:
        text = str(value)
        if not fallback or text.isprintable():
            return text
        encoded = text.encode("utf-8", "surrogateescape")  # how h5py marks bytes that are no UTF-8
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        if not fallback:
            raise
        return encoded.decode(fallback)
