"""Several observations of one universe: their posteriors multiplied, p(theta | x_1..x_n) ~ prod_j q_j / prior^(n-1).

Right where the observations are independent at given parameters. An error of q is made n times over. All is done in
z = Phi^-1(F(theta)), F the prior's distribution function, where the prior is N(0, 1) a parameter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special, stats

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog, observation_sets
from cosmoinfer.errors import UserError, listed
from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.models.flow.model import FlowModel
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior, by_blocks
from cosmoinfer.sampling.rejection import TooLittleInside
from cosmoinfer.sampling.request import Drawing

SINGLE_DRAWS = 1000  # of each single posterior: the first proposal, and whether they agree
TRIAL, TRIALS = 1000, 6  # points a round, and rounds at most, in which the proposal is fitted
GOOD = 0.5  # share of effective points with which a proposal is good enough
FEWEST_FINAL = 4000  # points of the last round, or four a draw
DEFENSIVE = 0.2  # share of the points that come from the single posteriors, whatever was fitted
FREEDOM = 5  # of the Student t that is fitted
RIM = 1e-3  # share of the prior at each end of a parameter, of which few training rows tell
PILED = 0.1  # share of the draws in the rim that is too much
EDGE = 1e-13  # u is kept this far from 0 and 1: a parameter without a box stays finite


@dataclass(frozen=True)
class Single:
    """The posterior of one observation. draws: (S, P). log_prob: (k, P) -> (k,), normalised, at any points."""

    draws: np.ndarray
    log_prob: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Weighted:
    """What the weighted points of a product tell. mean, std: (P,). log_prob_at: (k,), the density where it was asked.

    error: of the normalisation. ess: what the points are worth. agreement: chance of single posteriors at least as far
    apart as these.
    """

    log_prob_at: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    error: float
    ess: float
    agreement: float


@dataclass(frozen=True)
class Product:
    """samples: (S, P), log_prob: (S,), of equal weights."""

    samples: np.ndarray
    log_prob: np.ndarray
    weighted: Weighted


def multiply(
    singles: Sequence[Single], parameters: Parameters, draws: int, generator: np.random.Generator, at: np.ndarray
) -> Product:
    """By importance sampling: a Student t is fitted to the weighted points of a few rounds, the last one is kept.

    at: (k, P), points (the truth, say) where the density is asked for. Every prior must be known.
    """
    target = _Target(singles, parameters)
    proposal = target.first_proposal
    for _ in range(TRIALS):
        z = target.propose(proposal, TRIAL, generator)
        log_weights, _, _ = target.weigh(z, proposal)
        found = ImportanceWeights.from_log_weights(log_weights)
        if effective_sample_size(found.weights) >= GOOD * TRIAL:
            break
        proposal = _Student.fitted(z, _tempered(log_weights, 10 * len(parameters) + 20))
    z = target.propose(proposal, max(FEWEST_FINAL, 4 * draws), generator)
    log_weights, log_target, ratio = target.weigh(z, proposal)
    found, theta = ImportanceWeights.from_log_weights(log_weights), target.theta(z)
    ess = effective_sample_size(found.weights)
    chosen = found.resample(draws, generator)
    at_points = target.log_ratio(at).sum(axis=0) + parameters.log_prior(at).sum(axis=-1) if len(at) else np.zeros(0)
    log_prob = log_target - _log_normal(z) + parameters.log_prior(theta).sum(axis=-1) - found.log_mean
    weighted = Weighted(
        at_points - found.log_mean,
        found.mean(theta),
        found.std(theta),
        found.log_mean_error(ess),
        ess,
        target.agreement(ratio),
    )
    return Product(theta[chosen], log_prob[chosen], weighted)


@dataclass(frozen=True)
class _Student:
    """Multivariate t. mean: (P,). root: (P, P), a Cholesky factor of its scale matrix."""

    mean: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, mean: np.ndarray, covariance: np.ndarray) -> "_Student":
        """With a scale as wide as a normal of this covariance: its tails are what makes the weights bounded."""
        return cls(mean, np.linalg.cholesky(covariance + 1e-12 * np.trace(covariance) * np.eye(len(mean))))

    @classmethod
    def fitted(cls, z: np.ndarray, weights: np.ndarray) -> "_Student":
        mean = weights @ z
        return cls.of(mean, (z - mean).T @ ((z - mean) * weights[:, None]))

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        normal = generator.standard_normal((count, len(self.mean)))
        return self.mean + normal @ self.root.T * np.sqrt(FREEDOM / generator.chisquare(FREEDOM, (count, 1)))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        return stats.multivariate_t(self.mean, self.root @ self.root.T, FREEDOM).logpdf(z).reshape(len(z))


@dataclass(frozen=True)
class _Target:
    """The product, unnormalised, in z."""

    singles: Sequence[Single]
    parameters: Parameters

    def theta(self, z: np.ndarray) -> np.ndarray:
        return self.parameters.quantile(np.clip(special.ndtr(z), EDGE, 1 - EDGE))

    @cached_property
    def inner(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the rims begin, (P,) each, beyond which a likelihood is taken to be flat; a single q stays as it is."""
        depth = np.full(len(self.parameters), RIM if len(self.singles) > 1 else 0.0)
        return self.parameters.quantile(depth), self.parameters.quantile(1 - depth)

    def log_ratio(self, theta: np.ndarray) -> np.ndarray:
        """log q_j - log p at the same points for every j, (n, k)."""
        return np.stack([self.of_single(one, theta) for one in self.singles])

    def of_single(self, one: Single, theta: np.ndarray) -> np.ndarray:
        """log q_j - log p, (k,); -inf outside the box.

        In the outermost rim of the prior it is that of where the rim begins. A flow's density over the prior can
        diverge towards an edge, or in the tail of a normal, as a power of the mass beyond: which does no harm alone,
        and takes all of the mass when it is multiplied.
        """
        outside = np.isneginf(self.parameters.log_prior(theta).sum(axis=-1))
        near = np.clip(theta, *self.inner)
        return np.where(outside, -np.inf, one.log_prob(near) - self.parameters.log_prior(near).sum(axis=-1))

    @cached_property
    def own(self) -> np.ndarray:
        """The draws of the single posteriors, (n, S, P)."""
        u = self.parameters.cdf(np.stack([one.draws for one in self.singles]))
        return special.ndtri(np.clip(u, EDGE, 1 - EDGE))

    def propose(self, proposal: _Student, count: int, generator: np.random.Generator) -> np.ndarray:
        """From the fitted proposal, and a share from the single posteriors: (count, P)."""
        few = int(DEFENSIVE * count)
        single = self.own.reshape(-1, self.own.shape[-1])
        chosen = generator.choice(len(single), few, replace=few > len(single))
        return np.concatenate([proposal.draw(count - few, generator), single[chosen]])

    def weigh(self, z: np.ndarray, proposal: _Student) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """log of target over proposal and of the target, (k,) each, and ``log_ratio``."""
        ratio = self.log_ratio(self.theta(z))
        normal = _log_normal(z)
        log_target = ratio.sum(axis=0) + normal
        singles = special.logsumexp(ratio, axis=0) - np.log(len(ratio)) + normal
        fitted = proposal.log_density(z)
        log_proposal = np.logaddexp(np.log(DEFENSIVE) + singles, np.log(1 - DEFENSIVE) + fitted)
        if not np.isfinite(log_target).any():
            raise TooLittleInside("the posteriors of its rows have no parameters in common")
        return log_target - log_proposal, log_target, ratio

    def agreement(self, ratio: np.ndarray) -> float:
        """Chance of likelihoods at least as far below their own maxima at the best common point; 1 if alone.

        Twice the sum of log-likelihood ratios is chi squared with (n - 1) P degrees of freedom (Wilks 1938). Each
        maximum is sought among the draws of a single posterior: where these are nearly as wide as the prior, the chance
        is an upper bound. ratio: ``log_ratio`` at points (k,) of the product.
        """
        if len(ratio) == 1:
            return 1.0
        together = ratio[:, ratio.sum(axis=0).argmax()]
        own = [self.of_single(one, one.draws).max() for one in self.singles]
        chi2 = 2 * np.maximum(np.array(own) - together, 0).sum()
        return float(stats.chi2.sf(chi2, (len(ratio) - 1) * len(self.parameters)))

    @property
    def first_proposal(self) -> _Student:
        """As if all were normal: precisions C_j^-1 and shifts C_j^-1 m_j add up, and n - 1 priors are taken off."""
        mean = self.own.mean(axis=1)
        inverse = np.linalg.inv(np.stack([_covariance(one) for one in self.own]))
        values, vectors = np.linalg.eigh(inverse - np.eye(mean.shape[1]))
        precision = np.einsum("nab,nb,ncb->ac", vectors, np.maximum(values, 0), vectors)  # data do not widen a prior
        covariance = np.linalg.inv(np.eye(mean.shape[1]) + precision)
        return _Student.of(covariance @ np.einsum("nab,nb->a", inverse, mean), covariance)


def _covariance(z: np.ndarray) -> np.ndarray:
    """(S, P) -> (P, P); a parameter that does not vary at all keeps a tiny width."""
    return np.atleast_2d(np.cov(z, rowvar=False)) + 1e-12 * np.eye(z.shape[1])


def _log_normal(z: np.ndarray) -> np.ndarray:
    return -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=-1)


def _tempered(log_weights: np.ndarray, least: float) -> np.ndarray:
    """Weights to the highest power (at most one) under which so many points still count, or nearly all."""
    log_weights = np.maximum(log_weights, log_weights[np.isfinite(log_weights)].min())
    for power in 0.7 ** np.arange(40):
        weights = ImportanceWeights.from_log_weights(power * log_weights).weights
        if effective_sample_size(weights) >= min(least, 0.9 * len(weights)):
            break
    return weights


# --------------------------------------------------------------------------------------------- of a trained flow
def product_posterior(model: FlowModel, drawing: Drawing) -> Posterior:
    """One posterior a simulation, of those of its rows that were chosen; it goes by the first of them."""
    catalog, seed = drawing.catalog, drawing.seed
    parameters = model.preprocessing.parameters
    if not parameters.has_prior.all():
        unknown = [name for name, known in zip(parameters.names, parameters.has_prior, strict=True) if not known]
        raise UserError(f"--combine product: divides by the prior, and that of {listed(unknown)} is not known")
    groups = {int(own[0]): own for own in _together(catalog, drawing.rows)}
    drawing = replace(drawing, rows=np.array(list(groups)))
    room = drawing.room(parameters)

    def draw(first: int, number: int) -> Weighted:
        singles = [_single(model, drawing, row) for row in groups[first]]
        truth = np.empty((0, len(parameters))) if catalog.theta is None else catalog.theta[first : first + 1]
        stream = seeding.generator(seed, "product", *catalog.index[groups[first]].tolist())
        found = multiply(singles, parameters, drawing.draws, stream, truth)
        room.put(number, 0, found.samples, found.log_prob)
        return found.weighted

    kept, drawn = drawing.row_by_row(draw)
    every = np.concatenate([groups[int(first)] for first in kept])
    product = np.repeat(np.arange(len(kept)), [len(groups[int(first)]) for first in kept])
    references = model.preprocessing.estimate_parameters(catalog, every)
    odd = model.preprocessing.ood_scores(catalog, every, model.feature_spaces, seed)
    if odd.get("ood_percentile") is not None:
        odd["ood_percentile"] = _oddest(odd["ood_percentile"], product)
    return Posterior(
        parameters,
        catalog.index[kept],
        catalog.simulation[kept],
        model.preprocessing.partition_of(catalog, kept),
        None if catalog.theta is None else catalog.theta[kept],
        **room.filled(len(kept)),
        log_prob_truth=None if catalog.theta is None else np.concatenate([one.log_prob_at for one in drawn]),
        ridge_estimate=np.stack([references[product == number].mean(axis=0) for number in range(len(kept))]),
        mean=np.stack([one.mean for one in drawn]),
        std=np.stack([one.std for one in drawn]),
        log_norm_error=np.array([one.error for one in drawn]),
        ess=np.array([one.ess for one in drawn]),
        consistency_p_value=np.array([one.agreement for one in drawn]),
        n_observations=np.bincount(product).astype(np.float64),
        temperature=None if model.temperature == 1 else model.temperature,
        **odd,
    )


def _oddest(percentile: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Of the percentiles (n,) of rows, the largest of each place as a percentile among largest ones of as many rows."""
    largest = np.zeros(place.max() + 1)
    np.maximum.at(largest, place, percentile)
    return 100 * (largest / 100) ** np.bincount(place)


def _single(model: FlowModel, drawing: Drawing, row: int) -> Single:
    contexts = model.embed(drawing.catalog, np.array([row]))
    draws = np.empty((SINGLE_DRAWS, len(model.preprocessing.parameters)))

    def keep(first: int, theta: np.ndarray, log_prob: np.ndarray | None) -> None:
        draws[first : first + len(theta)] = theta

    mass = model.mixture.draw(contexts, SINGLE_DRAWS, drawing.generator(row), keep)
    return Single(draws, lambda theta: model.mixture.log_prob(theta, contexts) - mass.log)


def piled_up(posterior: Posterior) -> np.ndarray:
    """(n,) bool: whether many draws lie in the outermost rim of the prior: where a flow's errors have won."""
    assert posterior.samples is not None

    def piled(draws: np.ndarray) -> np.ndarray:
        u = posterior.parameters.cdf(draws)
        return (((u < RIM) | (u > 1 - RIM)).mean(axis=1) > PILED).any(axis=1)

    return by_blocks(posterior.samples, piled)


def _together(catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """The chosen rows (by position) of each simulation."""
    found = observation_sets.group_by_simulation(catalog, rows)
    if all(len(own) == 1 for own in found):
        raise UserError(
            f"{catalog.path}: --combine product: no two of these rows share a simulation; --simulation or "
            "--rows-per-simulation says which belong together"
        )
    for own in found:
        observation_sets.check_same_parameters(catalog, own)
    return found
