"""Posteriors beside the truths that they should have found: what all metrics share, computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosmoinfer import seeding
from cosmoinfer.errors import UserError
from cosmoinfer.metrics import ranks
from cosmoinfer.metrics.bootstrap import Clusters
from cosmoinfer.metrics.guesses import Guesses
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import Posterior

REFERENCE_NOISE = 0.05  # in prior-CDF units: keeps a reference from sitting on the posterior mean


@dataclass(frozen=True)
class Evidence:
    """n rows of G simulations with P parameters. Any of mean, std, sbc, tarp, tarp_x, hpd and guesses is None where
    the posterior does not hold what it needs. Units of the catalog, natural logarithms.
    """

    posterior: Posterior
    seed: int = 0

    def __post_init__(self) -> None:
        if self.posterior.truth is None:
            raise UserError("the posterior has no true parameters to compare with; sample a catalog that holds them")
        if len(self.posterior) == 0:
            raise UserError("the posterior has no rows to evaluate")

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters.of(self.posterior.simulation, self.seed)

    @property
    def parameters(self) -> Parameters:
        return self.posterior.parameters

    @property
    def truth(self) -> np.ndarray:
        assert self.posterior.truth is not None
        return self.posterior.truth

    @cached_property
    def mean(self) -> np.ndarray | None:
        return self.posterior.best_mean

    @cached_property
    def std(self) -> np.ndarray | None:
        return self.posterior.best_std

    @property
    def log_prob_truth(self) -> np.ndarray | None:
        return self.posterior.log_prob_truth

    @cached_property
    def error(self) -> np.ndarray:
        """mu - t, (n, P)."""
        assert self.mean is not None
        return self.mean - self.truth

    @cached_property
    def pull(self) -> np.ndarray:
        """z = (mu - t) / sigma, (n, P): mean 0 and mean square 1 for a right posterior of any shape."""
        assert self.std is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.error / self.std

    @cached_property
    def sbc(self) -> np.ndarray | None:
        """Rank of the truth among the draws, (n, P)."""
        if self.posterior.samples is None:
            return None
        return ranks.by_value(self.posterior.samples, self.truth, self._stream("sbc"))

    @cached_property
    def tarp(self) -> np.ndarray | None:
        """Rank of the truth by distance from a point drawn from the prior, (n,)."""
        return self._tarp(self._stream("tarp", "reference").random(self.truth.shape), "tarp")

    @cached_property
    def tarp_x(self) -> np.ndarray | None:
        """The same from a point that depends on the observation: a ridge estimate plus noise, (n,)."""
        if self.posterior.reference is None:
            return None
        noise = REFERENCE_NOISE * self._stream("tarp_x", "reference").standard_normal(self.truth.shape)
        return self._tarp(self.parameters.cdf(self.posterior.reference) + noise, "tarp_x")

    @cached_property
    def hpd(self) -> np.ndarray | None:
        """The share of draws that are denser than the truth, (n,)."""
        if self.posterior.log_prob is None or self.log_prob_truth is None:
            return None
        return ranks.by_density(self.posterior.log_prob, self.log_prob_truth, self._stream("hpd"))

    @cached_property
    def guesses(self) -> Guesses | None:
        """Of a classifier."""
        if self.posterior.probabilities is None:
            return None
        return Guesses(self.posterior.probabilities, self.truth[:, 0].astype(np.int64))

    @property
    def two_classes(self) -> Guesses | None:
        """The same, where there are just two."""
        return self.guesses if len(self.posterior.classes) == 2 else None

    def _tarp(self, reference: np.ndarray, purpose: str) -> np.ndarray | None:
        if self.posterior.samples is None:
            return None
        stream = self._stream(purpose)
        return ranks.by_distance(self.parameters, self.posterior.samples, self.truth, reference, stream)

    def _stream(self, *purpose: str) -> np.random.Generator:
        return seeding.generator(self.seed, "evaluate", *purpose)
