"""Ours: one architecture, trained as ``train-flow`` trains it, with the time of each epoch."""

from dataclasses import dataclass
from typing import Any

import cosmoinfer
from cosmoinfer import split
from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.device import prepare_device
from cosmoinfer.flows.maf import MAF
from cosmoinfer.flows.nsf import NSF
from cosmoinfer.models.flow import FlowModel, fit_flow
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.training.settings import TrainingContext, TrainingSettings
from tests.benchmarks.speed.clock import Seconds, now, since
from tests.benchmarks.speed.problem import Problem

# as many transforms, hidden layers in each (one more than ``blocks``), neurons and bins as the peer has as it ships
AS_PEER: dict[str, Any] = {
    "sbi-nsf": NSF(layers=5, hidden=50, blocks=4, bins=10),
    "sbi-maf": MAF(layers=5, hidden=50, blocks=2),
    "lampe-nsf": NSF(layers=3, hidden=64, blocks=1, bins=8),
    "lampe-maf": MAF(layers=3, hidden=64, blocks=1),
}


def shape(recipe: Any) -> str:
    """Transforms, hidden layers in each, neurons."""
    return f"{type(recipe).__name__} {recipe.layers} x {recipe.blocks + 1} x {recipe.hidden}"


@dataclass(frozen=True)
class Fitted:
    """ends: of each epoch, since the training began. log_prob: after each, the mean over the held rows, in nats."""

    model: FlowModel
    sims: Catalog
    ends: list[Seconds]
    log_prob: list[float]

    @property
    def weights(self) -> int:
        return sum(parameter.numel() for stack in self.model.stacks for parameter in stack.network.parameters())


def fit(
    problem: Problem, settings: Any, training: TrainingSettings, members: int = 1, support: str = "probit"
) -> Fitted:
    device = prepare_device("cpu", threads=1)
    sims = cosmoinfer.read_catalog(problem.catalog)
    assert sims.split_labels is not None
    frame = fit_preprocessing(sims, split.by_labels(sims.simulation, sims.split_labels), ReadOptions(), "auto")
    stack = StackRecipe(type(settings).__name__.lower(), settings, (("none", None),), 1, training)
    recipe = FlowRecipe((stack,), (support,), "auto", "", "none", members)
    begun: list[Seconds] = []  # it says so just before it trains
    ends: list[Seconds] = []
    log_prob: list[float] = []

    def listen(epoch: int, epochs: int, loss: float, validation: float) -> None:
        ends.append(since(begun[-1]))
        log_prob.append(-validation)

    context = TrainingContext(device, 0, lambda line: begun.append(now()), listen)
    return Fitted(
        fit_flow(sims, split.by_labels(sims.simulation, sims.split_labels), frame, recipe, context),
        sims,
        ends,
        log_prob,
    )
