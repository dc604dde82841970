"""Training flows: rows in, a model out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import special
from torch import Tensor, nn

from cosmoinfer import losses
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, listed
from cosmoinfer.models.bench import Bench, uniform
from cosmoinfer.models.flow.model import ConditionalFlow, FlowModel, build_flow, conditions, stack_config
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.models.frame import Frame
from cosmoinfer.models.regressor.model import RegressorModel
from cosmoinfer.models.stack import Stack, generators
from cosmoinfer.scaling import SUPPORTS, Support, fit_support
from cosmoinfer.training import Loss, Rows, train

COMPARING_DRAWS = 1000  # a row, for the mass inside the box when supports are compared
PILOT_MEMBERS = 2
PILOT_SHARE = 3  # a pilot trains for a third of the epochs
LEAST_SHARE = 0.02  # of the mixture; an architecture that gets less is left out
COMPARING_ROWS = 500  # validation rows that decide between supports
TIE = 0.05  # nat: what is not worth a flow that overflows its box


def fit_flow(
    catalog: Catalog, frame: Frame, recipe: FlowRecipe, bench: Bench, summary: RegressorModel | None = None
) -> FlowModel:
    """An ensemble of each architecture; the validation rows weigh them, and pick the support if it is ``auto``."""
    if summary is not None:
        _check_summary(summary, catalog, frame)
    support = _choose_support(catalog, frame, recipe, bench, summary)
    stacks = []
    for stack in recipe.stacks:
        bench.say(f"training {recipe.ensemble} x {stack.flow}, support {support.name}")
        stacks.append(_fit_stack(catalog, frame, stack, recipe.ensemble, support, bench, summary))
    models = [FlowModel(frame, support, (one,), uniform(recipe.ensemble), summary) for one in stacks]
    shares = _weigh(catalog, models, recipe, bench)
    kept = [number for number, share in enumerate(shares) if share >= LEAST_SHARE]
    weights = np.concatenate([shares[number] * models[number].weights for number in kept])
    return FlowModel(frame, support, tuple(stacks[number] for number in kept), weights / weights.sum(), summary)


def mixture_shares(log_probs: np.ndarray) -> np.ndarray:
    """The shares (K,) that maximise the mean log of a mixture of K densities, log_probs (K, n), by EM."""
    shares = np.full(len(log_probs), 1 / len(log_probs))
    for _ in range(500):
        with np.errstate(divide="ignore"):
            responsible = special.softmax(np.log(shares)[:, None] + log_probs, axis=0)
        shares = responsible.mean(axis=1)
    return shares


def prefer(scores: Sequence[np.ndarray], simulation: np.ndarray) -> int:
    """The first whose paired shortfall from the best is a tie: within one error, clustered by simulation, or tiny.

    Supports are asked in the order of ``SUPPORTS``: what cannot overflow the box comes before what can.
    """
    best = max(scores, key=np.mean)
    for number, score in enumerate(scores):
        shortfall = best - score
        if shortfall.mean() <= max(clustered_error(shortfall, simulation), TIE):
            return number
    raise AssertionError("the best falls short of itself")


def clustered_error(values: np.ndarray, simulation: np.ndarray) -> float:
    """Standard error of the mean of values (n,) when rows of one simulation move together."""
    _, cluster = np.unique(simulation, return_inverse=True)
    sums = np.bincount(cluster, weights=values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)) / len(values))


def _choose_support(
    catalog: Catalog, frame: Frame, recipe: FlowRecipe, bench: Bench, summary: RegressorModel | None
) -> Support:
    """The one that was asked for, or the one that the validation rows prefer after a pilot of each.

    A pilot is the first architecture with fewer members and epochs: three full trainings for one choice would be dear.
    """
    _, theta = catalog.training()
    train = theta[frame.split.rows(catalog.simulation, "train")]
    auto = recipe.support == "auto"
    names = (SUPPORTS if _any_bound(frame) else SUPPORTS[:1]) if auto else (recipe.support,)
    rows = frame.split.rows(catalog.simulation, "validation")[:COMPARING_ROWS]
    loose = _unconstrained(catalog, frame, rows) if auto else frozenset()
    supports = [fit_support(name, frame.parameters, train, loose) for name in names]
    if len(names) == 1:
        return supports[0]
    stack, members = recipe.stacks[0], min(PILOT_MEMBERS, recipe.ensemble)
    pilot = replace(stack, training=replace(stack.training, epochs=max(1, stack.training.epochs // PILOT_SHARE)))
    if loose:
        bench.say(f"probit in any case, since ridge finds next to nothing about them: {', '.join(sorted(loose))}")
    scores = []
    for support in supports:
        bench.say(f"pilot: support {support.name}")
        trained = _fit_stack(catalog, frame, pilot, members, support, bench, summary)
        model = FlowModel(frame, support, (trained,), uniform(members), summary)
        scores.append(model.log_prob(catalog, rows, theta[rows], COMPARING_DRAWS, bench.seed))
    chosen = prefer(scores, catalog.simulation[rows])
    told = ", ".join(f"{name} {score.mean():.2f}" for name, score in zip(names, scores, strict=True))
    bench.say(f"mean log_prob of the validation rows: {told}; taken: support {names[chosen]}")
    return supports[chosen]


def _unconstrained(catalog: Catalog, frame: Frame, rows: np.ndarray) -> frozenset[str]:
    """Parameters of which the ridge reference explains less than a tenth on the validation rows."""
    _, theta = catalog.training()
    residual = ((theta[rows] - frame.references(catalog, rows)) ** 2).sum(axis=0)
    r2 = 1 - residual / np.maximum(((theta[rows] - theta[rows].mean(axis=0)) ** 2).sum(axis=0), 1e-300)
    return frozenset(name for name, one in zip(frame.parameters.names, r2, strict=True) if one < 0.1)


def _fit_stack(
    catalog: Catalog,
    frame: Frame,
    stack: StackRecipe,
    members: int,
    support: Support,
    bench: Bench,
    summary: RegressorModel | None,
) -> Stack[ConditionalFlow]:
    """The members of one architecture, side by side."""
    _, theta = catalog.training()
    rows = [frame.split.rows(catalog.simulation, part) for part in ("train", "validation")]
    data = [conditions(frame, summary, catalog, some) for some in rows]
    config = stack_config(frame, tuple(part.shape[1:] for part in data[0]), stack)
    network = build_flow(config, generators(bench.seed, "initialise", members)).to(bench.device)
    scaled = [support.forward(theta[some]) for some in rows]
    parts = [bench.tensors(z, log_det[:, None], *part) for (z, log_det), part in zip(scaled, data, strict=True)]
    order = generators(bench.seed, "order", members)
    history = train(network, _LIKELIHOOD, parts[0], parts[1], stack.training, order, bench.listen)
    return Stack(config, members, network, history)


def _weigh(catalog: Catalog, models: list[FlowModel], recipe: FlowRecipe, bench: Bench) -> np.ndarray:
    """The share of each architecture in the mixture, (K,).

    Of truncated flows before renormalisation: it is their unnormalised mixture that is renormalised.
    """
    if len(models) == 1:
        return np.ones(1)
    _, theta = catalog.training()
    rows = models[0].frame.split.rows(catalog.simulation, "validation")
    log_probs = [model.unnormalised(catalog, rows, theta[rows]) for model in models]
    shares = mixture_shares(np.stack(log_probs))
    told = ", ".join(f"{share:.2f} {stack.flow}" for share, stack in zip(shares, recipe.stacks, strict=True))
    bench.say(f"the validation rows mix {told}")
    return shares


def _minus_log_prob(network: nn.Module, batch: Rows) -> Tensor:
    """-log q(theta | x) in catalog units, (M*B, 1)."""
    assert isinstance(network, ConditionalFlow)
    z, log_det, *data = batch
    return -(network.log_prob(z, network.embedding(*data))[:, None] + log_det)


_LIKELIHOOD = Loss(_minus_log_prob, losses.mean)


def _any_bound(frame: Frame) -> bool:
    return bool(np.isfinite([frame.parameters.low, frame.parameters.high]).any())


def _check_summary(summary: RegressorModel, catalog: Catalog, frame: Frame) -> None:
    """A summary that has learned from this split's validation or test rows would make them training rows."""
    summary.frame.check_data(catalog)
    held_out = np.concatenate([frame.split.rows(catalog.simulation, part) for part in ("validation", "test")])
    known = held_out[summary.frame.trained_on(catalog, held_out)]
    if len(known):
        raise UserError(
            f"--summary: the regressor was trained on {len(known)} validation or test rows of this split (row "
            f"{listed(catalog.index[known])}); train it with the same --split-seed, --fractions and --split-file"
        )
