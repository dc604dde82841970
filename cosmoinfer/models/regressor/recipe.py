"""What regressor to train: networks, loss, ensemble and training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cosmoinfer.losses import LOSSES
from cosmoinfer.models.defaults import default_members, default_training
from cosmoinfer.models.options import OF_RECIPES, OF_TRAINING, Given, known, members, override, said
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.scaling import TRANSFORMS
from cosmoinfer.training import Training


@dataclass(frozen=True)
class RegressorRecipe:
    """networks: one (name, settings) a summary; features: where several summaries meet."""

    networks: tuple[tuple[str, Any], ...]
    features: int
    loss: str
    transform: str
    ensemble: int
    training: Training


def regressor_recipe(given: Given, rows: int, shapes: Sequence[tuple[int, ...]]) -> RegressorRecipe:
    """The defaults for so many training rows of these shapes, overridden by what was given."""
    asked = given.get("network") or "auto"
    known("--network", asked, (*NETWORKS, "auto"))
    training = default_training(rows, shapes)
    networks = []
    for shape in shapes:
        name = asked if asked != "auto" else ("mlp" if len(shape) == 1 else "cnn")
        settings = MLP(dropout=0.2, activation="relu") if name == "mlp" else NETWORKS[name]()
        options = {key: given.get(key) for key in OF_RECIPES}
        networks.append((name, override(settings, options, f"--network {name}")))
    return RegressorRecipe(
        tuple(networks),
        32,
        known("--loss", given.get("loss") or "moment", LOSSES),
        known("--transform", given.get("transform") or "auto", TRANSFORMS),
        members(said(given.get("ensemble"), default_members(shapes))),
        override(training, {key: given.get(key) for key in OF_TRAINING}, "training"),
    )
