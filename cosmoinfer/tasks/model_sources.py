"""Models that a task is given, as files or as objects in memory, digests of them, and catalogs as they read them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosmoinfer import importers, models, storage
from cosmoinfer.catalog import Catalog, ReadOptions, multi_file
from cosmoinfer.errors import UserError, describe_type, join_first
from cosmoinfer.models import ClassifierModel, DensityModel, FlowModel, RegressorModel
from cosmoinfer.preprocessing.state import Preprocessing
from cosmoinfer.tasks.reading import open_catalog
from cosmoinfer.tasks.settings import CatalogSettings

AnyModel = FlowModel | RegressorModel | ClassifierModel | DensityModel
MODEL_TYPES = (FlowModel, RegressorModel, ClassifierModel, DensityModel)
ModelSource = Path | str | AnyModel


@dataclass(frozen=True)
class ModelInput:
    """A model, its name in messages, and the digest by which an output knows it."""

    model: Any
    name: str
    digest: str


def open_model(source: ModelSource, device: torch.device) -> ModelInput:
    """Raises UserError if this is no model, or a file that holds none."""
    if isinstance(source, Path | str):
        return ModelInput(models.read(source, device), str(source), storage.file_digest(Path(source)))
    if not isinstance(source, MODEL_TYPES):
        raise UserError(f"expected a model or its path, found {describe_type(source)}")
    for stack in source.stacks:
        stack.network.to(device)
    return ModelInput(source, f"the {source.kind}", model_digest(source))


def require_model_first(command: str, source: object, catalog: object) -> None:
    """Raises UserError where the paths of a model and of its catalog are in the wrong order. command: for messages."""
    if not isinstance(source, Path | str) or not isinstance(catalog, Path | str):
        return
    first, second = (storage.require_name(Path(path)) for path in (source, catalog))
    if storage.is_kind(second, "model") and not storage.is_kind(first, "model"):
        raise UserError(
            f"{first}: is {storage.describe_file(first)}, and {second} {storage.describe_file(second)}; the model "
            f"comes first: cosmoinfer {command} {second} {first}"
        )


def read_model_of_kind(path: Path, kind: str, device: torch.device, setting: str = "") -> Any:
    """setting: which names the file, if one does. Raises UserError if the model is of another kind."""
    model = models.read(path, device)
    if model.kind != kind:
        if setting:
            raise UserError(f"expected a {kind}, found a {model.kind}", setting=setting, value=path)
        raise UserError(f"{path}: expected a {kind} (train-{kind}), found a {model.kind}")
    return model


def open_for_model(
    preprocessing: Preprocessing, source: Path | str | Catalog | None, keywords: Mapping[str, Any]
) -> Catalog:
    """A catalog as it is, or from its file: read as the model's own was, unless the settings say otherwise.

    Raises UserError if the model cannot take its data or parameters.
    """
    if isinstance(source, Catalog):
        catalog = open_catalog(source, keywords)
    elif not isinstance(source, Path | str):
        raise UserError(
            f"expected the path of a catalog or a Catalog, found {describe_type(source)}; arrays go to "
            "catalog_from_arrays(theta=theta, x=x), observations also to the model itself: model.sample(x)"
        )
    else:
        path, settings = Path(source), CatalogSettings.from_keywords(keywords)
        is_source = importers.is_source(path)
        command = None if is_source else storage.read_meta(multi_file.first_file(path)).get("command")
        generated = command == "generate"  # in our layout, and cut already
        own_reading = ReadOptions() if generated else preprocessing.read_options
        read_options = read_options_for_model(own_reading, settings.read_options, is_source)
        read_options = read_options if generated else preprocessing.with_kinds(read_options)
        catalog = importers.read(path, read_options, settings.memory, preprocessing.model_rows(read_options))
    preprocessing.check_catalog(catalog)
    return catalog


def read_options_for_model(trained: ReadOptions, overrides: ReadOptions, is_source: bool = False) -> ReadOptions:
    """How to read a catalog for a model: as the model's own was read, but for what is asked for now.

    Links into other files are followed only where that is asked for now. is_source: whether it is of another format
    than HDF5, of which files of parameters and ids are those that are named now.

    Raises UserError for other scale cuts than the model's.
    """
    default = ReadOptions()
    if overrides.scale_cut and overrides.scale_cut != trained.scale_cut:
        raise UserError(
            "has no effect: the model brings its own scale cuts",
            setting="scale_cut",
            value=join_first(overrides.scale_cut),
        )
    changed = {key: value for key, value in asdict(overrides).items() if value != getattr(default, key)}
    layout = ("parameters", "data", "kind", "channels", "simulation", "rows_per_simulation", "names", "bounds", "where")
    if is_source:
        trained = importers.without_paths(trained)
    elif changed.keys() & set(layout):
        trained = replace(trained, **{key: getattr(default, key) for key in layout})
    return replace(trained, **({"follow_links": False} | changed))


def model_digest(model: AnyModel) -> str:
    """SHA-256 of configuration and weights."""
    sha = hashlib.sha256(f"{model.kind} {getattr(model, 'temperature', 1)}".encode())
    sha.update(np.ascontiguousarray(model.weights).tobytes())
    for stack in model.stacks:
        sha.update(json.dumps(stack.config, sort_keys=True, default=str).encode())
        for name, weights in stack.network.state_dict().items():
            sha.update(name.encode() + weights.cpu().numpy().tobytes())
    return sha.hexdigest()
