"""Output heads of a regressor of P parameters: point estimates, means and widths, or means and a covariance.

The outputs (..., O) hold the P means, then P positive numbers, then numbers of either sign, all in standardised units.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

OUTPUT_HEADS: dict[str, Callable[[int], int]] = {  # P -> O, the number of outputs
    "point": lambda parameters: parameters,
    "widths": lambda parameters: 2 * parameters,
    "covariance": lambda parameters: parameters * (parameters + 3) // 2,
}
POSITIVE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {"softplus": functional.softplus, "square": torch.square}


def make_positive(outputs: Tensor, output_head: str, positive_map: str) -> Tensor:
    """The outputs (..., O) of the last layer as a loss expects them: widths and diagonals are mapped to x > 0.

    output_head: a name in ``OUTPUT_HEADS``. positive_map: a name in ``POSITIVE_MAPS``.
    """
    if output_head == "point":
        return outputs
    count = _count_parameters(outputs, output_head)
    means, positive, free = outputs.tensor_split([count, 2 * count], dim=-1)
    return torch.cat([means, POSITIVE_MAPS[positive_map](positive), free], dim=-1)


def means_and_widths(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """mu and sigma > 0, (..., P) each, of the outputs (..., 2 P) of the head ``widths``."""
    mean, width = outputs.chunk(2, dim=-1)
    return mean, width


def means_and_factors(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """mu (..., P) and the Cholesky factor L (..., P, P) of the precision L L^T, of outputs (..., O) of ``covariance``.

    The positive outputs are the diagonal of L; the last P (P - 1) / 2 fill L below the diagonal, row by row.
    """
    count = _count_parameters(outputs, "covariance")
    mean, diagonal, below_diagonal = outputs.split([count, count, count * (count - 1) // 2], dim=-1)
    factor = torch.diag_embed(diagonal)
    rows, columns = torch.tril_indices(count, count, offset=-1, device=outputs.device)
    factor[..., rows, columns] = below_diagonal
    return mean, factor


def _count_parameters(outputs: Tensor, output_head: str) -> int:
    """The number of parameters P from which a head makes this number of outputs."""
    return next(
        count for count in range(1, outputs.shape[-1] + 1) if OUTPUT_HEADS[output_head](count) == outputs.shape[-1]
    )
