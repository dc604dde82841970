"""The prior of several parameters together: a product, of which normals may be correlated, cut to a region.

p(theta) = prod_i p_i(theta_i) c(theta) 1[theta in the region] / Z. c is the density of the correlated scores of normals
over that of independent ones, and Z makes p integrate to one in box and region. Z comes from quasi-Monte Carlo
(scrambled Sobol points, Owen 1998, J. Complexity 14, 466), to MAX_LOG_MASS_ERROR where box and region are not tiny.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy  # whose stats, slow to import, come with their first use
from scipy import special

from cosmoinfer.errors import UserError
from cosmoinfer.expressions import Condition
from cosmoinfer.priors import BOX_TOLERANCE, PRIORS, Gaussian, Prior

SCRAMBLES = 8  # of the points, whose spread gives the error
MIN_POINTS_LOG2, MAX_POINTS_LOG2 = 13, 19  # of one scramble
RESOLUTION = 0.5  # points of a scramble, below which its fraction is not known
MAX_LOG_MASS_ERROR = 2e-4  # nats, at which no more points are taken
MIN_UNIT = 1e-15  # u is kept this far from 0 and 1: a normal stays finite
MAX_USABLE_LOG_MASS_ERROR = 0.05  # nats, above which the prior's density is not known
MARGINAL_POINTS_LOG2 = 12  # of the other parameters, for the density of one
MIDPOINTS = 20_000  # of equal steps in u, over which moments are taken
MAX_PROPOSALS = 1 << 20  # at once


@dataclass(frozen=True)
class PriorMass:
    """The probability that box and region leave of the prior without them.

    log: natural, -inf where no point lies there. error: its standard error, in nats.
    theta: (k, T), points of the prior of the T tied parameters.
    """

    log: float
    error: float
    theta: np.ndarray


@dataclass(frozen=True)
class JointPrior:
    """names, priors: (P,). conditions: which all hold in the region. correlation: (P, P) of scores, or None.

    Raises UserError unless the correlation is a positive definite one of normals.
    """

    names: tuple[str, ...]
    priors: tuple[Prior, ...]
    conditions: tuple[Condition, ...] = ()
    correlation: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.correlation is not None:
            _check_correlation(self.names, self.priors, self.correlation)

    # ---------------------------------------------------------------------------------------- what ties parameters
    @cached_property
    def components(self) -> tuple[frozenset[int], ...]:
        """The columns of parameters that conditions and correlations tie to others, one set for each group of them."""
        ties = [frozenset(map(self.names.index, condition.names)) for condition in self.conditions]
        if self.correlation is not None:
            ties += [frozenset(pair) for pair in np.argwhere(np.tril(self.correlation, -1)).tolist()]
        components: list[frozenset[int]] = []
        for tie in ties:
            linked = [component for component in components if component & tie]
            components = [component for component in components if not component & tie]
            components.append(tie.union(*linked))
        return tuple(components)

    @cached_property
    def tied(self) -> list[int]:
        """The columns of all components, in order."""
        return sorted(frozenset[int]().union(*self.components))

    @cached_property
    def correlated(self) -> list[int]:
        """The columns of normals that are correlated with others, in order."""
        if self.correlation is None:
            return []
        return np.flatnonzero((self.correlation != np.eye(len(self.names))).any(axis=0)).tolist()

    @cached_property
    def has_prior(self) -> np.ndarray:
        """Which parameters have a prior that is known, and are tied to none whose prior is unknown: (P,) bool."""
        known = np.array([prior.is_known for prior in self.priors], dtype=bool)
        for component in self.components:
            known[list(component)] = known[list(component)].all()
        return known

    # -------------------------------------------------------------------------------------------------- the region
    def in_region(self, theta: np.ndarray) -> np.ndarray:
        """Whether all conditions hold, exactly: (..., P) -> (...)."""
        holds = [condition.holds(self._compared(condition, theta)) for condition in self.conditions]
        return np.logical_and.reduce([np.ones(theta.shape[:-1], dtype=bool), *holds])

    def near_region(self, theta: np.ndarray) -> np.ndarray:
        """Whether all conditions hold up to the rounding of printed tables: (..., P) -> (...)."""
        near = np.array(self.in_region(theta))
        unsure = theta[~near]
        if len(unsure):
            width = np.array([prior.high - prior.low for prior in self.priors])
            steps = BOX_TOLERANCE * np.where(np.isfinite(width), width, np.abs(unsure))
            holds = [
                condition.holds_within(self._compared(condition, unsure), self._compared(condition, steps))
                for condition in self.conditions
            ]
            near[~near] = np.logical_and.reduce(holds)
        return near

    def _compared(self, condition: Condition, theta: np.ndarray) -> dict[str, np.ndarray]:
        return {name: theta[..., self.names.index(name)] for name in condition.names}

    # ------------------------------------------------------------------------------------------------- the density
    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """ln p(theta), natural, in catalog units: (..., P) -> (...); NaN where a prior is unknown."""
        log_product = self.log_product(theta).sum(axis=-1)
        if not self.tied:
            return log_product
        return np.where(np.isneginf(log_product), -np.inf, log_product + self.log_factor(theta) - self.log_norm)

    def log_product(self, theta: np.ndarray) -> np.ndarray:
        """ln p_i(theta_i), one term a parameter: (..., P) -> (..., P)."""
        return np.stack([prior.log_density(theta[..., column]) for column, prior in enumerate(self.priors)], axis=-1)

    def log_factor(self, theta: np.ndarray) -> np.ndarray:
        """ln c(theta), and -inf outside the region: (..., P) -> (...)."""
        factor = np.zeros(theta.shape[:-1])
        if self.correlated:
            scores = self._scores(theta)
            precision = np.linalg.inv(self._block) - np.eye(len(self.correlated))
            _, log_det = np.linalg.slogdet(self._block)
            factor = -0.5 * (np.einsum("...i,ij,...j->...", scores, precision, scores) + log_det)
        return np.where(self.near_region(theta), factor, -np.inf) if self.conditions else factor

    @cached_property
    def log_norm(self) -> float:
        """ln Z; NaN where the prior of a tied parameter is unknown."""
        if not self.tied:
            return 0.0
        return self.mass.log - float(sum(np.log(self.priors[column].mass_in_box()) for column in self.correlated))

    @cached_property
    def mass(self) -> PriorMass:
        """What box and region leave of the correlated normals, and the region of the others in their box."""
        if not self.has_prior[self.tied].all():
            return PriorMass(np.nan, np.nan, np.empty((0, len(self.tied))))
        fractions, error = np.zeros(SCRAMBLES), np.inf
        theta = np.empty((0, len(self.tied)))
        for log2 in range(MIN_POINTS_LOG2, MAX_POINTS_LOG2 + 1):
            accepted = [self._accept(_sobol_points(len(self.tied), k, log2)) for k in range(SCRAMBLES)]
            fractions, theta = np.array([len(points) for points in accepted]) / 2**log2, np.concatenate(accepted)
            error = float(np.hypot(fractions.std(ddof=1) / np.sqrt(SCRAMBLES), RESOLUTION / 2**log2))
            if error <= MAX_LOG_MASS_ERROR * fractions.mean():
                break
        with np.errstate(divide="ignore", invalid="ignore"):
            return PriorMass(float(np.log(fractions.mean())), float(error / fractions.mean()), theta)

    def describe(self) -> str:
        """What ties the parameters, and the share of the prior without it that is left; empty where nothing does."""
        if not self.tied:
            return ""
        ties = [condition.text for condition in self.conditions]
        correlation = np.zeros((0, 0)) if self.correlation is None else self.correlation
        for row, column in np.argwhere(np.tril(correlation, -1)):
            ties.append(f"correlation of {self.names[column]} and {self.names[row]} {correlation[row, column]:g}")
        share = (
            "" if np.isnan(self.mass.log) else f"; holds {100 * np.exp(self.mass.log):.4g} % of the prior without it"
        )
        return ", ".join(ties) + share

    def check_mass(self) -> None:
        """Raises UserError where box and region hold too little of the prior for its density to be known there."""
        if self.mass.log == -np.inf or self.mass.error > MAX_USABLE_LOG_MASS_ERROR:
            conditions = " and ".join(condition.text for condition in self.conditions) or "the box"
            share = f"{100 * np.exp(self.mass.log):.1g} %" if self.mass.error < np.inf else "nothing that was found"
            raise UserError(
                f"{conditions} holds {share} of the prior, too little to normalise over: `bounds` narrows the box"
            )

    # ------------------------------------------------------------------------------------- draws, and the marginals
    def draw_units(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draws of the prior, as values of the product's distribution functions: (count, P) in [0, 1].

        NaN where a tied prior is unknown.
        """
        u = generator.random((count, len(self.names)))
        if not self.tied or not self.has_prior[self.tied].all():
            u[:, self.tied] = np.nan
            return u
        accepted, left = [], count
        while left > 0:
            proposals = min(MAX_PROPOSALS, int(1.1 * left / np.exp(self.mass.log)) + 100)
            accepted.append(self._accept(generator.random((proposals, len(self.tied))))[:left])
            left -= len(accepted[-1])
        theta = np.concatenate(accepted)
        for place, column in enumerate(self.tied):
            u[:, column] = self.priors[column].cdf(theta[:, place])
        return u

    def marginal_cdf(self, theta: np.ndarray) -> np.ndarray:
        """The distribution function of each parameter by itself: (..., P) -> (..., P) in [0, 1]; NaN where unknown."""
        u = np.full(theta.shape, np.nan)
        for column, prior in enumerate(self.priors):
            value = theta[..., column]
            if column not in self.tied:
                u[..., column] = prior.cdf(value)
            elif len(points := self.marginal_points[:, self.tied.index(column)]):
                u[..., column] = np.where(np.isnan(value), np.nan, np.searchsorted(points, value) / len(points))
        return u

    def marginal_density(self, column: int, values: np.ndarray) -> np.ndarray:
        """The density of one parameter by itself at values (k,), (k,); of a tied one, a mean over the others."""
        density = np.exp(self.priors[column].log_density(values))
        if column not in self.tied or not self.has_prior[column]:
            return density
        theta = np.zeros((2**MARGINAL_POINTS_LOG2, len(self.names)))
        u = _sobol_points(len(self.tied), 0, MARGINAL_POINTS_LOG2)
        for place, other in enumerate(self.tied):
            theta[:, other] = self.priors[other].quantile(np.clip(u[:, place], MIN_UNIT, 1 - MIN_UNIT))
        for place, value in enumerate(values):
            theta[:, column] = value
            density[place] *= np.exp(self.log_factor(theta) - self.log_norm).mean()
        return density

    def marginal_moments(self) -> np.ndarray:
        """Mean and standard deviation of each parameter by itself, (2, P), over its quantiles; NaN where unknown."""
        u = (np.arange(MIDPOINTS) + 0.5) / MIDPOINTS
        values = np.stack([prior.quantile(u) for prior in self.priors], axis=-1)
        moments = np.stack([values.mean(axis=0), values.std(axis=0)])
        for place, column in enumerate(self.tied):
            points = self.marginal_points[:, place]
            moments[:, column] = (points.mean(), points.std()) if len(points) else np.nan
        return moments

    @cached_property
    def marginal_points(self) -> np.ndarray:
        """Points of the prior of each tied parameter, in order, (k, T); none where a prior is unknown."""
        return np.sort(self.mass.theta, axis=0)

    # ---------------------------------------------------------------------------------------- from the unit cube
    def _accept(self, u: np.ndarray) -> np.ndarray:
        """Points u (n, T) of the unit cube as the tied parameters, those in box and region: (k, T)."""
        u = np.clip(u, MIN_UNIT, 1 - MIN_UNIT)
        theta = np.zeros((len(u), len(self.names)))
        correlated = np.isin(self.tied, self.correlated)
        scores = special.ndtri(u[:, correlated]) @ np.linalg.cholesky(self._block).T
        for column, score in zip(self.correlated, scores.T, strict=True):
            prior = self.priors[column]
            assert isinstance(prior, Gaussian)
            theta[:, column] = prior.from_score(score)
        for place in np.flatnonzero(~correlated):
            theta[:, self.tied[place]] = self.priors[self.tied[place]].quantile(u[:, place])
        inside = self.in_region(theta)
        for column in self.correlated:
            inside &= (theta[:, column] >= self.priors[column].low) & (theta[:, column] <= self.priors[column].high)
        return theta[inside][:, self.tied]

    @property
    def _block(self) -> np.ndarray:
        """The correlation of the correlated scores alone."""
        if self.correlation is None:
            return np.eye(0)
        return self.correlation[np.ix_(self.correlated, self.correlated)]

    def _scores(self, theta: np.ndarray) -> np.ndarray:
        """(..., P) -> (..., C), of the correlated normals."""
        columns = []
        for column in self.correlated:
            prior = self.priors[column]
            assert isinstance(prior, Gaussian)
            columns.append(prior.score(np.clip(theta[..., column], prior.low, prior.high)))
        return np.stack(columns, axis=-1)


def _check_correlation(names: tuple[str, ...], priors: tuple[Prior, ...], correlation: np.ndarray) -> None:
    """Raises UserError unless this is a positive definite correlation (P, P) of normals."""
    if correlation.shape != (len(names),) * 2:
        raise UserError(f"prior_correlation: expected shape {(len(names),) * 2}, found {correlation.shape}")
    if not ((correlation == correlation.T).all() and (np.diag(correlation) == 1).all()):
        raise UserError("prior_correlation: expected a symmetric matrix with ones on its diagonal")
    for name, prior, row in zip(names, priors, correlation, strict=True):
        if np.count_nonzero(row) > 1 and not isinstance(prior, Gaussian):
            kinds = " or ".join(kind for kind, entry in PRIORS.items() if issubclass(entry, Gaussian))
            raise UserError(f"{name}: only a {kinds} prior can be correlated, found {prior.name}")
    if np.linalg.eigvalsh(correlation).min() <= 0:
        raise UserError("prior_correlation: is not positive definite: there are no such normals")


def _sobol_points(dimensions: int, seed: int, log2: int) -> np.ndarray:
    """2^log2 scrambled points in the unit cube."""
    return scipy.stats.qmc.Sobol(dimensions, seed=seed).random_base2(log2)
