"""Mixtures of normals in a box: the posterior of one observation, as a network of means and widths knows it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from cosmoinfer import truncated_normal
from cosmoinfer.parameters import Parameters
from cosmoinfer.sampling.rejection import DrawPiece, DrawStream, draw_inside, draw_unrestricted
from cosmoinfer.sampling.temperature import PROPOSAL_TEMPERATURES, log_box_mass

PROPOSALS_PER_TEMPERATURE = 200  # at each temperature, of one row, for its mass inside the box


@dataclass(frozen=True)
class Normals(ABC):
    """weights: (M,), means: (M, P), in catalog units."""

    parameters: Parameters
    weights: np.ndarray
    means: np.ndarray

    @property
    @abstractmethod
    def variances(self) -> np.ndarray:
        """Of each member, (M, P)."""

    @property
    @abstractmethod
    def overflows(self) -> bool:
        """Whether ``propose`` leaves the prior's box or region, so that the mixture is renormalised over them."""

    @abstractmethod
    def propose(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draws, (count, P): members by multinomial, then each member's normal."""

    @abstractmethod
    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """log of the density of what ``propose`` draws, (S, P) -> (S,); outside the box too."""

    def draw(self, draws: int, generator: np.random.Generator) -> DrawStream:
        """Inside the prior's box and region."""

        def propose(count: int) -> DrawPiece:
            return DrawPiece(self.propose(count, generator))

        if self.overflows:
            return DrawStream(draw_inside(propose, self.parameters, draws))
        return DrawStream(draw_unrestricted(propose, draws))

    def log_prob(self, theta: np.ndarray) -> np.ndarray:
        """log of the mixture, (S, P) -> (S,), before the mass inside that ``draw`` estimates is divided out."""
        return np.where(self.parameters.inside(theta), self.log_density(theta), -np.inf)

    def log_mass(self, draws: int, generator: np.random.Generator) -> float:
        """log of the share of the mixture inside box and region, which ``log_prob`` has not taken off.

        From draws, of which at least half a one counts as inside, so that it stays finite.
        """
        if not self.overflows:
            return 0.0
        inside = self.parameters.accepts(self.propose(draws, generator))
        return float(np.log(max(inside.mean(), 0.5 / draws)))

    @abstractmethod
    def at_temperature(self, temperature: float) -> "Normals":
        """All widths so many times as large."""

    @property
    def mean(self) -> np.ndarray:
        """Of the mixture before any truncation, (P,)."""
        return self.weights @ self.means

    @property
    def std(self) -> np.ndarray:
        """Of the mixture before any truncation, (P,)."""
        return np.sqrt(self.weights @ (self.variances + (self.means - self.mean) ** 2))

    def _log_mixture(self, terms: np.ndarray) -> np.ndarray:
        """(M, S) -> (S,): the mean of densities, not of their logarithms."""
        return special.logsumexp(terms, axis=0, b=self.weights[:, None])


@dataclass(frozen=True)
class IndependentNormals(Normals):
    """widths: (M, P). Each member is truncated to the box by itself, exactly, parameter by parameter."""

    widths: np.ndarray

    @property
    def overflows(self) -> bool:
        return bool(self.parameters.where)

    def at_temperature(self, temperature: float) -> "IndependentNormals":
        return replace(self, widths=self.widths * temperature)

    @property
    def variances(self) -> np.ndarray:
        return self.widths**2

    def propose(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Inside the box, by the inverse of the truncated normal's distribution function.

        In logarithms, and mirrored where the box lies above the mean: exact however far away the box is.
        """
        member = generator.choice(len(self.weights), size=count, p=self.weights)
        mean, width = self.means[member], self.widths[member]
        low, high = (self.parameters.low - mean) / width, (self.parameters.high - mean) / width
        return self.parameters.clip(mean + width * truncated_normal.draw(low, high, generator))

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        means, widths = self.means[:, None], self.widths[:, None]  # (M, 1, P)
        low, high = (self.parameters.low - means) / widths, (self.parameters.high - means) / widths
        log_mass = truncated_normal.log_mass(low, high)
        terms = -0.5 * ((theta - means) / widths) ** 2 - np.log(widths * np.sqrt(2 * np.pi)) - log_mass
        return self._log_mixture(terms.sum(axis=-1))


@dataclass(frozen=True)
class CorrelatedNormals(Normals):
    """factors: (M, P, P), lower triangles L of the precisions L L^T. The mixture is renormalised over the box."""

    factors: np.ndarray

    @property
    def overflows(self) -> bool:
        return True

    def at_temperature(self, temperature: float) -> "CorrelatedNormals":
        return replace(self, factors=self.factors / temperature)

    @property
    def variances(self) -> np.ndarray:
        return (self._roots**2).sum(axis=-1)

    @property
    def _roots(self) -> np.ndarray:
        """L^-T, whose product with its transpose is the covariance."""
        return np.linalg.inv(self.factors).transpose(0, 2, 1)

    def propose(self, count: int, generator: np.random.Generator) -> np.ndarray:
        member = generator.choice(len(self.weights), size=count, p=self.weights)
        noise = generator.standard_normal((count, len(self.parameters)))
        return self.means[member] + np.einsum("nij,nj->ni", self._roots[member], noise)

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        white = np.einsum("mij,msi->msj", self.factors, theta - self.means[:, None])  # L^T (theta - mu)
        log_diagonal = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=-1)  # (M,)
        constant = log_diagonal[:, None] - len(self.parameters) / 2 * np.log(2 * np.pi)
        return self._log_mixture(constant - 0.5 * (white**2).sum(axis=-1))


def log_mass_by_temperature(mixture: Normals, generator: np.random.Generator) -> Callable[[float], float]:
    """log of the share of one mixture inside the prior's box and region, for any temperature."""
    theta = np.concatenate(
        [
            mixture.at_temperature(temperature).propose(PROPOSALS_PER_TEMPERATURE, generator)
            for temperature in PROPOSAL_TEMPERATURES
        ]
    )
    inside = mixture.parameters.accepts(theta)
    return log_box_mass(lambda temperature: mixture.at_temperature(temperature).log_density(theta), inside)
