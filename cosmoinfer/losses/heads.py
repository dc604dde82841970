"""What the last layer of a regressor says of P parameters: a point, means and widths, or means and a covariance.

Means always come first, then P numbers that must be positive, then those of either sign. All are standardised.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

HEADS: dict[str, Callable[[int], int]] = {  # P -> outputs
    "point": lambda parameters: parameters,
    "widths": lambda parameters: 2 * parameters,
    "covariance": lambda parameters: parameters * (parameters + 3) // 2,
}
POSITIVE: dict[str, Callable[[Tensor], Tensor]] = {"softplus": functional.softplus, "square": torch.square}


def positive(raw: Tensor, head: str, how: str) -> Tensor:
    """Outputs as a loss wants them, (N, O): what must be positive made so, by one of ``POSITIVE``."""
    if head == "point":
        return raw
    count = _parameters(raw, head)
    return torch.cat([raw[:, :count], POSITIVE[how](raw[:, count : 2 * count]), raw[:, 2 * count :]], dim=1)


def means_and_widths(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """mu and sigma > 0, (N, P) each, of a head of widths."""
    mean, width = outputs.chunk(2, dim=-1)
    return mean, width


def means_and_factors(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """mu, (N, P), and the lower triangle L, (N, P, P), of the precision L L^T, of a head of covariance.

    The diagonal is the positive part of the outputs; below it they fill L row by row.
    """
    count = _parameters(outputs, "covariance")
    mean, diagonal, below = outputs.split([count, count, count * (count - 1) // 2], dim=-1)
    factor = torch.diag_embed(diagonal)
    rows, columns = torch.tril_indices(count, count, offset=-1, device=outputs.device)
    factor[:, rows, columns] = below
    return mean, factor


def _parameters(outputs: Tensor, head: str) -> int:
    """P of so many outputs."""
    return next(count for count in range(1, outputs.shape[-1] + 1) if HEADS[head](count) == outputs.shape[-1])
