"""Which architectures and supports are worth training: short pilots of all, weighed by rows that they have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosmoinfer.models.architecture import describe_stack
from cosmoinfer.models.flow.candidate import Candidate
from cosmoinfer.models.flow.members import FlowTrainingData, Folds, fit_members
from cosmoinfer.models.flow.menu import EFFORTS
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.models.flow.recipe import FlowRecipe, StackRecipe
from cosmoinfer.models.flow.shares import Scores, fit_weights, mean_shares, score_held_out, score_stacks
from cosmoinfer.supports import SUPPORTS, Support
from cosmoinfer.training.loop import DivergedError
from cosmoinfer.training.settings import TrainingContext

PILOT_MEMBERS = 2
PILOT_EPOCH_DIVISOR = 4  # a pilot trains for a quarter of the epochs
FOLDS = 4  # of the training rows, of which each member of a pilot leaves out one
ENOUGH_VALIDATION_SIMULATIONS = 1000  # from which on pilots leave out nothing
MAX_MASS_RACED = 0.7  # of the truncated pilots inside box and region, above which no other support is raced
MIN_MEMBERS = 2  # of an architecture that is trained in full
ENSEMBLES = 2  # as many members as so many ensembles have are shared by the finalists
EXTENSION = 2  # times the epochs, for what does not overfit
MAX_GAP_EXTENDED = 0.2  # nat, between training rows and unseen ones, up to which it does not
MIN_PILOT_SHARE = 0.1  # of the mixture of pilots; an architecture that gets less is left out


@dataclass(frozen=True)
class Finalist:
    """An architecture that is trained in full. supports: (M,), of each member. candidates: (M,), numbers of the raced
    ones that they come from; empty where nothing was raced. extended: whether it has more epochs than were set."""

    recipe: StackRecipe
    supports: tuple[Support, ...]
    candidates: tuple[int, ...] = ()
    extended: bool = False

    def describe(self) -> str:
        """In one line."""
        supports = ", ".join(dict.fromkeys(support.label for support in self.supports))
        stack = describe_stack(len(self.supports), self.recipe.architecture, supports)
        epochs = f", for {self.recipe.training.epochs} epochs, since it does not overfit" if self.extended else ""
        return stack + epochs


@dataclass(frozen=True)
class Pilot:
    """A short training. architecture: its number in the recipe."""

    architecture: int
    stack: FlowStack


def race(
    data: FlowTrainingData, recipe: FlowRecipe, supports: Sequence[Support], context: TrainingContext
) -> tuple[list[Finalist], list[Candidate]]:
    """The architectures that unseen rows ask for, to be trained in full, and what all pilots were worth.

    All are tried on one support, which leaks out of the prior's box if there is such a one, and on the others those
    that get a share there. Where no support was asked for and hardly anything leaks, the others have nothing to add.
    Raises DivergedError, which names an architecture, where no pilot could be trained.
    """
    for reason in recipe.left_out:
        context.info(f"not raced: {reason}")
    folds = _folds(data, min(PILOT_MEMBERS, recipe.ensemble), context.seed)
    first, *others = _racing_order(supports)
    pilots, failures = _train_pilots(data, recipe, [(n, first) for n in range(len(recipe.stacks))], folds, context)
    if not pilots:
        raise DivergedError(f"no candidate could be trained; {failures[0]}")
    scores = _score_pilots(data, pilots, folds, context.seed)
    shares = mean_shares(fit_weights(scores), scores)
    if others:
        mass = float(shares @ scores.mean(scores.mass))
        if recipe.supports == ("auto",) and mass > MAX_MASS_RACED:
            context.info(f"{mass:.2f} of the pilots lies inside the prior: support {first.label} is enough")
        else:
            names = ", ".join(support.label for support in others)
            context.info(f"{mass:.2f} of the pilots lies inside the prior: support {names} is tried too")
            promising = [pilots[number].architecture for number in np.flatnonzero(_has_share(shares))]
            entries = [(number, support) for support in others for number in promising]
            added, _ = _train_pilots(data, recipe, entries, folds, context)
            if added:
                scores = scores.beside(_score_pilots(data, added, folds, context.seed, first=len(pilots)))
                shares = mean_shares(fit_weights(scores), scores)
                pilots += added
    stacks = [pilot.stack for pilot in pilots]
    candidates = [
        Candidate(
            stack.architecture,
            stack.support.label,
            float(log_prob),
            error,
            float(share),
            stack.weights_per_member,
            stack.epochs,
        )
        for stack, log_prob, error, share in zip(
            stacks, scores.mean(scores.normalised), scores.errors(scores.normalised), shares, strict=True
        )
    ]
    for candidate in candidates:
        context.info(candidate.describe_pilot())
    gaps = _gaps(stacks, scores)
    architectures = np.array([pilot.architecture for pilot in pilots])
    return _finalists(recipe, architectures, [stack.support for stack in stacks], shares, gaps), candidates


def _racing_order(supports: Sequence[Support]) -> list[Support]:
    """First those that leak out of the prior's box: the mass of these says whether others are needed.

    The map decides, not whether a support stays inside: none does in a region of the box.
    """
    return sorted(supports, key=lambda support: not SUPPORTS[support.name].overflows)


def _gaps(pilots: Sequence[FlowStack], scores: Scores) -> np.ndarray:
    """By how much the log_prob of training rows exceeds that of unseen ones at the end, (K,)."""
    return np.array([-pilot.history.train[-1].mean() for pilot in pilots]) - scores.mean(scores.log_prob)


def _train_pilots(
    data: FlowTrainingData,
    recipe: FlowRecipe,
    entries: Sequence[tuple[int, Support]],
    folds: Folds | None,
    context: TrainingContext,
) -> tuple[list[Pilot], list[str]]:
    """Of architectures, by their number in the recipe, on a support each; and why others diverged, a line each."""
    pilots: list[Pilot] = []
    failures: list[str] = []
    for number, support in entries:
        stack = recipe.stacks[number]
        epochs = max(1, stack.training.epochs // PILOT_EPOCH_DIVISOR)
        pilot = replace(stack, training=replace(stack.training, epochs=epochs))
        members = [support] * min(PILOT_MEMBERS, recipe.ensemble)
        name = f"{stack.architecture}, support {support.label}"
        context.info(f"pilot: {name}")
        try:
            (trained,) = fit_members(data, pilot, members, context, recipe.augment, folds=folds)
        except DivergedError as error:
            failures.append(f"{name}: {error.message}")
            context.info(f"left out: {name}: its loss is not finite")
        else:
            pilots.append(Pilot(number, trained))
    return pilots, failures


def _folds(data: FlowTrainingData, members: int, seed: int) -> Folds | None:
    """Each member of a pilot leaves out one, whose rows judge beside the validation rows where these are few.

    None where these are enough, where there are too few to leave out any, or where a summary network has seen them all.
    """
    train, validation = (data.catalog.simulation[rows] for rows in (data.training_rows, data.validation_rows))
    enough = len(np.unique(validation)) >= ENOUGH_VALIDATION_SIMULATIONS
    if enough or len(np.unique(train)) < FOLDS**2 or data.summary is not None:
        return None
    return Folds.of_simulations(train, FOLDS, members, seed)


def _score_pilots(
    data: FlowTrainingData, pilots: Sequence[Pilot], folds: Folds | None, seed: int, first: int = 0
) -> Scores:
    """On rows that they have not seen. first: number of the first one among all."""
    stacks = [pilot.stack for pilot in pilots]
    scores = score_stacks(data, stacks, seed, first)
    return scores if folds is None else scores.joined(score_held_out(data, stacks, folds, seed, first))


def _has_share(shares: np.ndarray) -> np.ndarray:
    """Which architectures are worth a further training, the best one in any case. shares: (A,)."""
    return (shares >= MIN_PILOT_SHARE) | (shares == shares.max())


def _finalists(
    recipe: FlowRecipe,
    architectures: np.ndarray,
    supports: Sequence[Support],
    shares: np.ndarray,
    gaps: np.ndarray,
) -> list[Finalist]:
    """The architectures with the largest shares.

    Their members, ``ensemble`` at most, are in proportion to their shares, and so are the supports of these. One with
    most of all shares that does not overfit trains for longer. architectures, supports, shares, gaps: (K,) of the
    pilots; numbers of the recipe's stacks, and gaps between the log_prob of training rows and of unseen ones.
    """
    by_architecture = np.bincount(architectures, weights=shares)
    largest = np.argsort(-by_architecture, kind="stable")[: EFFORTS[recipe.effort].finalists]
    chosen = sorted(largest[_has_share(by_architecture[largest])].tolist())
    finalists = []
    for number in chosen:
        stack, share = recipe.stacks[number], by_architecture[number]
        pilots = np.flatnonzero(architectures == number).tolist()
        in_proportion = round(ENSEMBLES * recipe.ensemble * share / by_architecture[chosen].sum())
        counts = apportion(min(recipe.ensemble, max(MIN_MEMBERS, in_proportion)), shares[pilots])
        overfits = gaps[pilots][np.array(counts) > 0].min() > MAX_GAP_EXTENDED
        extended = recipe.may_extend and share > 0.5 and not overfits and not _has_dropout(stack)
        if extended:
            stack = replace(stack, training=replace(stack.training, epochs=EXTENSION * stack.training.epochs))
        members = [pilot for pilot, count in zip(pilots, counts, strict=True) for _ in range(count)]
        finalists.append(Finalist(stack, tuple(supports[pilot] for pilot in members), tuple(members), extended))
    return finalists


def _has_dropout(stack: StackRecipe) -> bool:
    """With it the loss of the training rows is no measure of overfitting."""
    return bool(getattr(stack.settings, "dropout", 0.0))


def apportion(members: int, shares: np.ndarray) -> list[int]:
    """Whole numbers that sum to ``members``, in proportion to shares (S,): by largest remainders."""
    exact = members * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for number in np.argsort(counts - exact, kind="stable")[: members - counts.sum()]:
        counts[number] += 1
    return [int(count) for count in counts]
