"""The metrics file: the whole document as JSON, and every number as an array for those who read HDF5."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage


def write(path: Path, document: dict[str, Any], meta: dict[str, Any], force: bool = False) -> None:
    """/document (JSON), /names (P,), /joint/NAME (3,) and /parameters/NAME (P, 3): value, low, high; NaN is null.

    Where there are any, /pairs/NAME (K, 3) of the /pair_names (K,), and /local/NAME (L, 3) of the /local_names (L,).
    Of a classifier also /classes (C,) and /confusion (C, C), rows of each class by the class that they are taken for.
    """
    names = list(document["verdict"]["parameters"])
    arrays = {"document": np.array(json.dumps(document, allow_nan=False)), "names": np.array(names)}
    for metric, entry in document["metrics"]["joint"].items():
        arrays[f"joint/{metric}"] = _numbers(entry)
    for metric, entries in document["metrics"]["parameters"].items():
        arrays[f"parameters/{metric}"] = np.stack([_numbers(entries[name]) for name in names])
    for scope, called in (("pairs", "pair_names"), ("local", "local_names")):
        for metric, entries in document["metrics"].get(scope, {}).items():
            arrays[called] = np.array(list(entries))
            arrays[f"{scope}/{metric}"] = np.stack([_numbers(entry) for entry in entries.values()])
    if "confusion" in document:
        arrays["classes"] = np.array(document["confusion"]["classes"])
        arrays["confusion"] = np.array(document["confusion"]["counts"], dtype=np.int64)
    storage.write(path, storage.FileContents("metrics", meta, arrays), force)


def read(path: Path | str) -> dict[str, Any]:
    """The document."""
    return dict(json.loads(str(storage.read(path, "metrics").arrays["document"])))


def _numbers(entry: dict[str, Any]) -> np.ndarray:
    return np.array([np.nan if entry[key] is None else entry[key] for key in ("value", "low", "high")])
