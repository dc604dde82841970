"""The file of a model: written from its dataclass, with the provenance that it carries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import storage
from cosmoinfer.models.model import Model
from cosmoinfer.models.packing import Packed, pack, unpack


class Saveable:
    """Of a model: that it can be written."""

    def save(self: Model, path: Path | str, force: bool = False) -> None:
        """As the commands write it, byte for byte. Raises UserError if the path is taken, unless forced."""
        write(Path(path), self, force)


def write(path: Path, model: Model, force: bool = False) -> None:
    """Whole or not at all. Raises UserError if the path is taken; ``force`` replaces a model."""
    packed = pack(model)
    meta = packed.config.pop("provenance")
    config = np.array(json.dumps({"kind": model.kind, **packed.config}, sort_keys=True))
    contents = storage.FileContents("model", meta, {"config": config, **packed.arrays}, packed.attributes)
    storage.write(path, contents, force)


def read(path: Path | str, kinds: dict[str, type], device: torch.device | None = None) -> Any:
    """A model of one of these kinds, on the device (the CPU). Raises UserError for a file that is no model."""
    contents = storage.read(path, "model")
    config = json.loads(str(contents.arrays.pop("config")))
    cls = kinds[config.pop("kind")]
    model = unpack(cls, Packed(config | {"provenance": contents.meta}, contents.arrays, contents.attributes))
    for source in _with_sources(model):
        for stack in source.stacks:
            stack.network.to(device or torch.device("cpu"))
    return model


def _with_sources(model: Any) -> Iterator[Any]:
    """A model and those that it was made from, which lie in its file."""
    yield model
    for source in (getattr(model, name, None) for name in ("summary", "initialised_from")):
        if source is not None:
            yield from _with_sources(source)
