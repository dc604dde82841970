"""Importance weights: draws from one density that represent another."""

from dataclasses import dataclass

import numpy as np

MIN_EFFECTIVE_DRAWS = 100  # fewer deserve a warning: 100 give a mean to a tenth of a standard deviation


@dataclass(frozen=True)
class ImportanceWeights:
    """Of S draws.

    weights: (S,), which sum to one.
    log_mean: ln of the mean weight before normalisation. Where the weights are p~/q of a normalised q and an
        unnormalised p~, it estimates ln of the integral of p~.
    """

    weights: np.ndarray
    log_mean: float

    @classmethod
    def from_log_weights(cls, log_weights: np.ndarray) -> "ImportanceWeights":
        """log_weights: (S,), -inf where the target has no density; at least one is finite."""
        top = log_weights.max()
        weights = np.exp(log_weights - top)
        return cls(weights / weights.sum(), float(top + np.log(weights.mean())))

    def log_mean_error(self, effective_sample_size: float) -> float:
        """Standard error of ``log_mean``, from the effective sample size of the weights."""
        return float(np.sqrt(max(1 / effective_sample_size - 1 / len(self.weights), 0.0)))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Of values (S, P) under the target, (P,)."""
        return self.weights @ values

    def std(self, values: np.ndarray) -> np.ndarray:
        """Of values (S, P) under the target, (P,), with the divisor S - 1 where all weights are equal."""
        freedom = 1 - (self.weights**2).sum()
        squares = self.weights @ (values - self.mean(values)) ** 2
        return np.sqrt(squares / freedom) if freedom > 0 else np.zeros_like(squares)

    def resample(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Positions (count,) of draws with equal weights, in random order.

        Systematic: a draw of weight w is taken count * w times on average, rounded up or down (Kitagawa 1996).
        """
        levels = (np.arange(count) + generator.random()) / count
        cumulative = np.cumsum(self.weights)
        chosen = np.searchsorted(cumulative / cumulative[-1], levels, side="right")
        return generator.permutation(np.minimum(chosen, len(self.weights) - 1))


def effective_sample_size(weights: np.ndarray, draws: np.ndarray | None = None) -> float:
    """The number of independent draws of the target that weights (S,) are worth: (sum w)^2 / sum w^2 (Kish 1965).

    draws: (S, P); repeated draws count once, with the sum of their weights.
    """
    if draws is not None:
        _, index = np.unique(draws, axis=0, return_inverse=True)
        weights = np.bincount(index.ravel(), weights=weights)
    return float(weights.sum() ** 2 / (weights**2).sum())
