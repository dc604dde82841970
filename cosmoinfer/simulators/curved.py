"""Two parameters with posteriors that are not elliptical: two moons, and a narrow bent ridge."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cosmoinfer import seeding, truncated_normal
from cosmoinfer.errors import UserError
from cosmoinfer.parameters import Parameters
from cosmoinfer.simulators.simulations import DataAttributes
from cosmoinfer.simulators.simulator import Simulator

# the box of both problems
SQUARE = Parameters.from_names(("theta_1", "theta_2"), (-1.0, -1.0), (1.0, 1.0))
MAX_BATCHES = 1000  # of proposals, of twice as many as there are draws


class InSquare(Simulator):
    """Two parameters, uniform on -1..1, whose data are a vector."""

    @property
    def parameters(self) -> Parameters:
        return SQUARE

    @property
    def attributes(self) -> DataAttributes:
        return {"kind": "vector"}


@dataclass(frozen=True)
class TwoMoons(InSquare):
    """A posterior of two crescents (Greenberg et al. 2019, arXiv:1905.07488), uniform prior on -1..1.

        x = (r cos a + shift, r sin a) + (-|s|, t),   s = (theta_1 + theta_2)/sqrt 2,   t = (theta_2 - theta_1)/sqrt 2,

    with a uniform on -pi/2..pi/2 and r ~ N(radius, width^2). With v = x - (shift, 0) + (|s|, -t) the likelihood is
    N(|v|; radius, width^2) / (pi |v|) where v_1 > 0. Every (r, a) and sign of s is one theta: the evidence is twice the
    chance that (r, a) gives a theta in the square, which some arcs of a do not.
    """

    radius: float = 0.1
    width: float = 0.01
    shift: float = 0.25

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        s, t = _diagonal_coordinates(theta)
        v = self._crescent(len(theta), rng)
        return np.stack([v[:, 0] + self.shift - np.abs(s), v[:, 1] + t], axis=-1)

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        data = np.asarray(data, np.float64)
        s, t = _diagonal_coordinates(theta)
        v_1, v_2 = data[..., 0] - self.shift + np.abs(s), data[..., 1] - t
        length = np.hypot(v_1, v_2)
        normal = -0.5 * ((length - self.radius) / self.width) ** 2 - np.log(self.width * np.sqrt(2 * np.pi))
        with np.errstate(divide="ignore"):
            likelihood = normal - np.log(np.pi * length)
            log_joint = np.where((v_1 > 0) & SQUARE.inside(theta), likelihood, -np.inf)
        return log_joint - self._log_evidence(data.reshape(-1, 2)).reshape(data.shape[:-1])

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """(r, a) and the sign of s from their laws, until theta lies in the square."""

        def propose(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
            v = self._crescent(count, rng)
            size = v[:, 0] - x[0] + self.shift  # |s|
            s, t = size * rng.choice((-1.0, 1.0), count), x[1] - v[:, 1]
            return np.stack([s - t, s + t], axis=-1)[size >= 0] / np.sqrt(2)

        return _draw_inside_square(np.asarray(data, np.float64), draws, seed, propose)

    def _crescent(self, count: int, rng: np.random.Generator) -> np.ndarray:
        r, a = rng.normal(self.radius, self.width, count), np.pi * (rng.random(count) - 0.5)
        return np.stack([r * np.cos(a), r * np.sin(a)], axis=-1)

    def _log_evidence(self, x: np.ndarray) -> np.ndarray:
        """ln of the integral of the likelihood over the square, (N, 2) -> (N,)."""
        nodes, weights = np.polynomial.legendre.leggauss(400)
        r = self.radius + 8 * self.width * nodes
        density = 8 * self.width * weights * np.exp(-32 * nodes**2) / (self.width * np.sqrt(2 * np.pi))
        return np.log(2 * self._angle_fraction(r, x) @ density)

    def _angle_fraction(self, r: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The fraction of -pi/2..pi/2 for which |s| >= 0 and |s| + |t| <= sqrt 2: (R,) and (N, 2) -> (N, R).

        The first leaves |a| <= A. The second loses r cos(a -+ pi/4) > (sqrt 2 + x_1 - shift -+ x_2)/sqrt 2: an arc
        around pi/4 and one around -pi/4.
        """
        half = np.arccos(np.clip((x[:, :1] - self.shift) / r, 0, 1))
        margin = np.sqrt(2) + x[:, :1] - self.shift
        arc_right, arc_left = (
            np.arccos(np.clip((margin + sign * x[:, 1:]) / np.sqrt(2) / r, -1, 1)) for sign in (1, -1)
        )
        # |t| = |x_2 - r sin a|: with its plus sign -r sin a joins cos a in an arc around -pi/4, with its minus +pi/4.
        first = [np.clip(-np.pi / 4 + sign * arc_left, -half, half) for sign in (-1, 1)]
        second = [np.clip(np.pi / 4 + sign * arc_right, -half, half) for sign in (-1, 1)]
        overlap = np.clip(np.minimum(first[1], second[1]) - np.maximum(first[0], second[0]), 0, None)
        return (2 * half - (first[1] - first[0]) - (second[1] - second[0]) + overlap) / np.pi


@dataclass(frozen=True)
class NarrowRidge(InSquare):
    """x = (theta_1, theta_2 + bend theta_1^2) + noise e: a posterior a hundredth as wide as its prior, and bent.

    Uniform prior on -1..1. Given theta_1 the other is a normal cut by the square, so the evidence is one quadrature.
    """

    noise: float = 0.02
    bend: float = 1.0

    def observe(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self._expected(theta) + self.noise * rng.standard_normal(theta.shape)

    def log_posterior(self, theta: np.ndarray, data: np.ndarray) -> np.ndarray:
        data = np.asarray(data, np.float64)
        likelihood = -0.5 * np.square((data - self._expected(theta)) / self.noise).sum(axis=-1)
        log_prob = likelihood - self._log_evidence(data.reshape(-1, 2)).reshape(data.shape[:-1])
        return np.where(SQUARE.inside(theta), log_prob, -np.inf)

    def sample(self, data: np.ndarray, draws: int, seed: int) -> np.ndarray:
        """The posterior under no prior at all, until theta lies in the square."""

        def propose(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
            expected = x + self.noise * rng.standard_normal((count, 2))
            return np.stack([expected[:, 0], expected[:, 1] - self.bend * expected[:, 0] ** 2], axis=-1)

        return _draw_inside_square(np.asarray(data, np.float64), draws, seed, propose)

    def _expected(self, theta: np.ndarray) -> np.ndarray:
        return np.stack([theta[..., 0], theta[..., 1] + self.bend * theta[..., 0] ** 2], axis=-1)

    def _log_evidence(self, x: np.ndarray) -> np.ndarray:
        """ln of the integral of exp(-chi^2/2) over the square, (N, 2) -> (N,)."""
        nodes, weights = np.polynomial.legendre.leggauss(200)
        low, high = np.clip(x[:, :1] + 9 * self.noise * np.array([-1, 1]), -1, 1).T[..., None]
        first = low + (high - low) * (nodes + 1) / 2  # (N, nodes)
        middle = x[:, 1:] - self.bend * first**2
        second = truncated_normal.mass((-1 - middle) / self.noise, (1 - middle) / self.noise)
        chi = np.exp(-0.5 * ((x[:, :1] - first) / self.noise) ** 2)
        return np.log((chi * second) @ weights * (high - low)[:, 0] / 2 * self.noise * np.sqrt(2 * np.pi))


def _diagonal_coordinates(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s and t, the coordinates along the diagonals."""
    return (theta[..., 0] + theta[..., 1]) / np.sqrt(2), (theta[..., 1] - theta[..., 0]) / np.sqrt(2)


def _draw_inside_square(
    data: np.ndarray, draws: int, seed: int, propose: Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
) -> np.ndarray:
    """Rejection sampling: the proposals of each row that lie in the square, (N, S, 2).

    propose: (x, count, generator) -> (at most count, 2). Row i has a generator of its own, keyed by (seed, i).

    Raises UserError where next to nothing of the proposals lies in the square.
    """
    samples = np.empty((len(data), draws, 2))
    for row, x in enumerate(data):
        rng, kept = seeding.generator(seed, "posterior", row), np.empty((0, 2))
        for _ in range(MAX_BATCHES):
            trial = propose(x, 2 * draws, rng)
            kept = np.concatenate([kept, trial[SQUARE.inside(trial)]])
            if len(kept) >= draws:
                break
        else:
            raise UserError("the exact posterior of these settings lies outside the box, almost all of it", "set")
        samples[row] = SQUARE.clip(kept[:draws])
    return samples
