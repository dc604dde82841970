"""The input of all figures: a posterior, its evaluation, the history of its model, and how to draw them; its draws."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.metrics import Curves, Evaluation, curves
from cosmoinfer.posterior import Posterior

if TYPE_CHECKING:  # torch, which no figure needs
    from cosmoinfer.training.state import History


@dataclass(frozen=True)
class FigureData:
    """The input of all figures.

    posterior: of which all figures but the training history are drawn.
    evaluation: for numbers written into figures; None leaves them out.
    histories: name of a stack of networks -> its training history.
    loss: the quantity on the vertical axis of the training history.
    seed: of randomised ranks and resampling; that of the evaluation gives the same ranks.
    overlays: posteriors of one observation each that share a corner, by name; by default the typical one of posterior.
    members: posteriors of the observation under each network of an ensemble, with the name that those alike share.
    parameters: names of those that the corner shows; all if empty.
    catalog: simulations, with their parameters. observation: the catalog of what was observed, where it is another.
    marks: parameter -> value that the corner marks, in place of the true parameters.
    width: of a figure in print, in inches; None where it is as wide as its panels ask for.
    """

    posterior: Posterior
    evaluation: Evaluation | None = None
    histories: Mapping[str, "History"] = field(default_factory=dict)
    loss: str = "minus mean log density"
    seed: int = 0
    overlays: Mapping[str, Posterior] = field(default_factory=dict)
    members: tuple[tuple[str, Posterior], ...] = ()
    parameters: tuple[str, ...] = ()
    marks: Mapping[str, float] | None = None
    catalog: Catalog | None = None
    observation: Catalog | None = None
    width: float | None = None

    @cached_property
    def curves(self) -> Curves:
        """Coverage and rank curves; empty without true parameters, and of a single observation."""
        if self.posterior.truth is None or len(self.posterior) < 2:
            return Curves({}, {}, None, None, None)
        return curves(self.posterior, self.seed)

    def metric(self, name: str, parameter: str) -> float | None:
        """Value of a metric for one parameter; None where it was not computed, or is null."""
        return None if self.evaluation is None else self.evaluation.value(name, parameter)


def distinct_draws(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct draws (D, P) in the order in which they come first, and how often each does, (D,).

    Kernels that are chosen by the number of draws would fit the copies of one, as a reweighted posterior has them.
    """
    _, first, counts = np.unique(draws, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return draws[first[order]], counts[order].astype(float)
