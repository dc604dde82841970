"""Regression losses: the terms of each row, and how the terms of all rows are reduced to one number.

Outputs and parameters are standardised; widths and the diagonals of Cholesky factors are positive (``output_heads``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cosmoinfer.losses.output_heads import OUTPUT_HEADS, means_and_factors, means_and_widths

Terms = Callable[[Tensor, Tensor], Tensor]  # outputs (..., O) and theta (..., P) -> (..., K)


def mean(terms: Tensor) -> Tensor:
    """The mean over rows and terms: (M, N, K) -> (M,)."""
    return terms.mean((1, 2))


@dataclass(frozen=True)
class RegressionLoss:
    """A loss of regression.

    terms: outputs (..., O) and theta (..., P) -> (..., K).
    output_head: the name in ``OUTPUT_HEADS`` of the head that the loss needs.
    reduce: terms (M, N, K) of M members -> (M,).
    validation_score: terms whose mean selects the epoch on validation rows, where the loss itself is biased.
    validation_score_name: how messages call it.
    """

    terms: Terms
    output_head: str
    reduce: Callable[[Tensor], Tensor] = mean
    validation_score: Terms | None = None
    validation_score_name: str = ""

    def n_outputs(self, parameters: int) -> int:
        """The number of outputs of the last layer, for this number of parameters."""
        return OUTPUT_HEADS[self.output_head](parameters)


def squared_error(outputs: Tensor, theta: Tensor) -> Tensor:
    """(theta - mu)^2 of outputs (..., O) and theta (..., P), for any output head: also the loss of a warm-up."""
    return (theta - outputs[..., : theta.shape[-1]]) ** 2


def _absolute_error(outputs: Tensor, theta: Tensor) -> Tensor:
    """|theta - mu|, (..., P) of outputs (..., P): minimised by the median of p(theta | x)."""
    return (theta - outputs).abs()


def _moment(outputs: Tensor, theta: Tensor) -> Tensor:
    """(theta - mu)^2 + (stopgrad((theta - mu)^2) - sigma^2)^2, (..., P) of outputs (..., 2 P).

    The fit of the width leaves the mean alone. Jeffrey & Wandelt (arXiv:2011.05991) fit the two moments one after the
    other; the stopped gradient does the same in one training. Without it the third moment of theta biases mu.
    """
    mean, width = means_and_widths(outputs)
    squared = (theta - mean) ** 2
    return squared + (squared.detach() - width**2) ** 2


def _dawid_sebastiani(outputs: Tensor, theta: Tensor) -> Tensor:
    """log sigma^2 + (theta - mu)^2 / sigma^2, (..., P) of outputs (..., 2 P).

    Minimised by the exact mean and width (Dawid & Sebastiani 1999). The value of the moment loss, unlike its gradient,
    has its minimum at a biased mean: it must not select the epoch.
    """
    mean, width = means_and_widths(outputs)
    return 2 * width.log() + ((theta - mean) / width) ** 2


def _moment_log(outputs: Tensor, theta: Tensor) -> Tensor:
    """The two terms of the moment loss, (..., 2 P) of outputs (..., 2 P).

    The logarithm is taken of their batch means (CAMELS CMD, arXiv:2109.10915). As published, nothing is detached: where
    p(theta | x) is skewed, mu is biased by its third moment.
    """
    mean, width = means_and_widths(outputs)
    squared = (theta - mean) ** 2
    return torch.cat([squared, (squared - width**2) ** 2], dim=-1)


def _sum_of_log_means(terms: Tensor) -> Tensor:
    """sum over parameters of log(mean over rows): (M, N, K) -> (M,); needs batches of 64 rows or more."""
    return terms.mean(1).log().sum(1)


def _gaussian_nll(outputs: Tensor, theta: Tensor) -> Tensor:
    """-log N(theta; mu, (L L^T)^-1), (..., 1) of outputs (..., P (P + 3) / 2).

    It is |L^T (theta - mu)|^2 / 2 - sum log L_pp + P/2 log 2 pi. L is a triangular factor of the precision, not of the
    covariance: nothing is inverted (Dorta et al., arXiv:1802.07079).
    """
    mean, factor = means_and_factors(outputs)
    white = torch.einsum("...ij,...i->...j", factor, theta - mean)  # L^T (theta - mu)
    log_diagonal = factor.diagonal(dim1=-2, dim2=-1).log()
    return (white**2 / 2 - log_diagonal + math.log(2 * math.pi) / 2).sum(-1, keepdim=True)


LOSSES = {
    "mse": RegressionLoss(squared_error, "point"),
    "mae": RegressionLoss(_absolute_error, "point"),
    "moment": RegressionLoss(
        _moment, "widths", validation_score=_dawid_sebastiani, validation_score_name="Dawid-Sebastiani score"
    ),
    "moment-log": RegressionLoss(_moment_log, "widths", _sum_of_log_means),
    "gaussian-nll": RegressionLoss(_gaussian_nll, "covariance"),
}
