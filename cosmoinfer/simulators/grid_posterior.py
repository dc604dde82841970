"""The exact posterior in a small box, for any likelihood that can be evaluated: by quadrature, and by rejection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.memory import slices
from cosmoinfer.parameters import Parameters

NUMBERS_PER_BLOCK = 4_000_000  # of rows times nodes, held at once: 32 MB
MAX_BATCHES = 1000  # of proposals, of twice as many as there are draws


@dataclass(frozen=True)
class GridPosterior:
    """p(theta | x) in a box under a uniform prior, for any likelihood that can be evaluated; meant for P <= 3.

    The evidence is a Gauss-Legendre sum over ``nodes`` points an axis: it needs a node every standard deviation or
    so of the narrowest direction, and loses nothing where the box cuts the posterior off.
    log_likelihood: of theta (..., P) and x (..., K), broadcast against each other -> (...).
    tabulate: of theta (G, P), gives the function that takes x (N, K) to the likelihood of all pairs, (N, G).
    Both may leave out the same terms free of theta.
    """

    parameters: Parameters
    log_likelihood: Callable[[np.ndarray, np.ndarray], np.ndarray]
    tabulate: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
    nodes: int = 128

    def log_prob(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Natural log density in catalog units, -inf outside the box: (..., P) and (..., K), broadcast -> (...)."""
        evidence = self.log_evidence(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])
        return np.where(self.parameters.inside(theta), self.log_likelihood(theta, x) - evidence, -np.inf)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """ln of the integral of the likelihood over the box (not divided by its volume): (N, K) -> (N,)."""
        log_weight = self._grid[1]
        log_sums = [special.logsumexp(block + log_weight, axis=1) for block in self._blocks(x)]
        return np.concatenate([np.empty(0), *log_sums])

    def sample(self, x: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """Exact independent draws, (N, K) -> (N, S, P); row i has a stream of its own, keyed by (seed, i)."""
        rows = (row for block in self._blocks(x) for row in block)
        samples = [
            self._reject(x[index], row, draws, seeding.generator(seed, "posterior", index))
            for index, row in enumerate(rows)
        ]
        return np.stack(samples) if samples else np.empty((0, draws, len(self.parameters)))

    def _reject(self, x: np.ndarray, table: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Rejection from a Student t of the posterior's own moments; table: its log-likelihood at the nodes, (G,)."""
        theta, log_weight = self._grid
        proposal = _StudentT.from_weighted_points(
            theta, np.exp(table + log_weight - special.logsumexp(table + log_weight))
        )
        # The ratio is smooth on the scale of the posterior, which the nodes resolve: 5 % cover what lies between them.
        bound = np.max(table - proposal.log_density(theta)) + np.log(1.05)
        accepted = np.empty((0, len(self.parameters)))
        for _ in range(MAX_BATCHES):
            trial = proposal.draw(2 * draws, rng)
            trial = trial[self.parameters.inside(trial)]
            ratio = self.log_likelihood(trial, x) - proposal.log_density(trial) - bound
            accepted = np.concatenate([accepted, trial[np.log(rng.random(len(trial))) < ratio]])
            if len(accepted) >= draws:
                break
        else:
            raise UserError("the exact posterior of these settings is narrower than its grid resolves", "set")
        return self.parameters.clip(accepted[:draws])

    def _blocks(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """The log-likelihood at every node, a bounded number of rows at a time: (B, G)."""
        for rows in slices(len(x), NUMBERS_PER_BLOCK // len(self._grid[0])):
            yield self._table(x[rows])

    @cached_property
    def _table(self) -> Callable[[np.ndarray], np.ndarray]:
        return self.tabulate(self._grid[0])

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes (G, P) and the logarithms of their weights (G,), which sum to the volume of the box."""
        points, weights = np.polynomial.legendre.leggauss(self.nodes)
        low, high = self.parameters.low, self.parameters.high
        axes = (low + (high - low) * (points[:, None] + 1) / 2).T
        logs = np.log(weights)[:, None] + np.log((high - low) / 2)
        theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
        return theta, np.sum(np.meshgrid(*logs.T, indexing="ij"), axis=0).reshape(-1)


@dataclass(frozen=True)
class _StudentT:
    """A multivariate Student t, with heavier tails than the posterior that it proposes for.

    Not scipy.stats.multivariate_t, whose draws come in another order, and whose density takes a pseudo-inverse a call.
    """

    mean: np.ndarray
    root: np.ndarray
    freedom: float = 5.0

    @classmethod
    def from_weighted_points(cls, theta: np.ndarray, weight: np.ndarray) -> "_StudentT":
        """With the moments of weighted points: theta (G, P), weight (G,) of sum one."""
        mean = weight @ theta
        return cls(mean, np.linalg.cholesky((theta - mean).T * weight @ (theta - mean)))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        stretch = np.sqrt(self.freedom / rng.chisquare(self.freedom, (count, 1)))
        return self.mean + stretch * rng.standard_normal((count, len(self.mean))) @ self.root.T

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Up to a constant."""
        squares = np.square((theta - self.mean) @ np.linalg.inv(self.root).T).sum(axis=-1)
        return -0.5 * (self.freedom + len(self.mean)) * np.log1p(squares / self.freedom)
