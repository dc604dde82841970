"""Where a training is done, and to whom it is reported."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cosmoinfer import seeding

Rows = tuple[torch.Tensor, ...]  # one tensor per thing a row has, each (N, ...)
Listener = Callable[[int, int, float, float], None]  # epoch, epochs, training and validation loss


@dataclass(frozen=True)
class TrainingContext:
    """Where the work is done and to whom it is reported."""

    device: torch.device
    seed: int
    report: Callable[[str], None]
    on_epoch: Listener

    def tensors(self, *arrays: np.ndarray) -> Rows:
        """As float32 on the device."""
        return tuple(torch.from_numpy(array.astype(np.float32)).to(self.device) for array in arrays)


def uniform(members: int) -> np.ndarray:
    return np.full(members, 1 / members)


def generators(seed: int, purpose: str, members: int) -> list[torch.Generator]:
    """One a member, by its number: member 3 of 5 draws what member 3 of 10 draws."""
    return [torch.Generator().manual_seed(seeding.derive_seed(seed, purpose, member)) for member in range(members)]
