"""A catalog written in our layout."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cosmoinfer import storage
from cosmoinfer.parameters import Parameters


class DataDescription(Protocol):
    """What a file says of its data: ``kind``, and ``periodic``, whether opposite edges touch."""

    @property
    def kind(self) -> str: ...

    @property
    def periodic(self) -> bool: ...


def write(
    path: Path,
    data: np.ndarray,
    description: DataDescription,
    parameters: Parameters | None,
    theta: Any,
    meta: storage.JSONObject,
    force: bool = False,
) -> None:
    """Write N simulations of one row each.

    data: (N, ...).
    theta: (P,), the same for all simulations, or None.
    meta: JSON that says from what they were made.

    Raises UserError when the file cannot be written.
    """
    arrays = {"data": np.asarray(data, np.float64), "simulation": np.arange(len(data))}
    attributes: dict[str, storage.Attributes] = {"data": {"kind": description.kind, "periodic": description.periodic}}
    if parameters is not None:
        arrays["parameters"] = np.tile(np.asarray(theta, np.float64), (len(data), 1))
        attributes["parameters"] = parameters.attributes()
    storage.write(path, storage.FileContents("catalog", meta, arrays, attributes), force)
