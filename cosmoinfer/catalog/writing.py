"""A catalog of our own, in our layout."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmoinfer import storage
from cosmoinfer.parameters import Parameters


class DataDescription(Protocol):
    """What a file says of its data."""

    @property
    def kind(self) -> str: ...

    @property
    def periodic(self) -> bool: ...


def write(
    path: Path,
    data: np.ndarray,
    described: DataDescription,
    parameters: Parameters | None,
    theta: Any,
    meta: dict[str, Any],
    force: bool = False,
) -> None:
    """data: (N, ...), each row a simulation of its own; theta: (P,), the same for all of them, or None."""
    arrays = {"data": np.asarray(data, np.float64), "simulation": np.arange(len(data))}
    attributes: dict[str, dict[str, Any]] = {"data": {"kind": described.kind, "periodic": described.periodic}}
    if parameters is not None:
        arrays["parameters"] = np.tile(np.asarray(theta, np.float64), (len(data), 1))
        attributes["parameters"] = parameters.attributes()
    storage.write(path, storage.FileContents("catalog", meta, arrays, attributes), force)
