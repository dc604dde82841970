"""The points of a chain as a prior of the parameters that it shares with a posterior, by a Gaussian kernel density.

The kernels have the covariance of the points times h^2, h = n^(-1/(K + 4)) of n effective points of K parameters
(Scott 1992), and the points are drawn towards their mean by sqrt(1 - h^2), so that the density has their mean and
covariance (West 1993, J. R. Stat. Soc. B 55, 409). It is one of coordinates in which an edge near the points lies at
infinity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg

from cosmoinfer import seeding
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.importance_sampling import ImportanceWeights, effective_sample_size
from cosmoinfer.parameters import Parameters, describe_spellings, spell_as
from cosmoinfer.priors import Unknown
from cosmoinfer.reweighting.prior_change import check_known
from cosmoinfer.supports import Probit

MIN_EFFECTIVE_POINTS = 100  # of a chain, fewer than which give no density
MAX_POINTS = 10_000  # with a kernel each; of more, so many are drawn by their weights
EDGE_DISTANCE = 5.0  # standard deviations of the points from their mean, within which an edge is taken into account
MIN_WEIGHT_IN_BOX = 0.01  # share of the chain that must lie where the posterior is known
BLOCK_PAIRS = 1 << 18  # of draws and points, whose distances are held at once
SETTING = "prior"


@dataclass(frozen=True)
class ChainPoints:
    """name: of the chain, for messages. parameters: names and box of its C parameters, the box infinite if not known.

    theta: (k, C). weights: (k,), which sum to one.
    """

    name: str
    parameters: Parameters
    theta: np.ndarray
    weights: np.ndarray

    @cached_property
    def effective_points(self) -> float:
        """By weight, repeated points taken together; not less for points that depend on each other otherwise."""
        return effective_sample_size(self.weights, self.theta)


@dataclass(frozen=True)
class ChainPrior:
    """edges: the K shared parameters, with the edges that the density takes into account.

    box: the same with the box of the chain, outside which there is no density. centres: (m, K) of the kernels,
    standardised by ``mean`` (K,) and ``root`` (K, K), the lower Cholesky factor of their covariance.
    log_weights: (m,). bandwidth: h. share_in_box: of the chain's weight, where the posterior is known.
    spellings: of the chain's names, those of the posterior for the same parameters.
    """

    chain: ChainPoints
    edges: Parameters
    box: Parameters
    mean: np.ndarray
    root: np.ndarray
    centres: np.ndarray
    log_weights: np.ndarray
    bandwidth: float
    share_in_box: float
    spellings: Mapping[str, str]

    @classmethod
    def of_shared(cls, chain: ChainPoints, parameters: Parameters, derived: Sequence[str] = ()) -> "ChainPrior":
        """Of the parameters that a posterior and a chain both have.

        derived: names of functions of other parameters of the posterior, left aside where all those are shared.
        Raises UserError where no parameter is shared, or the points do not give a density.
        """
        renamed, spellings = spell_as(chain.parameters, parameters.names)
        chain = replace(chain, parameters=renamed)
        names = [name for name in parameters.names if name in chain.parameters.names]
        independent = [name for name in parameters.names if name not in derived]
        names = independent if set(independent) <= set(names) else names
        if not names:
            raise UserError(
                f"shares no parameter with the posterior: it has {join_first(chain.parameters.names, 20)}, the "
                f"posterior {join_first(parameters.names, 20)}; `derive` gives one of the posterior another name",
                SETTING,
                chain.name,
            )
        if chain.effective_points < MIN_EFFECTIVE_POINTS:
            found = f"its {len(chain.theta)} points are worth {chain.effective_points:.1f} of equal weight"
            raise UserError(
                f"{found}; expected {MIN_EFFECTIVE_POINTS} or more for a density of them", SETTING, chain.name
            )
        theta = chain.theta[:, chain.parameters.columns(names)]
        shared = parameters.untied.select(names)
        share = float(chain.weights[shared.in_box(theta)].sum())
        if share < MIN_WEIGHT_IN_BOX:
            raise UserError(
                f"{100 * share:.2g} % of it lie in the box of {join_first(names, 20)}, outside which the posterior is "
                "not known; train with simulations from there",
                SETTING,
                chain.name,
            )
        weights = chain.weights
        if len(theta) > MAX_POINTS:
            chosen = ImportanceWeights(weights, 0.0).resample(MAX_POINTS, seeding.generator(0, "chain prior"))
            theta, weights = theta[chosen], np.full(MAX_POINTS, 1 / MAX_POINTS)
        box = _box_of_points(chain.parameters.select(names), theta)
        edges = _edges(theta, weights, box, shared)
        z, _ = Probit().to_line(edges, theta)
        mean = weights @ z
        effective = min(chain.effective_points, len(theta))
        bandwidth = effective ** (-1 / (len(names) + 4))
        try:
            covariance = np.atleast_2d(np.cov(z, rowvar=False, aweights=weights))
            root = linalg.cholesky(covariance, lower=True)
        except linalg.LinAlgError as error:
            raise UserError(
                f"its points do not vary independently in {join_first(names, 20)}: one is constant, or a function of "
                "the others",
                SETTING,
                chain.name,
            ) from error
        centres = np.sqrt(1 - bandwidth**2) * linalg.solve_triangular(root, (z - mean).T, lower=True).T
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        return cls(chain, edges, box, mean, root, centres, log_weights, bandwidth, share, spellings)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K shared parameters, in the order of the posterior."""
        return self.box.names

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """ln p(theta), natural, in catalog units: (..., K) -> (...); -inf outside the box of the chain."""
        points = theta.reshape(-1, len(self.names))
        inside = self.box.in_box(points)
        log_density = np.where(np.isnan(points).any(axis=-1), np.nan, -np.inf)
        z, log_slope = Probit().to_line(self.edges, self.edges.clip(points[inside]))
        scores = linalg.solve_triangular(self.root, (z - self.mean).T, lower=True).T
        rows = max(1, BLOCK_PAIRS // len(self.centres))
        blocks = [self._log_kernels(scores[start : start + rows]) for start in range(0, len(scores), rows)]
        log_norm = np.log(np.diag(self.root)).sum() + len(self.names) * np.log(self.bandwidth * np.sqrt(2 * np.pi))
        log_density[inside] = np.concatenate([np.empty(0), *blocks]) - log_norm + log_slope.sum(axis=-1)
        return log_density.reshape(theta.shape[:-1])

    def _log_kernels(self, scores: np.ndarray) -> np.ndarray:
        """ln of the weighted sum of kernels, which are 1 at their centres: (n, K) -> (n,)."""
        scale = self.bandwidth**-2
        exponents = (scale * scores) @ self.centres.T
        exponents += self.log_weights - 0.5 * scale * (self.centres**2).sum(axis=1)
        top = exponents.max(axis=1)
        exponents -= top[:, None]
        sums = np.exp(exponents, out=exponents).sum(axis=1)
        return np.log(sums) + top - 0.5 * scale * (scores**2).sum(axis=1)

    def apply_to(self, parameters: Parameters, derived: Sequence[str] = ()) -> Parameters:
        """The parameters without a prior of the shared ones, whose new one has no form that a file holds.

        Raises UserError where their old one is not known, or correlates one with a parameter that is not shared.
        """
        columns = parameters.columns(self.names)
        check_known(parameters, self.names, derived)
        correlation = parameters.correlation
        if correlation is not None:
            correlation = correlation.copy()
            is_shared = np.isin(np.arange(len(parameters)), columns)
            if crossed := np.argwhere(correlation * (is_shared[:, None] & ~is_shared)).tolist():
                shared, single = (parameters.names[place] for place in crossed[0])
                raise UserError(
                    f"its prior is correlated with that of {single}, which {self.chain.name} has not", SETTING, shared
                )
            correlation[np.ix_(columns, columns)] = np.eye(len(columns))
            correlation = None if (correlation == np.eye(len(parameters))).all() else correlation
        kinds = [Unknown.name if place in columns else kind for place, kind in enumerate(parameters.prior)]
        return replace(parameters, prior=tuple(kinds), correlation=correlation)

    def describe(self, parameters: Parameters) -> str:
        """What it is made of, and which parameters it is of, in one line."""
        chain = self.chain
        points = f"{len(chain.theta)} points worth {chain.effective_points:.0f} of equal weight"
        sides = [f"prior of {join_first(self.names, 20)}"]
        for side, names in (("chain", chain.parameters.names), ("posterior", parameters.names)):
            if single := [name for name in names if name not in self.names]:
                sides.append(f"of the {side} alone: {join_first(single, 20)}")
        sides += describe_spellings(self.spellings)
        kernels = f"kernels of {self.bandwidth:.2g} of its width"
        cut = "" if self.share_in_box > 0.9999 else f"; {100 * self.share_in_box:.4g} % of it lie in the box"
        return f"{chain.name}: {points}, {kernels}; {'; '.join(sides)}{cut}"


def _box_of_points(box: Parameters, theta: np.ndarray) -> Parameters:
    """The box of a chain, infinite where points lie outside it, which then is none."""
    inside = box.in_box_by_parameter(theta).all(axis=0)
    return Parameters.from_names(
        box.names, np.where(inside, box.low, -np.inf), np.where(inside, box.high, np.inf), labels=box.labels
    )


def _edges(theta: np.ndarray, weights: np.ndarray, box: Parameters, shared: Parameters) -> Parameters:
    """The parameters of a chain with those edges of its box that are near its points, infinite ones elsewhere.

    Where the posterior has the logarithm of a parameter as its coordinate, and no edge is near, 0 is the lower one.
    """
    mean = weights @ theta
    reach = EDGE_DISTANCE * np.sqrt(weights @ (theta - mean) ** 2)
    low = np.where(box.low > mean - reach, box.low, -np.inf)
    high = np.where(box.high < mean + reach, box.high, np.inf)
    in_logarithm = np.array([prior.in_logarithm for prior in shared.priors]) & (theta > 0).all(axis=0)
    low = np.where(in_logarithm & np.isinf(low) & np.isinf(high), 0.0, low)
    return Parameters.from_names(box.names, low, high)
