"""What density to train: a flow of vectors or of maps, with or without a condition."""

from dataclasses import dataclass
from typing import Any

from cosmoinfer.errors import UserError
from cosmoinfer.flows import FLOWS, MAP_FLOWS
from cosmoinfer.models.recipe import (
    FEW_TRAINING_ROWS,
    MANY_TRAINING_ROWS,
    OPTIMIZER_SETTINGS,
    InlineSettings,
    Overrides,
    ensemble_size,
    expand_inline_settings,
    override,
    override_training,
    recipe_of_size,
    select,
)
from cosmoinfer.preprocessing.standardizer import TRANSFORMS
from cosmoinfer.settings import check_choice, settings_of
from cosmoinfer.training.settings import TrainingSettings


@dataclass(frozen=True)
class DensityRecipe:
    """flow: by name, of FLOWS for a vector, of MAP_FLOWS for a map. conditional: p(x | theta), else p(x)."""

    flow: str
    settings: Any
    conditional: bool
    transform: str
    augment: str
    ensemble: int
    training: TrainingSettings


def density_settings() -> tuple[str, ...]:
    """Names of the settings of a density: those that ``density_recipe`` takes, and ``unconditional``."""
    return (
        *("flow", "unconditional", "transform", "augment", "ensemble"),
        *settings_of(*FLOWS.values(), *MAP_FLOWS.values()),
        *settings_of(TrainingSettings),
    )


def density_recipe(overrides: Overrides, rows: int, kinds: tuple[str, ...], conditional: bool) -> DensityRecipe:
    """The defaults for so many training rows of one observable, overridden by settings.

    Raises UserError if a setting is not known or not allowed, or the observable is no vector or map.
    """
    if len(kinds) != 1 or kinds[0] not in ("vector", "map"):
        raise UserError(
            f"a density is trained on one vector or map a row, found {' and '.join(kinds)} (`data` names one)"
        )
    table: dict[str, Any] = FLOWS if kinds[0] == "vector" else MAP_FLOWS
    expanded = expand_inline_settings(
        overrides, {"flow": InlineSettings.from_recipes(table), "optimizer": OPTIMIZER_SETTINGS}
    )
    with expanded.errors_naming_origin():
        return _density_recipe(expanded.overrides, rows, kinds[0], conditional, table)


def _density_recipe(
    overrides: Overrides, rows: int, kind: str, conditional: bool, table: dict[str, Any]
) -> DensityRecipe:
    name = check_choice("flow", overrides.get("flow") or ("maf" if kind == "vector" else "glow"), table)
    settings = select(overrides, settings_of(*FLOWS.values(), *MAP_FLOWS.values()))
    sizes = {"dropout": 0.2} if rows < FEW_TRAINING_ROWS else {}  # few rows are soon learned by heart
    return DensityRecipe(
        name,
        override(recipe_of_size(table[name], sizes), settings, f"`flow={name}`"),
        conditional,
        check_choice("transform", overrides.get("transform") or "auto", TRANSFORMS),
        overrides.get("augment") or "auto",
        ensemble_size(overrides, 1),
        override_training(default_training(rows, kind), overrides),
    )


def default_training(rows: int, kind: str) -> TrainingSettings:
    """Vectors: as many steps as a posterior's flow takes. Maps: small batches, since a step is dear."""
    if kind == "vector":
        batch = 100 if rows < MANY_TRAINING_ROWS else 256
        return TrainingSettings(epochs=min(300, max(30, 500_000 // rows)), batch_size=batch)
    return TrainingSettings(epochs=min(100, max(6, 60_000 // rows)), batch_size=64, learning_rate=4e-3)
