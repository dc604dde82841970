"""What recipes of all models share: defaults by the rows and shapes of the data, and what a user gave laid over them.

A setting may follow the name of what it belongs to, ``flow="nsf:bins=8"`` (an inline setting): the fields of every
recipe are settings of its name, and are listed nowhere else.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cosmoinfer.errors import UserError, suggest
from cosmoinfer.networks.cnn import CNN
from cosmoinfer.networks.mlp import MLP
from cosmoinfer.settings import check_settings, setting, settings_of
from cosmoinfer.training.settings import OPTIMIZERS, TrainingSettings

Recipe = TypeVar("Recipe")
Overrides = Mapping[str, Any]  # by the name of the setting; None where the user gave none
FEW_TRAINING_ROWS = 1000  # below, networks need dropout
MANY_TRAINING_ROWS = 3000  # from here on, larger networks and longer trainings pay
Shapes = Sequence[tuple[int, ...]]  # of one row, one a summary
OPEN_CHOICES = ("", "auto")  # names that leave the choice open


def default_training(rows: int, shapes: Shapes) -> TrainingSettings:
    """Vectors: 2,100 steps of 100 rows, 5,000 of 256 from 3,000 rows on. With a CNN fewer, by the number of rows.

    Measured: tests/benchmarks/DEFAULTS.md.
    """
    if are_vectors(shapes):
        batch, n_steps, rate, min_epochs = (100, 2100, 1e-3, 20) if rows < MANY_TRAINING_ROWS else (256, 5000, 1e-3, 20)
    else:
        batch, n_steps, rate, min_epochs = (100, 1050, 1e-3, 20) if rows < FEW_TRAINING_ROWS else (100, 700, 2e-3, 8)
        if rows >= MANY_TRAINING_ROWS:
            batch, n_steps, rate, min_epochs = 64, 2000, 3e-3, 4
    epochs = min(300, max(min_epochs, round(n_steps * batch / rows)))
    return TrainingSettings(epochs=epochs, batch_size=batch, learning_rate=rate)


def are_vectors(shapes: Shapes) -> bool:
    return all(len(shape) == 1 for shape in shapes)


def default_network(shape: tuple[int, ...]) -> tuple[str, Any]:
    """An MLP for a vector, a CNN for what has axes, by name and settings."""
    if len(shape) == 1:
        return "mlp", MLP(hidden=128, layers=2)
    return "cnn", CNN(hidden=8)


def default_members(shapes: Shapes) -> int:
    return 5 if are_vectors(shapes) else 2


@dataclass(frozen=True)
class InlineSettings:
    """The settings that may follow each of a set of names, ``bins`` in ``nsf:bins=8``.

    settings: by name. prefix: begins the names of these settings where each is given by itself.
    """

    settings: Mapping[str, tuple[str, ...]]
    prefix: str = ""

    @classmethod
    def from_recipes(cls, table: Mapping[str, Any]) -> "InlineSettings":
        """Of the recipes of a table: their fields."""
        return cls({name: settings_of(recipe) for name, recipe in table.items()})

    def has_name(self, name: str) -> bool:
        """Whether settings may follow this name; it may be ``auto``."""
        return name in self.settings or name in OPEN_CHOICES

    def settings_for(self, name: str) -> tuple[str, ...]:
        """Those that may follow a name which ``has_name`` accepts; ``auto`` may be followed by those of all names."""
        if name in OPEN_CHOICES:
            return tuple(dict.fromkeys(key for settings in self.settings.values() for key in settings))
        return self.settings[name]


OPTIMIZER_SETTINGS = InlineSettings(OPTIMIZERS)


class MissingSettingError(UserError):
    """A recipe does not have a setting that was given."""


@dataclass(frozen=True)
class SharedSettings:
    """Settings of a training that are no fields of a flow, a network or ``TrainingSettings``; of any model.

    flow, network, embedding, loss, support, transform, compress, augment, observation: names, some with inline
    settings. ensemble: members of the best architecture. effort: how much a race may cost. unconditional: a density of
    the data alone.
    """

    flow: str | None = None
    network: str | None = None
    embedding: str | None = None
    loss: str | None = None
    support: str | None = None
    transform: str | None = None
    compress: str | None = None
    augment: str | None = None
    observation: str | None = None
    ensemble: int | None = setting(None, minimum=1, maximum=1000)
    effort: str | None = None
    unconditional: bool = False


@dataclass(frozen=True)
class ExpandedOverrides:
    """Overrides without inline settings.

    overrides: each setting by itself. origins: of those that were inline, (setting, value) as the user gave them.
    """

    overrides: Overrides
    origins: Mapping[str, tuple[str, str]]

    @contextmanager
    def errors_naming_origin(self) -> Iterator[None]:
        """Let a UserError about an inline setting say where it was given: ``flow=nsf:bins=0: expected ...``.

        Raises UserError in place of the one raised inside.
        """
        try:
            yield
        except UserError as error:
            if error.setting not in self.origins:
                raise
            raise UserError(error.message, *self.origins[error.setting]) from error


def expand_inline_settings(overrides: Overrides, inline_settings: Mapping[str, InlineSettings]) -> ExpandedOverrides:
    """``embedding="cnn:hidden=8,kernel=3"`` as ``embedding="cnn", embedding_hidden=8, embedding_kernel=3``.

    inline_settings: by the setting whose value is a name. Raises UserError if what follows a name is no
    ``setting=value``, no setting of it, or is given twice.
    """
    expanded, origins = dict(overrides), {}
    for owner, allowed in inline_settings.items():
        name, colon, assignments = str(overrides.get(owner) or "").partition(":")
        if not colon:
            continue
        expanded[owner] = name
        if not allowed.has_name(name):  # whoever looks the name up says so
            continue
        for assignment in assignments.split(","):
            key, equals, text = (word.strip() for word in assignment.partition("="))
            if not (key.isidentifier() and equals and text):
                raise UserError(f"{assignment!r} is not understood; expected as in {name}:setting=value", owner)
            settings = allowed.settings_for(name)
            if key not in settings:
                choices = "; ".join(filter(None, (", ".join(settings) or "none", suggest(key, settings))))
                raise UserError(f"{name} has no setting {key!r}; it has {choices}", owner)
            if expanded.get(allowed.prefix + key) is not None:
                raise UserError(f"{key} is given twice", owner)
            expanded[allowed.prefix + key] = parse_literal(text)
            origins[allowed.prefix + key] = owner, f"{name}:{key}={text}"
    return ExpandedOverrides(expanded, origins)


def parse_literal(text: str) -> bool | int | float | str:
    """``true``, ``8``, ``0.1``, and every other text as it stands."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def select(overrides: Overrides, names: Collection[str], prefix: str = "") -> Overrides:
    """Those of these names that were given; prefix: begins their names, and is taken off."""
    return {name: value for name in names if (value := overrides.get(prefix + name)) is not None}


def override(recipe: Recipe, overrides: Overrides, recipe_name: str, prefix: str = "") -> Recipe:
    """The recipe with these settings in place of its own.

    recipe_name, prefix: of the recipe, and of its settings, in an error. Raises MissingSettingError if the recipe lacks
    the setting (it lists those it has), UserError if a value is not allowed.
    """
    changed = {key: value for key, value in overrides.items() if value is not None}
    allowed = settings_of(recipe)
    for key in changed:
        if key not in allowed:
            listing = ", ".join(allowed) or "none"
            raise MissingSettingError(f"{recipe_name} has no such setting; it has {listing}", setting=prefix + key)
    with prefixed_errors(prefix):
        check_settings(recipe, changed)
        return replace(recipe, **changed)  # type: ignore[type-var]


@contextmanager
def prefixed_errors(prefix: str) -> Iterator[None]:
    """Let a UserError name its settings with this prefix, ``embedding_kernel`` for the ``kernel`` of an embedding.

    Raises UserError in place of the one raised inside.
    """
    try:
        yield
    except UserError as error:
        if not prefix:
            raise
        message = re.sub(r"`(?=\w)", f"`{prefix}", error.message)
        raise UserError(message, error.setting and prefix + error.setting, error.value) from error


def override_each(
    networks: Sequence[tuple[str, Any]], overrides: Overrides, setting_name: str, prefix: str = ""
) -> tuple[tuple[str, Any], ...]:
    """The same for several networks, (name, settings) each, None where there is nothing to set.

    A setting goes to the networks that have it; one that none of them has is an error.
    """
    networks_with_overrides = []
    for name, settings in networks:
        elsewhere = {
            key
            for other_name, other_settings in networks
            if other_name != name and other_settings
            for key in settings_of(other_settings)
        }
        own_settings = () if settings is None else settings_of(settings)
        applicable = {key: value for key, value in overrides.items() if key in own_settings or key not in elsewhere}
        networks_with_overrides.append(
            (name, settings if settings is None else override(settings, applicable, f"`{setting_name}={name}`", prefix))
        )
    return tuple(networks_with_overrides)


def override_training(training: TrainingSettings, overrides: Overrides) -> TrainingSettings:
    """With those of the settings that are of a training. Raises UserError if a value is not allowed."""
    return override(training, select(overrides, settings_of(training)), "training")


def recipe_of_size(recipe: Callable[..., Any], sizes: Mapping[str, Any]) -> Any:
    """A recipe with those of these settings that it has, as ``hidden`` and ``dropout``."""
    return recipe(**{name: value for name, value in sizes.items() if name in settings_of(recipe)})


def ensemble_size(overrides: Overrides, default: int) -> int:
    """The number of members that was given, or the default. Raises UserError if it is less than one."""
    ensemble: int = default if overrides.get("ensemble") is None else overrides["ensemble"]
    if ensemble < 1:
        raise UserError(f"expected at least 1 member, found {ensemble}", setting="ensemble")
    return ensemble
