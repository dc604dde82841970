"""Changes of a file at random, each of which is a line of JSON that can be applied again.

Families: ``bit`` (one bit of the file is another), ``cut`` (its end is missing), ``zeros`` (64 bytes are zero),
``layout`` (the same values as a stranger's library may store them: in structures without checksums, behind links, in
nested groups, as virtual datasets, as text of variable length; what lies in other files is not asked for, and holds
other values), and ``meaning``: a dataset is missing, of another type or shape, holds NaN, infinities or huge numbers,
an attribute or a leaf of its JSON is something else, and the digests are made anew, as a stranger could.
"""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cosmoinfer import storage

Change = dict[str, Any]  # "what" was done, and where; only what json.dumps takes
MISSING = "missing"
ODD_LEAVES = (
    None,
    True,
    -1,
    0,
    1,
    10**18,
    0.5,
    -1e300,
    float("nan"),
    "",
    "x",
    "nsf",
    [],
    [1],
    {},
    "[/red]\x1b[31m",
    [None],
)
ODD_ATTRIBUTES = (MISSING, "x", 1.0, float("nan"), [], [[0.0, 0.0], [0.0, 0.0]], ["a"], ["a", "a"], [float("inf"), 1.0])


def apply(change: Change, original: Path, scratch: Path) -> None:
    """Write ``scratch``: the original, changed."""
    where = {key: value for key, value in change.items() if key != "what"}
    if change["what"] in BYTES:
        content = bytearray(original.read_bytes())
        BYTES[change["what"]](content, **where)
        scratch.write_bytes(content)
        return
    scratch.unlink(missing_ok=True)
    if change["what"] == "layout":
        _store(original, scratch, **where)
        return
    contents = storage.read_contents(original)
    contents = replace(contents, file_attributes=storage.file_attributes(original))
    changed = copy.deepcopy(contents)
    MEANINGS[change["what"]](changed, **where)
    storage.write(scratch, changed)


# -------------------------------------------------------------------------------------------------------------- bytes
def choose_bit(original: Path, stream: random.Random) -> Change:
    return {"what": "bit", "byte": _place(original, stream), "bit": stream.randrange(8)}


def choose_cut(original: Path, stream: random.Random) -> Change:
    return {"what": "cut", "size": stream.randrange(original.stat().st_size)}


def choose_zeros(original: Path, stream: random.Random) -> Change:
    return {"what": "zeros", "first": _place(original, stream)}


def _place(original: Path, stream: random.Random) -> int:
    """Half of them among the structures of the library at the start and at the end."""
    size = original.stat().st_size
    region = stream.choice(["start", "end", "all", "all"])
    first = max(0, size - 6000) if region == "end" else 0
    return stream.randrange(first, min(size, 6000) if region == "start" else size)


def _flip_bit(content: bytearray, byte: int, bit: int) -> None:
    content[byte] ^= 1 << bit


def _cut(content: bytearray, size: int) -> None:
    del content[size:]


def _zero(content: bytearray, first: int) -> None:
    content[first : first + 64] = bytes(len(content[first : first + 64]))


# ------------------------------------------------------------------------------------------------------------- layout
def choose_layout(original: Path, stream: random.Random) -> Change:
    names: list[str] = []
    with h5py.File(original) as file:
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    return {
        "what": "layout",
        "libver": stream.choice(["earliest", "latest"]),  # superblock 0, or 3
        "signed": stream.random() < 0.3,
        "dataset": stream.choice(sorted(names)),
        "to": stream.choice(list(LAYOUTS)),
    }


def _store(original: Path, scratch: Path, libver: str, signed: bool, dataset: str, to: str) -> None:
    with h5py.File(original) as source, h5py.File(scratch, "w", libver=libver) as file:
        for name in source:
            source.copy(name, file)
        for name in source.attrs if signed else ():
            file.attrs.create(name, source.attrs[name], dtype=source.attrs.get_id(name).dtype)
        LAYOUTS[to](file, dataset)


def _nest(file: h5py.File, name: str, groups: int = 30) -> None:
    place = f"{'inner/' * groups}values"
    file.move(name, place)
    file[name] = h5py.SoftLink(f"/{place}")


def _link_twice(file: h5py.File, name: str) -> None:
    _nest(file, name, 1)
    file["again"], file["first"] = h5py.SoftLink("/first"), file["inner"]
    del file[name]
    file[name] = h5py.SoftLink("/again/values")


def _link_elsewhere(file: h5py.File, name: str) -> None:
    path = _write_elsewhere(file, name)
    del file[name]
    file[name] = h5py.ExternalLink(path.name, "values")


def _make_virtual(file: h5py.File, name: str, path: str = ".", place: str = "moved") -> None:
    dataset = file[name]
    if dataset.shape:  # a single value cannot be virtual
        file.move(name, "moved")
        layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
        layout[...] = h5py.VirtualSource(path, place, dataset.shape)
        file.create_virtual_dataset(name, layout)
        _copy_attributes(dataset, file[name])


def _make_virtual_elsewhere(file: h5py.File, name: str) -> None:
    _make_virtual(file, name, _write_elsewhere(file, name).name, "values")


def _store_text(file: h5py.File, name: str) -> None:
    """Of variable length: all texts of a dataset, and of its attributes."""
    dataset = file[name]
    if dataset.dtype.kind == "S":
        file.move(name, "moved")
        file.create_dataset(name, data=dataset.asstr()[()], dtype=h5py.string_dtype())
        _copy_attributes(dataset, file[name])
    for key, value in file[name].attrs.items():
        if (array := np.asarray(value)).dtype.kind == "S":
            file[name].attrs.create(key, np.char.decode(array, "utf-8"), dtype=h5py.string_dtype())


def _copy_attributes(old: h5py.Dataset, new: h5py.Dataset) -> None:
    for name, value in old.attrs.items():
        new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)


def _write_elsewhere(file: h5py.File, name: str) -> Path:
    """Other values of the same dataset, in a file beside."""
    path = Path(file.filename).with_name("elsewhere.h5")
    with h5py.File(path, "w") as other_file:
        file.copy(name, other_file, "values")
        if other_file["values"].dtype.kind in "fiu":
            other_file["values"][...] = other_file["values"][()] + 1
    return path


LAYOUTS: dict[str, Callable[[h5py.File, str], None]] = {
    "the same": lambda file, name: None,
    "nested": _nest,
    "nested without end": lambda file, name: _nest(file, name, 1000),
    "links to links": _link_twice,
    "link elsewhere": _link_elsewhere,
    "virtual": _make_virtual,
    "virtual elsewhere": _make_virtual_elsewhere,
    "text": _store_text,
}


# ------------------------------------------------------------------------------------------------------------ meaning
def choose_meaning(original: Path, stream: random.Random) -> Change:
    contents = storage.read_contents(original)
    with_attributes = sorted(name for name, attributes in contents.attributes.items() if attributes)
    what = stream.choice(["array", "array", "attribute", "document", "document"])
    if what == "array":
        return {"what": what, "dataset": stream.choice(sorted(contents.arrays)), "to": stream.choice(ARRAY_CHANGES)}
    if what == "attribute" and with_attributes:
        name = stream.choice(with_attributes)
        key = stream.choice(sorted(contents.attributes[name]))
        return {"what": what, "dataset": name, "name": key, "to": stream.choice(ODD_ATTRIBUTES)}
    name = stream.choice(["/meta", *sorted(name for name, array in contents.arrays.items() if _is_json(array))])
    keys = _choose_keys(_document(contents, name), stream)
    return {"what": "document", "dataset": name, "keys": keys, "to": stream.choice((MISSING, MISSING, *ODD_LEAVES))}


def _choose_keys(document: storage.JSONObject, stream: random.Random) -> list[str | int]:
    """The way to a leaf or a branch."""
    node: Any = document
    keys: list[str | int] = []
    while not keys or (isinstance(node, dict | list) and node and stream.random() < 0.85):
        keys.append(stream.choice(sorted(node) if isinstance(node, dict) else range(len(node))))
        node = node[keys[-1]]
    return keys


def _is_json(array: np.ndarray) -> bool:
    return array.shape == () and array.dtype.kind == "U" and str(array).startswith("{")


def _document(contents: storage.FileContents, name: str) -> storage.JSONObject:
    return contents.meta if name == "/meta" else json.loads(str(contents.arrays[name]))


ARRAY_CHANGES = (
    MISSING,
    "float32",
    "whole",
    "text",
    "number",
    "one row less",
    "no rows",
    "one axis more",
    "transposed",
    "zero",
    "-1",
    "nan",
    "inf",
    "1e300",
)


def _change_array(contents: storage.FileContents, dataset: str, to: str) -> None:
    array = contents.arrays.pop(dataset)
    numbers = array if array.dtype.kind in "fiub" else np.zeros(array.shape)
    first = np.zeros(array.shape, bool)
    first.reshape(-1)[:1] = True
    changes: dict[str, Callable[[], np.ndarray]] = {
        "float32": lambda: numbers.astype(np.float32),
        "whole": lambda: np.nan_to_num(numbers.astype(float)).astype(np.int64),
        "text": lambda: array.astype(str),
        "number": lambda: np.ones(()),
        "one row less": lambda: array[1:] if array.ndim else array,
        "no rows": lambda: array[:0] if array.ndim else np.zeros(0),
        "one axis more": lambda: array[..., None],
        "transposed": lambda: array.T,
        "zero": lambda: np.zeros_like(numbers),
        **{number: lambda odd=float(number): np.where(first, odd, numbers) for number in ARRAY_CHANGES[-4:]},
    }
    if to != MISSING:
        contents.arrays[dataset] = np.array(changes[to]())


def _change_attribute(contents: storage.FileContents, dataset: str, name: str, to: Any) -> None:
    attributes = contents.attributes[dataset]
    if to == MISSING:
        del attributes[name]
    elif isinstance(to, list):
        attributes[name] = tuple(to) if to and isinstance(to[0], str) else np.array(to, float)
    else:
        attributes[name] = to


def _change_document(contents: storage.FileContents, dataset: str, keys: list[str | int], to: Any) -> None:
    document = _document(contents, dataset)
    node: Any = document
    for key in keys[:-1]:
        node = node[key]
    if to == MISSING:
        del node[keys[-1]]
    else:
        node[keys[-1]] = None if dataset == "/meta" and to != to else to  # where NaN is a fault of ours
    if dataset != "/meta":
        contents.arrays[dataset] = np.array(json.dumps(document))


BYTES: dict[str, Callable[..., None]] = {"bit": _flip_bit, "cut": _cut, "zeros": _zero}
MEANINGS: dict[str, Callable[..., None]] = {
    "array": _change_array,
    "attribute": _change_attribute,
    "document": _change_document,
}
FAMILIES: dict[str, Callable[[Path, random.Random], Change]] = {
    "bit": choose_bit,
    "cut": choose_cut,
    "zeros": choose_zeros,
    "layout": choose_layout,
    "meaning": choose_meaning,
}
