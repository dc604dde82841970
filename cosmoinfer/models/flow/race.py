"""Which architectures and supports are worth training: short pilots of all, weighed by the validation rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.models.flow.candidate import Candidate
from cosmoinfer.models.flow.members import FlowTrainingData, fit_members
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.models.flow.shares import fit_weights, mean_shares, score_stacks
from cosmoinfer.supports import Support
from cosmoinfer.training.settings import TrainingContext

PILOT_MEMBERS = 2
PILOT_EPOCH_DIVISOR = 4  # a pilot trains for a quarter of the epochs
MIN_PILOT_SHARE = 0.04  # of the mixture of pilots; a candidate that gets less is left out
MAX_FINALISTS = 3  # architectures that are trained in full
MAX_PILOT_GAP = 0.3  # nat, from the best pilot, of one without a share that is trained in full


@dataclass(frozen=True)
class Finalist:
    """An architecture that is trained in full. supports: (M,), of each member."""

    recipe: StackRecipe
    supports: tuple[Support, ...]


def race(
    data: FlowTrainingData, recipe: FlowRecipe, supports: Sequence[Support], context: TrainingContext
) -> tuple[list[Finalist], list[Candidate]]:
    """The architectures that the validation rows ask for, to be trained in full, and what all pilots were worth."""
    members = min(PILOT_MEMBERS, recipe.ensemble)
    pilots = []
    for stack in recipe.stacks:
        epochs = max(1, stack.training.epochs // PILOT_EPOCH_DIVISOR)
        pilot = replace(stack, training=replace(stack.training, epochs=epochs, warm_up=0))
        context.info(f"pilot: {stack.architecture}, support {', '.join(support.name for support in supports)}")
        of_members = [support for support in supports for _ in range(members)]
        pilots += fit_members(data, pilot, of_members, context, recipe.augment)
    scores = score_stacks(data, pilots, context.seed)
    shares = mean_shares(fit_weights(scores, context.seed), scores.mass)
    candidates = [
        Candidate(
            pilot.architecture,
            pilot.support.name,
            float(log_prob.mean()),
            clustered_error(log_prob, scores.simulation),
            float(share),
        )
        for pilot, log_prob, share in zip(pilots, scores.normalised, shares, strict=True)
    ]
    table = len(recipe.stacks), len(supports)
    means = scores.normalised.mean(axis=1).reshape(table)
    return _finalists(recipe, supports, shares.reshape(table), means), candidates


def _finalists(
    recipe: FlowRecipe, supports: Sequence[Support], shares: np.ndarray, means: np.ndarray
) -> list[Finalist]:
    """shares, means: (A, S) of the pilots, the latter of their log_prob.

    Those with a share, the largest first; then, since pilots do not tell who gains most from a full training, those
    whose best mean is not far from that of all. Of each ``ensemble`` members, on its supports by their shares.
    """
    kept = np.where(shares >= MIN_PILOT_SHARE, shares, 0.0)
    may_gain = kept.any(axis=1) | (means.max(axis=1) >= means.max() - MAX_PILOT_GAP)
    order = np.lexsort([-means.max(axis=1), -kept.sum(axis=1)])
    finalists = []
    for number in sorted(number for number in order[:MAX_FINALISTS] if may_gain[number]):
        by_support = kept[number] if kept[number].any() else means[number] == means[number].max()
        counts = apportion(recipe.ensemble, by_support.astype(float))
        members = tuple(support for support, count in zip(supports, counts, strict=True) for _ in range(count))
        finalists.append(Finalist(recipe.stacks[number], members))
    return finalists


def apportion(members: int, shares: np.ndarray) -> list[int]:
    """Whole numbers that sum to ``members``, in proportion to shares (S,): by largest remainders."""
    exact = members * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for number in np.argsort(counts - exact, kind="stable")[: members - counts.sum()]:
        counts[number] += 1
    return [int(count) for count in counts]
