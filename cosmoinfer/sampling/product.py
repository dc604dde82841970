"""Several observations of one universe: their posteriors multiplied, p(theta | x_1..x_n) ~ prod_j q_j / prior^(n-1).

Right where the observations are independent at given parameters. An error of q is made n times over. All is done in
z = Phi^-1(F(theta)), F the distribution function of the product prior, which is N(0, 1) in each z; correlation and
region of the joint prior are a factor of the target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy  # whose stats, slow to import, come with their first use
from scipy import special

from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior, map_rows
from cosmoinfer.sampling.rejection import TooLittleInside, check_draws

DRAWS_PER_SINGLE_POSTERIOR = 1000  # for the first proposal, and for the test of consistency
POINTS_PER_ROUND, MAX_ROUNDS = 1000, 6  # in which the proposal is fitted
MIN_EFFICIENCY = 0.5  # effective points over points with which a proposal is good enough
MIN_FINAL_POINTS, FINAL_POINTS_PER_DRAW = 4000, 4  # of the last round, whichever is more
DEFENSIVE_FRACTION = 0.2  # of the points come from the single posteriors, whatever was fitted
STUDENT_DOF = 5  # degrees of freedom of the proposal that is fitted
RIM_MASS = 1e-3  # of the prior at each end of a parameter, where few training rows lie
MAX_RIM_FRACTION = 0.1  # of the draws in the rim
MIN_CDF = 1e-13  # u is kept this far from 0 and 1: a parameter without a box stays finite


@dataclass(frozen=True)
class SinglePosterior:
    """The posterior of one observation. draws: (S, P). log_prob: (k, P) -> (k,), normalised, at any points."""

    draws: np.ndarray
    log_prob: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Product:
    """The product of single posteriors.

    samples: (S, P), of equal weights. log_prob: (S,), normalised.
    log_prob_at: (k,), normalised, at the points that were asked for.
    mean, std: (P,), from all weighted points.
    log_norm_error: standard error of the logarithm of the normalisation.
    ess: effective number of weighted points.
    consistency_p_value: of single posteriors that are at least as far apart as these.
    """

    samples: np.ndarray
    log_prob: np.ndarray
    log_prob_at: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    log_norm_error: float
    ess: float
    consistency_p_value: float


def multiply(
    singles: Sequence[SinglePosterior],
    parameters: Parameters,
    draws: int,
    generator: np.random.Generator,
    points: np.ndarray,
) -> Product:
    """By importance sampling: a Student t is fitted to the weighted points of a few rounds, the last one is kept.

    points: (k, P), where the density is asked for (the truth, say). Every parameter must have a prior.
    Raises TooLittleInside where the single posteriors do not overlap, NoPrediction where one is not finite.
    """
    target = _Target(singles, parameters)
    proposal = target.first_proposal
    for _ in range(MAX_ROUNDS):
        z = target.propose(proposal, POINTS_PER_ROUND, generator)
        log_weights, _, _ = target.weigh(z, proposal)
        importance = ImportanceWeights.from_log_weights(log_weights)
        if effective_sample_size(importance.weights) >= MIN_EFFICIENCY * POINTS_PER_ROUND:
            break
        proposal = _StudentT.fit(z, _flattened_weights(log_weights, 10 * len(parameters) + 20))
    z = target.propose(proposal, max(MIN_FINAL_POINTS, FINAL_POINTS_PER_DRAW * draws), generator)
    log_weights, log_target, log_ratio = target.weigh(z, proposal)
    importance, theta = ImportanceWeights.from_log_weights(log_weights), target.theta(z)
    ess = effective_sample_size(importance.weights)
    chosen = importance.resample(draws, generator)
    log_prob_at = np.zeros(0)
    if len(points):
        log_prob_at = target.log_ratio(points).sum(axis=0) + parameters.log_prior(points)
    log_prob = log_target - _log_normal(z) + parameters.log_product(theta).sum(axis=-1) - importance.log_mean
    return Product(
        theta[chosen],
        log_prob[chosen],
        log_prob_at - importance.log_mean,
        importance.mean(theta),
        importance.std(theta),
        importance.log_mean_error(ess),
        ess,
        target.consistency_p_value(log_ratio),
    )


def piles_up_at_edge(posterior: Posterior) -> np.ndarray:
    """(n,) bool: whether many draws lie in the outermost rim of the prior, where errors of a flow dominate.

    Raises UserError where there are no draws.
    """

    def above_limit(samples: np.ndarray) -> np.ndarray:
        u = posterior.parameters.cdf(samples)
        return (((u < RIM_MASS) | (u > 1 - RIM_MASS)).mean(axis=1) > MAX_RIM_FRACTION).any(axis=1)

    return map_rows(posterior.samples, above_limit)


@dataclass(frozen=True)
class _StudentT:
    """Multivariate t. mean: (P,). root: (P, P), a Cholesky factor of its scale matrix.

    Drawn by hand: ``scipy.stats.multivariate_t.rvs`` takes the square root of the scale matrix by a singular value
    decomposition, so that draws of one seed would be others.
    """

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def from_moments(cls, mean: np.ndarray, covariance: np.ndarray) -> "_StudentT":
        """With a scale as wide as a normal of this covariance: its tails are what makes the weights bounded."""
        return cls(mean, np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) * np.eye(len(mean))))

    @classmethod
    def fit(cls, z: np.ndarray, weights: np.ndarray) -> "_StudentT":
        mean = weights @ z
        return cls.from_moments(mean, (z - mean).T @ ((z - mean) * weights[:, None]))

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        normal = generator.standard_normal((count, len(self.mean)))
        return self.mean + normal @ self.root.T * np.sqrt(STUDENT_DOF / generator.chisquare(STUDENT_DOF, (count, 1)))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        return scipy.stats.multivariate_t(self.mean, self.root @ self.root.T, STUDENT_DOF).logpdf(z).reshape(len(z))


@dataclass(frozen=True)
class _Target:
    """The product, unnormalised, in z."""

    singles: Sequence[SinglePosterior]
    parameters: Parameters

    def theta(self, z: np.ndarray) -> np.ndarray:
        return self.parameters.quantile(np.clip(special.ndtr(z), MIN_CDF, 1 - MIN_CDF))

    @cached_property
    def rim_edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the rims begin, (P,) each, beyond which a likelihood is taken to be flat; a single q stays as it is."""
        depth = np.full(len(self.parameters), RIM_MASS if len(self.singles) > 1 else 0.0)
        return self.parameters.quantile(depth), self.parameters.quantile(1 - depth)

    def log_ratio(self, theta: np.ndarray) -> np.ndarray:
        """log q_j - log p at the same points for every j, (n, k)."""
        return np.stack([self.log_ratio_of_single(single, theta) for single in self.singles])

    def log_ratio_of_single(self, single: SinglePosterior, theta: np.ndarray) -> np.ndarray:
        """log q_j - log p, (k,); -inf outside box and region.

        In the outermost rim of the prior it is that of where the rim begins. A flow's density over the prior can
        diverge towards an edge, or in the tail of a normal, as a power of the mass beyond: which does no harm alone,
        and takes all of the mass when it is multiplied.
        """
        outside = np.isneginf(self.parameters.log_prior(theta))
        near = np.clip(theta, *self.rim_edges)
        if self.parameters.where:  # where the rim begins may lie beyond a slanted edge
            near = np.where(self.parameters.accepts(near)[:, None], near, theta)
        log_prob = single.log_prob(near)
        check_draws(near, log_prob)
        with np.errstate(invalid="ignore"):
            return np.where(outside, -np.inf, log_prob - self.parameters.log_prior(near))

    @cached_property
    def single_draws(self) -> np.ndarray:
        """The draws of the single posteriors, (n, S, P), in z."""
        draws = np.stack([single.draws for single in self.singles])
        check_draws(draws)
        u = self.parameters.cdf(draws)
        return special.ndtri(np.clip(u, MIN_CDF, 1 - MIN_CDF))

    def log_factor(self, theta: np.ndarray) -> np.ndarray:
        """log of the joint prior over the product prior, (k,): 0 where these are the same, -inf outside the region."""
        joint = self.parameters.joint_prior
        if not joint.tied:
            return np.zeros(len(theta))
        return np.where(self.parameters.accepts(theta), joint.log_factor(theta) - joint.log_norm, -np.inf)

    def propose(self, proposal: _StudentT, count: int, generator: np.random.Generator) -> np.ndarray:
        """From the fitted proposal, and a fraction from the single posteriors: (count, P)."""
        defensive = int(DEFENSIVE_FRACTION * count)
        pool = self.single_draws.reshape(-1, self.single_draws.shape[-1])
        chosen = generator.choice(len(pool), defensive, replace=defensive > len(pool))
        return np.concatenate([proposal.draw(count - defensive, generator), pool[chosen]])

    def weigh(self, z: np.ndarray, proposal: _StudentT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log of target over proposal and of the target, (k,) each, and ``log_ratio``."""
        theta = self.theta(z)
        log_ratio = self.log_ratio(theta)
        log_prior = _log_normal(z) + self.log_factor(theta)
        log_target = log_ratio.sum(axis=0) + log_prior
        log_singles = special.logsumexp(log_ratio, axis=0) - np.log(len(log_ratio)) + log_prior
        log_fitted = proposal.log_density(z)
        log_proposal = np.logaddexp(
            np.log(DEFENSIVE_FRACTION) + log_singles, np.log(1 - DEFENSIVE_FRACTION) + log_fitted
        )
        if not np.isfinite(log_target).any():
            raise TooLittleInside("the posteriors of its rows have no parameters in common")
        return log_target - log_proposal, log_target, log_ratio

    def consistency_p_value(self, log_ratio: np.ndarray) -> float:
        """Chance of likelihoods at least as far below their own maxima at the best common point; 1 of a single one.

        Twice the sum of log-likelihood ratios is chi squared with (n - 1) P degrees of freedom (Wilks 1938). Each
        maximum is sought among the draws of a single posterior: where these are nearly as wide as the prior, the chance
        is an upper bound. log_ratio: (n, k), at points of the product.
        """
        if len(log_ratio) == 1:
            return 1.0
        at_best = log_ratio[:, log_ratio.sum(axis=0).argmax()]
        maxima = [self.log_ratio_of_single(single, single.draws).max() for single in self.singles]
        chi2 = 2 * np.maximum(np.array(maxima) - at_best, 0).sum()
        return float(scipy.stats.chi2.sf(chi2, (len(log_ratio) - 1) * len(self.parameters)))

    @property
    def first_proposal(self) -> _StudentT:
        """As if all were normal: precisions C_j^-1 and shifts C_j^-1 m_j add up, and n - 1 priors are taken off."""
        mean = self.single_draws.mean(axis=1)
        inverse = np.linalg.inv(np.stack([_covariance(draws) for draws in self.single_draws]))
        values, vectors = np.linalg.eigh(inverse - np.eye(mean.shape[1]))
        precision = np.einsum("nab,nb,ncb->ac", vectors, np.maximum(values, 0), vectors)  # data do not widen a prior
        covariance = np.linalg.inv(np.eye(mean.shape[1]) + precision)
        return _StudentT.from_moments(covariance @ np.einsum("nab,nb->a", inverse, mean), covariance)


def _covariance(z: np.ndarray) -> np.ndarray:
    """(S, P) -> (P, P); a parameter that does not vary at all keeps a tiny width."""
    return np.atleast_2d(np.cov(z, rowvar=False)) + 1e-12 * np.eye(z.shape[1])


def _log_normal(z: np.ndarray) -> np.ndarray:
    return -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=-1)


def _flattened_weights(log_weights: np.ndarray, min_effective: float) -> np.ndarray:
    """Weights to the highest power (at most one) under which so many points are effective, or nearly all."""
    log_weights = np.maximum(log_weights, log_weights[np.isfinite(log_weights)].min())
    for power in 0.7 ** np.arange(300):  # to 1e-47: log-weights have at most the range of float32
        weights = ImportanceWeights.from_log_weights(power * log_weights).weights
        if effective_sample_size(weights) >= min(min_effective, 0.9 * len(weights)):
            break
    return weights
