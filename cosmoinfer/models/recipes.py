"""What to train, in full: architecture, support, ensemble and training, from what the user said and what he did not.

A default is chosen by the number of training rows and the shape of the data; see ``flow_defaults``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS
from cosmoinfer.losses import LOSSES
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.activations import ACTIVATIONS
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.embedding import EMBEDDINGS
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.scaling import SUPPORTS, TRANSFORMS
from cosmoinfer.training import Training

Recipe = TypeVar("Recipe")
Given = dict[str, Any]  # options by field name; None where the user said nothing


@dataclass(frozen=True)
class FlowRecipe:
    """settings: of the flow's own recipe; features: what each embedded summary is condensed to."""

    flow: str
    settings: Any
    embedding: str
    features: int
    mlp: MLP
    cnn: CNN
    support: str
    transform: str
    ensemble: int
    training: Training


@dataclass(frozen=True)
class RegressorRecipe:
    """networks: one (name, settings) a summary; features: where several summaries meet."""

    networks: tuple[tuple[str, Any], ...]
    features: int
    loss: str
    transform: str
    ensemble: int
    training: Training


def flow_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> FlowRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    name = _known("--flow", given.get("flow") or "maf", FLOWS)
    embedding = _known("--embedding", given.get("embedding") or "auto", EMBEDDINGS)
    settings, training, ensemble = flow_defaults(name, rows, shapes)
    embedded = {key.removeprefix("embedding_"): value for key, value in given.items() if key.startswith("embedding_")}
    features = embedded.pop("features", None) or 32
    mlp, cnn = MLP(hidden=64, layers=1, dropout=0.1), CNN()
    if any(value is not None for value in embedded.values()):
        if embedding == "none" or (embedding == "auto" and all(len(shape) == 1 for shape in shapes)):
            raise UserError("--embedding-...: there is no embedding to set; --embedding mlp or cnn makes one")
        mlp, cnn = override(mlp, embedded, "the mlp embedding"), override(cnn, embedded, "the cnn embedding")
    return FlowRecipe(
        name,
        override(settings, {key: given.get(key) for key in _OF_RECIPES}, f"--flow {name}"),
        embedding,
        features,
        mlp,
        cnn,
        _known("--support", given.get("support") or "auto", (*SUPPORTS, "auto")),
        _known("--transform", given.get("transform") or "auto", TRANSFORMS),
        _members(given.get("ensemble") or ensemble),
        override(training, {key: given.get(key) for key in _OF_TRAINING}, "training"),
    )


def regressor_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> RegressorRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    asked = given.get("network") or "auto"
    _known("--network", asked, (*NETWORKS, "auto"))
    training, ensemble = regressor_defaults(rows, shapes)
    networks = []
    for shape in shapes:
        name = asked if asked != "auto" else ("mlp" if len(shape) == 1 else "cnn")
        settings = MLP(dropout=0.1) if name == "mlp" else NETWORKS[name]()
        options = {key: given.get(key) for key in _OF_RECIPES}
        networks.append((name, override(settings, options, f"--network {name}")))
    return RegressorRecipe(
        tuple(networks),
        32,
        _known("--loss", given.get("loss") or "moment", LOSSES),
        _known("--transform", given.get("transform") or "auto", TRANSFORMS),
        _members(given.get("ensemble") or ensemble),
        override(training, {key: given.get(key) for key in _OF_TRAINING}, "training"),
    )


def flow_defaults(name: str, rows: int, shapes: Sequence[tuple[int, ...]]) -> tuple[Any, Training, int]:
    """Flow settings, training and members for so many training rows."""
    settings = FLOWS[name](layers=3, hidden=50)
    return settings, Training(epochs=150), 5


def regressor_defaults(rows: int, shapes: Sequence[tuple[int, ...]]) -> tuple[Training, int]:
    return Training(epochs=150), 5


_OF_RECIPES = ("layers", "hidden", "blocks", "bins", "kernel", "dropout", "activation")
_OF_TRAINING = tuple(field.name for field in fields(Training))


def override(recipe: Recipe, given: Given, what: str) -> Recipe:
    """The recipe with what was given; a setting that it lacks is an error that lists those it has."""
    said = {key: value for key, value in given.items() if value is not None}
    has = [field.name for field in fields(recipe)]  # type: ignore[arg-type]
    for key in said:
        if key not in has:
            raise UserError(f"{what} has no {_flag(key)}; it has {', '.join(_flag(name) for name in has)}")
    if "activation" in said:
        _known("--activation", said["activation"], ACTIVATIONS)
    for key in ("layers", "hidden", "blocks", "bins", "kernel"):
        if key in said and said[key] < 1:
            raise UserError(f"{_flag(key)}: expected at least 1, found {said[key]}")
    if not 0 <= said.get("dropout", 0) < 1:
        raise UserError(f"--dropout: expected a share in [0, 1), found {said['dropout']:g}")
    return replace(recipe, **said)  # type: ignore[type-var]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _known(flag: str, name: str, table: Any) -> str:
    if name not in table:
        raise UserError(f"{flag}: {name!r} is not known; there are {', '.join(table)}")
    return name


def _members(ensemble: int) -> int:
    if ensemble < 1:
        raise UserError(f"--ensemble: expected at least 1 member, found {ensemble}")
    return ensemble
