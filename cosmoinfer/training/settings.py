"""How and where a training descends: settings, schedules of the learning rate, device and seed.

A schedule gives factors of the peak rate, by name. All but plateau depend on the step alone. Plateau also depends on
the validation loss: the training loop lowers the rate of a member by ``PLATEAU_FACTOR`` after ``PLATEAU_EPOCHS`` epochs
without a better one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cosmoinfer.errors import UserError
from cosmoinfer.settings import check_settings, setting
from cosmoinfer.storage import JSONObject
from cosmoinfer.training.checkpoints import NOTHING_KEPT, CheckpointFolder, Keeper
from cosmoinfer.training.ranks import ALONE, Ranks

OPTIMIZERS: dict[str, tuple[str, ...]] = {  # with the settings that may stand behind each
    "adamw": (),
    "adam": (),
    "sgd": ("momentum",),
}
WARMUP = 50  # steps of linear rise, or a tenth of a short training
CYCLE = 1000  # steps of one cycle, or the whole of a shorter training
PLATEAU_EPOCHS = 10
PLATEAU_FACTOR = 0.3

Schedule = Callable[[int, int], float]  # step, steps -> factor
Rows = tuple[torch.Tensor, ...]  # one tensor per thing a row has, each (N, ...)
Listener = Callable[[int, int, float, float], None]  # epoch, epochs, training and validation loss


def constant(step: int, steps: int) -> float:
    """1 after a short linear rise."""
    return min(1.0, (step + 1) / min(WARMUP, max(1, steps // 10)))


def cosine(step: int, steps: int) -> float:
    """After the rise half a cosine down to zero (Loshchilov & Hutter, arXiv:1608.03983, without restarts)."""
    return constant(step, steps) * 0.5 * (1 + math.cos(math.pi * step / steps))


def cyclic(step: int, steps: int) -> float:
    """From zero linearly up to 1 and linearly down again, 500 steps each, over and over.

    The triangles of Smith (arXiv:1506.01186), as the CAMELS Multifield Dataset trains with them (arXiv:2109.10915).
    """
    cycle = min(CYCLE, steps)
    return 1 - abs(2 * (step % cycle + 0.5) / cycle - 1)


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "cyclic": cyclic, "plateau": constant}


def learning_rate_factor(name: str, step: int, steps: int) -> float:
    """The factor of the peak rate for step 0, 1, ... of ``steps``, in (0, 1]."""
    return SCHEDULES[name](step, steps)


@dataclass(frozen=True)
class TrainingSettings:
    """How to descend. ``patience``: epochs without a better validation loss after which a member stops.

    ``warm_up``: epochs that minimise a gentler loss first; patience counts from their end.
    ``mixed_precision``: embeddings in bfloat16.
    """

    epochs: int = setting(100, minimum=1, maximum=1_000_000)
    batch_size: int = setting(100, minimum=1, maximum=1_000_000_000)
    learning_rate: float = setting(1e-3, above=0)
    optimizer: str = setting("adamw", choices=OPTIMIZERS)
    schedule: str = setting("cosine", choices=SCHEDULES)
    weight_decay: float = setting(1e-2, minimum=0)
    momentum: float = setting(0.9, minimum=0, below=1)
    patience: int = setting(100, minimum=1)
    clip_norm: float = setting(5.0, above=0)
    warm_up: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        if not 0 <= self.warm_up < self.epochs:
            raise UserError(
                f"expected 0 to {self.epochs - 1}, less than `epochs`, found {self.warm_up}", setting="warm_up"
            )


@dataclass(frozen=True)
class TrainingContext:
    """Where the work is done and to whom it is reported.

    seed: of everything random in a training. info: takes a line on what is chosen or done. on_epoch: see ``Listener``.
    checkpoints: where trainings are kept until the output stands; None where there is no output. ranks: processes that
    train together.
    """

    device: torch.device
    seed: int
    info: Callable[[str], None]
    on_epoch: Listener
    checkpoints: CheckpointFolder | None = None
    ranks: Ranks = ALONE

    def tensors(self, *arrays: np.ndarray) -> Rows:
        """As float32 on the device."""
        return tuple(torch.from_numpy(array.astype(np.float32)).to(self.device) for array in arrays)

    def keeper(self, key: JSONObject) -> Keeper:
        """Where a training is kept. key: what determines its result beside the /meta of the output and the seed."""
        return NOTHING_KEPT if self.checkpoints is None else self.checkpoints.training({"seed": self.seed, **key})


def uniform(members: int) -> np.ndarray:
    return np.full(members, 1 / members)
