"""Losses for parameters. Each is the terms of a row, and how the terms of many rows become one number.

Outputs and parameters are standardised; widths and the diagonals of Cholesky factors are positive already (``heads``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cosmoinfer.losses.heads import HEADS, means_and_factors, means_and_widths

Terms = Callable[[Tensor, Tensor], Tensor]  # outputs (N, O) and theta (N, P) -> (N, K)


def mean(terms: Tensor) -> Tensor:
    """Over rows and terms: (M, N, K) -> (M,)."""
    return terms.mean((1, 2))


@dataclass(frozen=True)
class RegressionLoss:
    """head: what it wants of the last layer, one of ``HEADS``. reduce: terms (M, N, K) -> (M,).

    score: terms whose mean judges the validation rows, where the loss itself would choose the wrong epoch.
    """

    terms: Terms
    head: str
    reduce: Callable[[Tensor], Tensor] = mean
    score: Terms | None = None
    score_name: str = ""

    def outputs(self, parameters: int) -> int:
        """Of the last layer, for so many parameters."""
        return HEADS[self.head](parameters)


def squared_error(outputs: Tensor, theta: Tensor) -> Tensor:
    """(theta - mu)^2, (N, P), whatever the head says besides mu: also what a warm-up minimises."""
    return (theta - outputs[:, : theta.shape[1]]) ** 2


def _absolute_error(outputs: Tensor, theta: Tensor) -> Tensor:
    """|theta - mu|: least at the median of p(theta | x)."""
    return (theta - outputs).abs()


def _moment(outputs: Tensor, theta: Tensor) -> Tensor:
    """(theta - mu)^2 + (stopgrad((theta - mu)^2) - sigma^2)^2: the fit of the width leaves the mean alone.

    Jeffrey & Wandelt (arXiv:2011.05991) fit the two moments one after the other; the stopped gradient does the same
    in one training. Without it the third moment of theta biases mu.
    """
    mean, width = means_and_widths(outputs)
    squared = (theta - mean) ** 2
    return squared + (squared.detach() - width**2) ** 2


def _dawid_sebastiani(outputs: Tensor, theta: Tensor) -> Tensor:
    """log sigma^2 + (theta - mu)^2 / sigma^2: least at the exact mean and width (Dawid & Sebastiani 1999).

    The value of the moment loss, unlike its gradient, is least at a biased mean: it must not choose the epoch.
    """
    mean, width = means_and_widths(outputs)
    return 2 * width.log() + ((theta - mean) / width) ** 2


def _moment_log(outputs: Tensor, theta: Tensor) -> Tensor:
    """The two terms whose batch means go under a logarithm (CAMELS Multifield Dataset, arXiv:2109.10915).

    As published, nothing is detached: where p(theta | x) is skewed, mu is biased by its third moment.
    """
    mean, width = means_and_widths(outputs)
    squared = (theta - mean) ** 2
    return torch.cat([squared, (squared - width**2) ** 2], dim=-1)


def _sum_of_logs(terms: Tensor) -> Tensor:
    """sum over parameters of log(mean over rows); wants batches of 64 and more."""
    return terms.mean(1).log().sum(1)


def _gaussian_nll(outputs: Tensor, theta: Tensor) -> Tensor:
    """-log N(theta; mu, (L L^T)^-1), (N, 1): |L^T (theta - mu)|^2 / 2 - sum log L_pp + P/2 log 2 pi.

    A triangular factor of the precision, not of the covariance: nothing is inverted (Dorta et al., arXiv:1802.07079).
    """
    mean, factor = means_and_factors(outputs)
    white = torch.einsum("nij,ni->nj", factor, theta - mean)  # L^T (theta - mu)
    log_diagonal = factor.diagonal(dim1=1, dim2=2).log()
    return (white**2 / 2 - log_diagonal + math.log(2 * math.pi) / 2).sum(1, keepdim=True)


LOSSES = {
    "mse": RegressionLoss(squared_error, "point"),
    "mae": RegressionLoss(_absolute_error, "point"),
    "moment": RegressionLoss(_moment, "widths", score=_dawid_sebastiani, score_name="Dawid-Sebastiani score"),
    "moment-log": RegressionLoss(_moment_log, "widths", _sum_of_logs),
    "gaussian-nll": RegressionLoss(_gaussian_nll, "covariance"),
}
