"""Weights and shares of stacks or flows in a mixture, as rows ask for them from which these have not learned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.clustered_error import clustered_error
from cosmoinfer.models.flow.members import FlowTrainingData, Folds
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.training.settings import uniform

DRAWS_PER_MASS = 50  # of each row and member, for its mass inside the prior's box
PRIOR_SIMULATIONS = 10  # that the weights which are expected beforehand are worth
MAX_ITERATIONS = 300  # of the expectation-maximisation
MIN_MIXTURE_SHARE = 0.02  # of the mixture; a density that gets less, and less than half an equal share, is left out


@dataclass(frozen=True)
class Scores:
    """Of K densities on n rows that they have not learned from.

    log_prob: (K, n), before they are renormalised. mass: (K, n), inside box and region. simulation: (n,) of the rows.
    """

    log_prob: np.ndarray
    mass: np.ndarray
    simulation: np.ndarray

    @property
    def row_weights(self) -> np.ndarray:
        """(n,), with which rows count: those of a simulation count as one row."""
        _, place, sizes = np.unique(self.simulation, return_inverse=True, return_counts=True)
        weights: np.ndarray = 1 / sizes[place]
        return weights

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over simulations, (K,), of values (K, n)."""
        means: np.ndarray = np.average(values, axis=1, weights=self.row_weights)
        return means

    def errors(self, values: np.ndarray) -> list[float]:
        """Of ``mean``, clustered by simulation."""
        weights = self.row_weights / self.row_weights.mean()
        deviations = weights * (values - self.mean(values)[:, None])
        return [clustered_error(row, self.simulation) for row in deviations]

    @property
    def normalised(self) -> np.ndarray:
        """log_prob (K, n) of each density alone, renormalised by itself."""
        return self.log_prob - np.log(self.mass)

    def joined(self, others: "Scores") -> "Scores":
        """On these rows and on others."""
        return Scores(
            np.concatenate([self.log_prob, others.log_prob], axis=1),
            np.concatenate([self.mass, others.mass], axis=1),
            np.concatenate([self.simulation, others.simulation]),
        )

    def beside(self, others: "Scores") -> "Scores":
        """These densities and others, on the same rows."""
        return Scores(
            np.concatenate([self.log_prob, others.log_prob]), np.concatenate([self.mass, others.mass]), self.simulation
        )

    def select(self, chosen: Sequence[int]) -> "Scores":
        """Those of some densities."""
        return Scores(self.log_prob[chosen], self.mass[chosen], self.simulation)


def score_flows(flows: Sequence[FlowModel], catalog: Catalog, rows: np.ndarray, seed: int, first: int = 0) -> Scores:
    """Each flow on rows (n,), by position. first: number of the first one among others."""
    scores = [_score_flow(flow, catalog, rows, seed, number) for number, flow in enumerate(flows, first)]
    log_prob, mass = map(np.stack, zip(*scores, strict=True))
    return Scores(log_prob, mass, catalog.simulation[rows])


def score_stacks(data: FlowTrainingData, stacks: Sequence[FlowStack], seed: int, first: int = 0) -> Scores:
    """Each stack, its members in equal shares, on the validation rows. first: number of the first one among others."""
    flows = [data.model([stack], uniform(stack.members)) for stack in stacks]
    return score_flows(flows, data.catalog, data.validation_rows, seed, first)


def score_held_out(
    data: FlowTrainingData, stacks: Sequence[FlowStack], folds: Folds, seed: int, first: int = 0
) -> Scores:
    """Each stack on the training rows that one of its members has left out, by this member alone.

    folds: of the members of each stack. first: number of the first one among others.
    """
    rows_of_folds = [data.training_rows[folds.of_rows == fold] for fold in folds.of_members]
    rows = np.concatenate(rows_of_folds)
    log_prob, mass = np.empty((2, len(stacks), len(rows)))
    for number, stack in enumerate(stacks):
        members = [data.model([stack.select(slice(m, m + 1))], uniform(1)) for m in range(stack.members)]
        scores = [
            _score_flow(member, data.catalog, left_out, seed, first + number)
            for member, left_out in zip(members, rows_of_folds, strict=True)
        ]
        log_prob[number], mass[number] = map(np.concatenate, zip(*scores, strict=True))
    return Scores(log_prob, mass, data.catalog.simulation[rows])


def _score_flow(
    flow: FlowModel, catalog: Catalog, rows: np.ndarray, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """log_prob and mass, (n,) each, of a flow that has this number among others."""
    log_prob = flow.log_prob_untruncated(catalog, rows, catalog.require_parameters()[1][rows])
    generator = seeding.generator(seed, "masses", number)
    return log_prob, flow.box_masses(catalog, rows, DRAWS_PER_MASS, generator)


def choose_mixture(scores: Scores, expected: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The positions of the densities that are mixed, without those that get next to nothing; their weights and shares,
    (K,) each.

    expected: (S of all,), in proportion to the weights that are expected of them.
    """
    weights = fit_weights(scores, expected / expected.sum())
    shares = mean_shares(weights, scores)
    min_share = min(MIN_MIXTURE_SHARE, 0.5 / len(shares))
    kept = [number for number, share in enumerate(shares) if share >= min_share]
    if len(kept) < len(shares):
        scores, expected = scores.select(kept), expected[kept]
        weights = fit_weights(scores, expected / expected.sum())
        shares = mean_shares(weights, scores)
    return kept, weights, shares


def expected_weights(scores: Scores) -> np.ndarray:
    """Weights (K,), of sum 1, in proportion to how likely it is that a density is as good as the best one.

    Its log_prob falls short of that of the best on the same rows by d +- e: exp(-(d / e)^2 / 2). Near ties get equal
    weights, and so do densities whose errors a single simulation does not tell.
    """
    log_prob = scores.normalised
    deficits = log_prob[scores.mean(log_prob).argmax()] - log_prob
    errors = np.array(scores.errors(deficits))
    in_errors = np.divide(scores.mean(deficits), errors, out=np.zeros(len(errors)), where=errors > 0)
    likelihood = np.exp(-0.5 * in_errors**2)
    return likelihood / likelihood.sum()


def fit_weights(scores: Scores, prior_weights: np.ndarray | None = None) -> np.ndarray:
    """Weights (K,) of a mixture, of sum 1: the most probable ones under a Dirichlet prior.

    It is worth ``PRIOR_SIMULATIONS``, so that few rows do not take its weight from one of two near ties; rows of a
    simulation count as one. prior_weights: (K,), of sum 1, by default equal ones. It is a prior of weights: where
    densities reach beyond the box, shares are these times the masses inside (``mean_shares``).
    """
    count = len(scores.log_prob)
    prior = np.full(count, 1 / count) if prior_weights is None else prior_weights
    return maximise_posterior(scores.log_prob, scores.mass, scores.row_weights, PRIOR_SIMULATIONS * prior)


def maximise_posterior(
    log_prob: np.ndarray, mass: np.ndarray, row_weights: np.ndarray, pseudo_counts: np.ndarray
) -> np.ndarray:
    """The weights w (K,), of sum 1, that maximise sum_n r_n (ln sum_k w_k q_k - ln sum_k w_k Z_k) + sum_k a_k ln w_k.

    log_prob: ln q_k (K, n). mass: Z_k (K, n). row_weights: r_n (n,). pseudo_counts: a_k (K,).

    By expectation-maximisation, whose second term is bounded by its tangent (Hunter & Lange 2004): where all masses are
    1, these are the usual steps.
    """
    weights = np.full(len(log_prob), 1 / len(log_prob))
    for _ in range(MAX_ITERATIONS):
        with np.errstate(divide="ignore"):
            responsibilities = special.softmax(np.log(weights)[:, None] + log_prob, axis=0)
        counted = responsibilities @ row_weights + pseudo_counts
        weights = counted / ((mass / (weights @ mass)) @ row_weights + pseudo_counts.sum())
        weights /= weights.sum()
    return weights


def mean_shares(weights: np.ndarray, scores: Scores) -> np.ndarray:
    """The share of each density in the draws, (K,): its weight times its mass, in the mean over simulations."""
    terms = weights[:, None] * scores.mass
    return scores.mean(terms / terms.sum(axis=0))
