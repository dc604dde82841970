"""The settings that a search varies, each with its range; and what it makes of the recipe that it begins with.

A setting of a flow that has no range here keeps its default. Ranges grow to hold the defaults of a recipe.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cosmoinfer.flows import FLOWS
from cosmoinfer.models.flow.recipe import EMBEDDING, FlowRecipe, StackRecipe
from cosmoinfer.settings import settings_of
from cosmoinfer.training.settings import TrainingSettings

Value = str | int | float
EMBEDDINGS = ("none", "mlp")  # of vectors


@dataclass(frozen=True)
class Range:
    """Whole numbers if ``low`` is one. log: even in the logarithm."""

    low: float
    high: float
    log: bool = False

    def including(self, values: Collection[float]) -> "Range":
        """As wide as it takes to hold these values too."""
        return replace(self, low=min(self.low, *values), high=max(self.high, *values)) if values else self


RANGES = {
    "layers": Range(2, 8),
    "hidden": Range(32, 256, log=True),
    "blocks": Range(1, 3),
    "bins": Range(4, 16),
    "dropout": Range(0.0, 0.4),
    "learning_rate": Range(2e-4, 5e-3, log=True),
    "batch_size": Range(32, 512, log=True),
    "weight_decay": Range(1e-4, 0.3, log=True),
}


class Suggestions(Protocol):
    """Who chooses the values of a trial, one after the other."""

    def choose(self, name: str, choices: Sequence[str]) -> str:
        """One of several names."""

    def whole_number(self, name: str, low: int, high: int, log: bool) -> int:
        """A whole number from ``low`` to ``high``."""

    def real_number(self, name: str, low: float, high: float, log: bool) -> float:
        """A real number from ``low`` to ``high``."""


@dataclass(frozen=True)
class SearchSpace:
    """flows: their names. embeddings: networks between data and flow; empty where they are not varied. ranges: by
    setting."""

    flows: tuple[str, ...]
    embeddings: tuple[str, ...]
    ranges: Mapping[str, Range]

    @classmethod
    def of_recipe(cls, recipe: FlowRecipe, fixed: Collection[str]) -> "SearchSpace":
        """The flows of a recipe with all settings that are not fixed by a user. fixed: their names."""
        flows = tuple(dict.fromkeys(stack.flow for stack in recipe.stacks))
        names = settings_of(*(FLOWS[flow] for flow in flows), TrainingSettings)
        ranges = {
            name: entry.including([_value(stack, name) for stack in recipe.stacks if name in _names(stack.flow)])
            for name, entry in RANGES.items()
            if name in names and name not in fixed
        }
        networks = {name for stack in recipe.stacks for name, _ in stack.embedding}
        is_open = "embedding" not in fixed and recipe.observation == "row" and networks <= {*EMBEDDINGS}
        needs_network = any(name.startswith(EMBEDDING) for name in fixed)
        return cls(flows, EMBEDDINGS[needs_network:] if is_open else (), ranges)

    def suggest(self, suggestions: Suggestions) -> dict[str, Value]:
        """The settings of a trial, by name."""
        settings: dict[str, Value] = {"flow": suggestions.choose("flow", self.flows)}
        if self.embeddings:
            settings["embedding"] = suggestions.choose("embedding", self.embeddings)
        for name, entry in self.ranges.items():
            if name in _names(str(settings["flow"])):
                if isinstance(entry.low, int):
                    settings[name] = suggestions.whole_number(name, entry.low, int(entry.high), entry.log)
                else:
                    settings[name] = suggestions.real_number(name, entry.low, entry.high, entry.log)
        return settings

    def settings_of(self, stack: StackRecipe) -> dict[str, Value]:
        """Those of an architecture of the recipe, as ``suggest`` gives them."""
        settings: dict[str, Value] = {"flow": stack.flow}
        if self.embeddings:
            settings["embedding"] = stack.embedding[0][0]
        return settings | {name: _value(stack, name) for name in self.ranges if name in _names(stack.flow)}


def _names(flow: str) -> tuple[str, ...]:
    return settings_of(FLOWS[flow], TrainingSettings)


def _value(stack: StackRecipe, name: str) -> float:
    value: float = getattr(stack.training if name in settings_of(TrainingSettings) else stack.settings, name)
    return value
