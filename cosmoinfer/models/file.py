"""The file of a model: dataclasses as arrays and JSON, and back, in one way, so that its contents follow from types.

A numpy field is a dataset, named by the path of its fields; a network, a group of its weights; ``Parameters``, a
dataset of names with attributes, as in a catalog, whose path is in the JSON; a dataclass, or a tuple of them, a group.
All other fields are one tree of JSON. ``metadata={"path": ...}`` of a field gives it another name; an empty one puts
its contents beside it.

Types are read from the annotations, never from the file: what is built is decided here.
"""

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import nn

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.models.allocation import AllocationLimit
from cosmoinfer.models.model import Model
from cosmoinfer.models.schema import SCHEMA
from cosmoinfer.parameters import Parameters
from cosmoinfer.settings import is_omitted

Instance = TypeVar("Instance")
AnyModel = TypeVar("AnyModel", bound=Model)
Json = Any  # what json.dumps takes
LEAVES = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}  # annotation: types that JSON gives for it


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


def read(path: Path | str, kinds: Mapping[str, type[AnyModel]], device: torch.device | None = None) -> AnyModel:
    """A model of one of these kinds, on the device (the CPU). Raises UserError for a file that is no model."""
    contents = storage.read(path, SCHEMA)
    with storage.interpreted(path, "a model"):
        config = storage.parse_object(str(contents.arrays.pop("config")))
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


@dataclass(frozen=True)
class Packed:
    """arrays and attributes of datasets, by path; config: everything else.

    parameters: the path of those that are packed, by identity; shared: those that are unpacked, by path. What several
    fields refer to is stored once, and is one object again.
    """

    config: Json
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    shared: dict[str, Parameters] = field(default_factory=dict)


def pack(instance: Any) -> Packed:
    """Of a dataclass."""
    packed = Packed({})
    packed.config.update(_pack(instance, "", packed))
    return packed


def unpack(cls: type[Instance], packed: Packed) -> Instance:
    """An instance of a dataclass. Raises UserError where the weights of a network do not fit its configuration."""
    instance: Instance = _unpack(cls, packed.config, "", packed, {})
    return instance


def _pack(content: Any, path: str, packed: Packed) -> Json:
    """Datasets go into ``packed``; the JSON of everything else is returned."""
    if isinstance(content, np.ndarray):
        packed.arrays[path] = content
    elif isinstance(content, nn.Module):
        for name, weights in content.state_dict().items():
            packed.arrays[f"{path}/{name}"] = weights.cpu().numpy()
    elif isinstance(content, Parameters):
        path = packed.parameters.setdefault(id(content), path)
        packed.arrays[path] = np.array(content.names)
        packed.attributes[path] = content.attributes()
        return path
    elif is_dataclass(content):
        stored = [item for item in fields(content) if not is_omitted(item, getattr(content, item.name))]
        items = {item.name: (getattr(content, item.name), _join(path, item)) for item in stored}
        return {
            name: json
            for name, (item_content, where) in items.items()
            if (json := _pack(item_content, where, packed)) is not None or item_content is None
        }
    elif isinstance(content, tuple | list):
        return [_pack(item_content, f"{path}/{number}", packed) for number, item_content in enumerate(content)]
    elif isinstance(content, frozenset):
        return sorted(content)
    elif isinstance(content, np.generic):
        return content.item()
    else:
        return content
    return None


def _unpack(cls: Any, config: Json, path: str, packed: Packed, bound: Mapping[Any, Any]) -> Any:
    """bound: what the type variables of a generic dataclass stand for."""
    cls = bound.get(cls, cls)
    if get_origin(cls) in (Union, types.UnionType):
        (cls,) = (option for option in get_args(cls) if option is not types.NoneType)
        if config is None and path not in packed.arrays:
            return None
    origin = get_origin(cls) or cls
    if origin is np.ndarray:
        array = packed.arrays[path]
        return array.astype(str) if array.dtype.kind == "O" else array
    if origin is Parameters:
        if config not in packed.shared:
            packed.shared[config] = Parameters.from_attributes(packed.attributes[config])
        return packed.shared[config]
    if is_dataclass(origin):
        return _unpack_dataclass(origin, get_args(cls), config, path, packed)
    if origin is tuple:
        return tuple(
            _unpack(get_args(cls)[0], element, f"{path}/{n}", packed, bound) for n, element in enumerate(config)
        )
    if origin is frozenset:
        return frozenset(config)
    expected = LEAVES.get(cls)
    if expected is not None and (not isinstance(config, expected) or (isinstance(config, bool) and cls is not bool)):
        raise UserError(f"/{path}: expected {cls.__name__}, found {type(config).__name__}")
    return config


def _unpack_dataclass(cls: Any, arguments: tuple[Any, ...], config: Json, path: str, packed: Packed) -> Any:
    if config is None:
        raise UserError(f"/{path} is missing: another version wrote the file")
    hints = get_type_hints(cls)
    bound = _type_arguments(cls, arguments)
    built, networks = {}, []
    for item in fields(cls):
        hint = bound.get(hints[item.name], hints[item.name])
        if isinstance(hint, type) and issubclass(hint, nn.Module):
            networks.append((item, hint))
        else:
            where = _join(path, item)
            if item.name not in config and item.metadata.get("omit_default"):
                continue
            built[item.name] = _unpack(hint, config.get(item.name), where, packed, bound)
    for item, network in networks:  # built anew from the other fields, then filled
        place = _join(path, item)
        weights = sum(array.size for name, array in packed.arrays.items() if name.startswith(f"{place}/"))
        with AllocationLimit(weights):
            unfilled = cls.build_network(network, built)
        built[item.name] = _fill(unfilled, place, packed.arrays)
    return cls(**built)


def _type_arguments(cls: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables of a generic dataclass, or of the one that it extends, stand for."""
    extended = next((base for base in getattr(cls, "__orig_bases__", ()) if is_dataclass(get_origin(base))), None)
    generic, arguments = (cls, arguments) if extended is None else (get_origin(extended), get_args(extended))
    return dict(zip(getattr(generic, "__parameters__", ()), arguments, strict=False))


def _fill(network: nn.Module, path: str, arrays: Mapping[str, np.ndarray]) -> nn.Module:
    """Strictly: every weight there, none left over, shapes and dtypes as stored."""
    start = f"{path}/"
    weights = {name[len(start) :]: torch.from_numpy(value) for name, value in arrays.items() if name.startswith(start)}
    expected = {name: (value.shape, value.dtype) for name, value in network.state_dict().items()}
    stored = {name: (value.shape, value.dtype) for name, value in weights.items()}
    if expected != stored:
        odd = sorted(name for name in expected.keys() | stored.keys() if expected.get(name) != stored.get(name))
        raise UserError(
            f"the weights of /{path.removesuffix('/weights')} do not fit its configuration ({join_first(odd)}): "
            "another version wrote the file, or it was changed"
        )
    network.load_state_dict(weights, strict=True)
    return network.eval()


def _join(path: str, item: Any) -> str:
    return "/".join(name for name in (path, item.metadata.get("path", item.name)) if name)
