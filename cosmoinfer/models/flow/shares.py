"""Shares of the stacks of a mixture, as the validation rows ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.models.flow.members import FlowTrainingData
from cosmoinfer.models.flow.network import FlowStack
from cosmoinfer.training.settings import uniform

DRAWS_PER_MASS = 50  # of each row and member, for its mass inside the prior's box
RESAMPLINGS = 30  # of the simulations, over which shares are averaged
MAX_ITERATIONS = 300  # of the expectation-maximisation


@dataclass(frozen=True)
class ValidationScores:
    """Of K densities on n validation rows.

    log_prob: (K, n), before they are renormalised. mass: (K, n), inside box and region. simulation: (n,) of the rows.
    """

    log_prob: np.ndarray
    mass: np.ndarray
    simulation: np.ndarray

    @property
    def normalised(self) -> np.ndarray:
        """log_prob (K, n) of each density alone, renormalised by itself."""
        return self.log_prob - np.log(self.mass)

    def select(self, chosen: Sequence[int]) -> "ValidationScores":
        """Those of some densities."""
        return ValidationScores(self.log_prob[chosen], self.mass[chosen], self.simulation)


def score_stacks(data: FlowTrainingData, stacks: Sequence[FlowStack], seed: int) -> ValidationScores:
    """Each stack, its members in equal shares, on the validation rows."""
    rows = data.validation_rows
    log_probs, masses = [], []
    for number, stack in enumerate(stacks):
        model = data.model([stack], uniform(stack.members))
        log_probs.append(model.log_prob_untruncated(data.catalog, rows, data.theta[rows]))
        masses.append(model.box_masses(data.catalog, rows, DRAWS_PER_MASS, seeding.generator(seed, "masses", number)))
    return ValidationScores(np.stack(log_probs), np.stack(masses), data.catalog.simulation[rows])


def fit_weights(scores: ValidationScores, seed: int) -> np.ndarray:
    """Weights (K,) of a mixture, of sum 1: the mean of those that resampled simulations are most likely under.

    Rows of a simulation are drawn together, with the weights of the Bayesian bootstrap (Rubin 1981): the mean stands
    for the posterior of the weights under a flat prior, so that few rows leave none of two near ties without a share.
    """
    simulations, place = np.unique(scores.simulation, return_inverse=True)
    if len(scores.log_prob) == 1:
        return np.ones(1)
    generator = seeding.generator(seed, "shares")
    resampled = generator.exponential(size=(RESAMPLINGS, len(simulations)))[:, place]
    return np.mean([maximise_likelihood(scores.log_prob, scores.mass, rows) for rows in resampled], axis=0)


def maximise_likelihood(log_prob: np.ndarray, mass: np.ndarray, row_weights: np.ndarray) -> np.ndarray:
    """The weights w (K,), of sum 1, that maximise the mean over rows of ln sum_k w_k q_k - ln sum_k w_k Z_k.

    log_prob: ln q_k (K, n). mass: Z_k (K, n). row_weights: (n,).

    By expectation-maximisation, whose second term is bounded by its tangent (Hunter & Lange 2004): where all masses are
    1, these are the usual steps.
    """
    weights = np.full(len(log_prob), 1 / len(log_prob))
    for _ in range(MAX_ITERATIONS):
        with np.errstate(divide="ignore"):
            responsibilities = special.softmax(np.log(weights)[:, None] + log_prob, axis=0)
        weights = (responsibilities @ row_weights) / ((mass / (weights @ mass)) @ row_weights)
        weights /= weights.sum()
    return weights


def mean_shares(weights: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """The share of each density in the draws, (K,): weights (K,) times mass (K, n), in the mean over rows."""
    terms = weights[:, None] * mass
    shares: np.ndarray = (terms / terms.sum(axis=0)).mean(axis=1)
    return shares
