"""Models: a trained network with all that is needed to use it, in one file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cosmoinfer import storage
from cosmoinfer.models import consistency, file
from cosmoinfer.models.density import DensityModel
from cosmoinfer.models.flow import FlowModel
from cosmoinfer.models.model import Stack
from cosmoinfer.models.regressor import ClassifierModel, RegressorModel
from cosmoinfer.models.schema import SCHEMA
from cosmoinfer.storage import JSONObject
from cosmoinfer.training.state import History

__all__ = [
    "MODELS",
    "SCHEMA",
    "ClassifierModel",
    "DensityModel",
    "FlowModel",
    "Model",
    "RegressorModel",
    "histories",
    "read",
    "write",
]

Model = FlowModel | RegressorModel | ClassifierModel | DensityModel
MODELS: dict[str, type[Model]] = {cls.kind: cls for cls in (FlowModel, RegressorModel, ClassifierModel, DensityModel)}


def write(path: Path, model: Model, meta: JSONObject, force: bool = False) -> None:
    """With the provenance that its file begins with. Raises UserError if the path is taken."""
    file.write(path, replace(model, provenance=meta), force)


def read(path: Path | str, device: torch.device | None = None) -> Model:
    """A model of any kind, on the device (the CPU). Raises UserError for a file that is no model, or does not fit."""
    model: Model = file.read(path, MODELS, device)
    with storage.interpreted(path, "a model"):
        consistency.check(model)
    return model


def histories(model: Model) -> dict[str, History]:
    """The learning curves of each stack, by the name of what was trained."""
    stacks: tuple[Stack[Any], ...] = model.stacks
    names = [f"{stack.members} x {stack.architecture}" for stack in stacks]
    labels = [name if names.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(names, 1)]
    return {name: stack.history for name, stack in zip(labels, stacks, strict=True)}
