"""Models: a trained network with all that is needed to use it, in one file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import storage
from cosmoinfer.models.density import DensityModel
from cosmoinfer.models.ensemble import Stack
from cosmoinfer.models.flow import FlowModel
from cosmoinfer.models.preprocessing import Preprocessing
from cosmoinfer.models.regressor import ClassifierModel, RegressorModel
from cosmoinfer.training.history import History

Model = FlowModel | RegressorModel | ClassifierModel | DensityModel
MODELS: dict[str, Any] = {one.kind: one for one in (FlowModel, RegressorModel, ClassifierModel, DensityModel)}


def write(path: Path, model: Model, meta: dict[str, Any], force: bool = False) -> None:
    arrays, attributes = _pack(model, "")
    storage.write(path, storage.FileContents("model", meta, arrays, attributes), force)


def read(path: Path | str, device: torch.device | None = None) -> Model:
    """Rebuilt from its configuration, weights filled strictly, on the device."""
    model = _unpack(storage.read(path, "model"), "")
    for one in (model, *model.embedded().values()):
        for stack in one.stacks:
            stack.network.to(device or torch.device("cpu"))
    return model


def histories(model: Model) -> dict[str, History]:
    """The learning curves of each stack, by the name of what was trained."""
    stacks: tuple[Stack[Any], ...] = model.stacks
    names = [_called(stack, model.kind) for stack in stacks]
    told = [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, 1)]
    return {name: stack.history for name, stack in zip(told, stacks, strict=True)}


def _called(stack: Stack[Any], kind: str) -> str:
    networks = dict.fromkeys(name for name, _ in stack.config.get("embedding", ()) if name != "none")
    behind = f" behind {', '.join(networks)}" if networks else ""
    return f"{stack.members} x {stack.config.get('flow', kind)}{behind}"


def _pack(model: Model, prefix: str) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Arrays and attributes by path; models that this one needs lie in groups of their own."""
    config = {"model": model.kind, "frame": model.preprocessing.config(), **model.config()}
    arrays = {"config": np.array(json.dumps(config, sort_keys=True)), "mixture": model.weights}
    arrays |= model.preprocessing.arrays() | dict(model.arrays())
    stacks: tuple[Stack[Any], ...] = model.stacks
    for number, stack in enumerate(stacks):
        arrays |= stack.arrays(f"stacks/{number}")
    arrays = {prefix + name: value for name, value in arrays.items()}
    attributes = {f"{prefix}parameters": model.preprocessing.parameters.attributes()}
    for name, other in model.embedded().items():
        inner = _pack(other, f"{prefix}{name}/")
        arrays, attributes = arrays | inner[0], attributes | inner[1]
    return arrays, attributes


def _unpack(record: storage.FileContents, prefix: str) -> Any:
    arrays = {name.removeprefix(prefix): value for name, value in record.arrays.items() if name.startswith(prefix)}
    attributes = {name.removeprefix(prefix): one for name, one in record.attributes.items() if name.startswith(prefix)}
    config = json.loads(str(arrays["config"]))
    frame = Preprocessing.from_arrays(config["frame"], arrays, attributes)
    inner = [name for name in ("summary", "initialised_from") if f"{name}/config" in arrays]
    embedded = {name: _unpack(record, f"{prefix}{name}/") for name in inner}
    return MODELS[config["model"]].from_arrays(frame, config, arrays, embedded)
