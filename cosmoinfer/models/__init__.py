"""Models: a trained network with all that is needed to use it, in one file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import storage
from cosmoinfer.history import History
from cosmoinfer.models.flow import FlowModel, build_flow
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.regressor import RegressorModel, build_regressor
from cosmoinfer.models.stack import Stack, read_stacks
from cosmoinfer.scaling import Support

Model = FlowModel | RegressorModel


def write(path: Path, model: Model, meta: dict[str, Any], force: bool = False) -> None:
    arrays = _pack(model, "")
    attributes = {"parameters": model.frame.parameters.attributes()}
    if isinstance(model, FlowModel) and model.summary is not None:
        arrays |= _pack(model.summary, "summary/")
        attributes["summary/parameters"] = model.summary.frame.parameters.attributes()
    storage.write(path, storage.Record("model", meta, arrays, attributes), force)


def read(path: Path, device: torch.device | None = None) -> Model:
    """Rebuilt from its configuration, weights filled strictly, on the device."""
    record = storage.read(path, "model")
    model = _unpack(record, "")
    for stack in model.stacks:
        stack.network.to(device or torch.device("cpu"))
    return model


def histories(model: Model) -> dict[str, History]:
    """The learning curves of each stack, by the name of what was trained."""
    stacks: tuple[Stack[Any], ...] = model.stacks
    names = [stack.config.get("flow", model.kind) for stack in stacks]
    return {f"{stack.members} x {name}": stack.history for name, stack in zip(names, stacks, strict=True)}


def _pack(model: Model, prefix: str) -> dict[str, np.ndarray]:
    config = {"model": model.kind, "frame": model.frame.config(), **model.config()}
    arrays = {"config": np.array(json.dumps(config, sort_keys=True)), "mixture": model.weights}
    arrays |= model.frame.arrays() | dict(model.arrays())
    stacks: tuple[Stack[Any], ...] = model.stacks
    for number, stack in enumerate(stacks):
        arrays |= stack.arrays(f"stacks/{number}")
    return {prefix + name: value for name, value in arrays.items()}


def _unpack(record: storage.Record, prefix: str) -> Model:
    arrays = {name.removeprefix(prefix): value for name, value in record.arrays.items() if name.startswith(prefix)}
    attributes = {name.removeprefix(prefix): one for name, one in record.attributes.items() if name.startswith(prefix)}
    config = json.loads(str(arrays["config"]))
    frame = Frame.from_arrays(config["frame"], arrays, attributes)
    if config["model"] == "regressor":
        regressors = read_stacks(arrays, build_regressor)
        shift, scale = arrays["target/shift"], arrays["target/scale"]
        return RegressorModel(frame, config["loss"], shift, scale, regressors, arrays["mixture"])
    loose = frozenset(config["unconstrained"])
    support = Support(config["support"], frame.parameters, arrays["support/shift"], arrays["support/scale"], loose)
    summary = _unpack(record, "summary/") if "summary/config" in record.arrays else None
    assert not isinstance(summary, FlowModel)
    return FlowModel(frame, support, read_stacks(arrays, build_flow), arrays["mixture"], summary)
