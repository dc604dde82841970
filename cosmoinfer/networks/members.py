"""M members side by side: a generator of random numbers each, and how their rows are laid out.

Rows travel as (M, B, ...). Only convolutions need members in the axis of the channels, as groups: a network of
convolutions folds them there where it begins, and unfolds them where it ends.
"""

from collections.abc import Sequence

import torch

Generators = Sequence[torch.Generator]  # one a member


def expand_members(rows: torch.Tensor, members: int) -> torch.Tensor:
    """The same rows for every member, copied if there are several: (N, ...) -> (M, N, ...)."""
    return rows.expand(members, *rows.shape).contiguous()


def fold_members(x: torch.Tensor) -> torch.Tensor:
    """Members into the channels, as for grouped convolutions: (M, B, C, ...) -> (B, M*C, ...)."""
    return x.transpose(0, 1).flatten(1, 2)


def unfold_members(x: torch.Tensor, members: int) -> torch.Tensor:
    """The inverse of ``fold_members``: (B, M*C, ...) -> (M, B, C, ...); of one member a view."""
    rows = x.unflatten(1, (members, -1)).transpose(0, 1)
    return rows.flatten(0, 1).unflatten(0, (members, -1))  # side by side in memory, where there are several
