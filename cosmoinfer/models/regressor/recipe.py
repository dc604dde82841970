"""What regressor or classifier to train: networks, loss, ensemble and training."""

from dataclasses import dataclass
from typing import Any

from cosmoinfer.errors import UserError
from cosmoinfer.losses import CLASSIFICATION_LOSSES, LOSSES
from cosmoinfer.models.recipe import (
    OPTIMIZER_SETTINGS,
    InlineSettings,
    Overrides,
    Shapes,
    default_members,
    default_network,
    default_training,
    ensemble_size,
    expand_inline_settings,
    override_each,
    override_training,
    select,
)
from cosmoinfer.networks import NETWORKS
from cosmoinfer.networks.baselines import BASELINES
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.preprocessing.standardizer import TRANSFORMS
from cosmoinfer.settings import check_choice, settings_of
from cosmoinfer.training.settings import TrainingSettings


@dataclass(frozen=True)
class RegressorRecipe:
    """networks: one (name, settings) a summary; features: where several summaries meet."""

    networks: tuple[tuple[str, Any], ...]
    features: int
    loss: str
    transform: str
    compress: str
    augment: str
    ensemble: int
    training: TrainingSettings

    @property
    def is_baseline(self) -> bool:
        """Whether the network is a baseline, solved and not descended."""
        return any(name in BASELINES for name, _ in self.networks)


def regressor_settings() -> tuple[str, ...]:
    """Names of the settings that ``regressor_recipe`` takes."""
    return (
        *("network", "loss", "transform", "compress", "augment", "ensemble"),
        *settings_of(*NETWORKS.values(), *BASELINES.values()),
        *settings_of(TrainingSettings),
    )


def regressor_recipe(overrides: Overrides, rows: int, shapes: Shapes, classes: int = 0) -> RegressorRecipe:
    """The defaults for so many training rows of these shapes, overridden by settings; classes: of a target.

    Raises UserError if a setting is not known, not allowed, or one that the network does not have.
    """
    expanded = expand_inline_settings(
        overrides, {"network": InlineSettings.from_recipes(NETWORKS | BASELINES), "optimizer": OPTIMIZER_SETTINGS}
    )
    with expanded.errors_naming_origin():
        return _regressor_recipe(expanded.overrides, rows, shapes, classes)


def _regressor_recipe(overrides: Overrides, rows: int, shapes: Shapes, classes: int) -> RegressorRecipe:
    name = check_choice("network", overrides.get("network") or "auto", (*NETWORKS, *BASELINES, "auto"))
    if name in BASELINES:
        _check_baseline(name, overrides, shapes, classes)
    networks = [_default_network(name, shape) for shape in shapes]
    table: Any = CLASSIFICATION_LOSSES if classes else LOSSES
    loss = "cross-entropy" if classes else "mse" if name in BASELINES else "moment"
    ensemble = 1 if name in BASELINES else default_members(shapes)
    loss = check_choice("loss", overrides.get("loss") or loss, table)
    training = override_training(default_training(rows, shapes), overrides)
    if training.warm_up and (classes or LOSSES[loss].output_head == "point"):
        raise UserError(
            f"applies to losses with widths, as moment; found the loss {loss}",
            setting="warm_up",
            value=training.warm_up,
        )
    return RegressorRecipe(
        override_each(networks, select(overrides, settings_of(*NETWORKS.values(), *BASELINES.values())), "network"),
        32,
        loss,
        check_choice("transform", overrides.get("transform") or "auto", TRANSFORMS),
        overrides.get("compress") or "",
        overrides.get("augment") or "auto",
        ensemble_size(overrides, ensemble),
        training,
    )


def _default_network(requested: str, shape: tuple[int, ...]) -> tuple[str, Any]:
    name, settings = default_network(shape)
    if requested in BASELINES:
        return requested, BASELINES[requested]()
    if requested not in ("auto", name):
        name, settings = requested, NETWORKS[requested]()
    return name, MLP(dropout=0.2, activation="relu") if name == "mlp" else settings


def _check_baseline(name: str, overrides: Overrides, shapes: Shapes, classes: int) -> None:
    """A baseline regresses one summary; it has no descent to set."""
    if len(shapes) > 1 or classes:
        raise UserError(
            "expected parameters and a single observable (`data` selects one)", setting="network", value=name
        )
    if overrides.get("loss") not in (None, "mse"):
        raise UserError("minimises the squared error; expected `loss=mse`", setting="network", value=name)
    for key in ("ensemble", "augment", *settings_of(TrainingSettings)):
        if overrides.get(key) is not None:
            raise UserError(f"is not trained by gradient descent and has no `{key}`", setting="network", value=name)
