"""What a regressor minimises, by name. Each is the terms of a row and how the terms of many rows become one number.

A regressor's outputs are standardised parameters: (N, P), or (N, 2P) with a width for the moment losses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class RegressionLoss:
    """terms: outputs (N, P or 2P) and theta (N, P) -> (N, K); reduce: (M, N, K) -> (M,). widths: 2P outputs.

    score: terms whose mean judges the validation rows, where the loss itself would choose the wrong epoch.
    """

    terms: Callable[[Tensor, Tensor], Tensor]
    reduce: Callable[[Tensor], Tensor]
    widths: bool
    score: Callable[[Tensor, Tensor], Tensor] | None = None
    score_name: str = ""


def means_and_widths(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of a moment network's outputs: mu and sigma > 0, (N, P) each."""
    mean, free = outputs.chunk(2, dim=-1)
    return mean, functional.softplus(free)


def _mse(outputs: Tensor, theta: Tensor) -> Tensor:
    return (theta - outputs) ** 2


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


def mean(terms: Tensor) -> Tensor:
    """Over rows and terms: (M, N, K) -> (M,)."""
    return terms.mean((1, 2))


def _sum_of_logs(terms: Tensor) -> Tensor:
    """sum over parameters of log(mean over rows); wants batches of 64 and more."""
    return terms.mean(1).log().sum(1)


LOSSES = {
    "mse": RegressionLoss(_mse, mean, widths=False),
    "moment": RegressionLoss(_moment, mean, widths=True, score=_dawid_sebastiani, score_name="Dawid-Sebastiani score"),
    "moment-log": RegressionLoss(_moment_log, _sum_of_logs, widths=True),
}
