"""Where a training is done, and to whom it is reported."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cosmoinfer.training import Listener, Rows


@dataclass(frozen=True)
class Bench:
    """Where the work is done and to whom it is reported."""

    device: torch.device
    seed: int
    say: Callable[[str], None]
    listen: Listener

    def tensors(self, *arrays: np.ndarray) -> Rows:
        """As float32 on the device."""
        return tuple(torch.from_numpy(array.astype(np.float32)).to(self.device) for array in arrays)


def uniform(members: int) -> np.ndarray:
    return np.full(members, 1 / members)
