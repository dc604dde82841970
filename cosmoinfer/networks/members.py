"""M members side by side: one generator of random numbers each, and how their rows are laid out."""

from collections.abc import Sequence

import torch

Generators = Sequence[torch.Generator]  # one a member


def expand_members(rows: torch.Tensor, members: int) -> torch.Tensor:
    """The same rows for every member: (N, ...) -> (M*N, ...)."""
    return rows.expand(members, *rows.shape).flatten(0, 1)


def fold_members(x: torch.Tensor, members: int) -> torch.Tensor:
    """From rows member by member to members side by side, as for convolutions: (M*B, C, ...) -> (B, M*C, ...)."""
    return x.reshape(members, -1, *x.shape[1:]).transpose(0, 1).flatten(1, 2)


def unfold_members(x: torch.Tensor, members: int) -> torch.Tensor:
    """The inverse of ``fold_members`` for vectors: (B, M*C) -> (M*B, C)."""
    return x.reshape(len(x), members, -1).transpose(0, 1).flatten(0, 1)
