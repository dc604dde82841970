"""What figures are made of: a posterior, its metrics and the learning curves of its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cosmoinfer.metrics import Curves, curves
from cosmoinfer.posterior import Posterior
from cosmoinfer.training.history import History


@dataclass(frozen=True)
class FigureData:
    """What figures are made of. metrics: the dictionary of ``evaluate``. histories: name of a stack -> its History.

    loss: what the learning curves measure, as an axis label.
    """

    posterior: Posterior
    metrics: Mapping[str, Any] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    loss: str = "minus mean log density"
    seed: int = 0

    @cached_property
    def curves(self) -> Curves:
        """Empty without truths."""
        known = self.posterior.truth is not None
        return curves(self.posterior, self.seed) if known else Curves({}, {}, None, None, None)

    def metric(self, name: str, parameter: str) -> float | None:
        """Its value for one parameter; None where it was not computed, or is null."""
        values = self.metrics.get("metrics", {}).get("parameters", {}).get(name) or {}
        return (values.get(parameter) or {}).get("value")
